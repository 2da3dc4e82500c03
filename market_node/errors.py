"""What can go wrong, each a fact with its evidence and, in one line, what to do.

* NodeError
  x BadInput         + ConfigError  + WrongPassword  + StateError
  x WrongPhase
  x StorageError     + NotFound  + DigestMismatch  + TooLarge  + Misshapen
  x ChainError       + Unreachable  + WrongChain  + Reverted  + NotMined
  x UpdateError      + MalformedUpdate  + OutOfRange
  x SealError        + BrokenSeal  + NotForUs
  x UnknownVersion
"""


class NodeError(Exception):
    """Base of everything that this package raises on purpose. Its text is one line for a person."""

    exit_code = 1


class BadInput(NodeError):
    """An argument, a file or a value that cannot be used."""

    exit_code = 2


class ConfigError(BadInput):
    """A configuration that cannot be used."""


class WrongPassword(BadInput):
    """A keystore that does not open."""


class StateError(BadInput):
    """The node's own state, which cannot be read or written, or is another's."""


class WrongPhase(NodeError):
    """A step that the round's clock does not allow now."""

    exit_code = 3


class StorageError(NodeError):
    """A file that could not be stored or fetched."""

    exit_code = 4


class NotFound(StorageError):
    """No store has the block."""


class DigestMismatch(StorageError):
    """A store returned other bytes than were asked for."""


class TooLarge(StorageError):
    """A file past the size limit."""


class Misshapen(StorageError):
    """Blocks that are what was asked for, but no file as this protocol writes one. No other store has better ones."""


class ChainError(NodeError):
    """A call or a transaction that failed."""

    exit_code = 5


class Unreachable(ChainError):
    """The RPC endpoint does not answer."""


class WrongChain(ChainError):
    """The endpoint serves another chain, or no market stands at the address."""


class Reverted(ChainError):
    """A contract refused. `name` and `arguments` are those of its custom error."""

    def __init__(self, name: str, arguments: dict[str, object] | None = None) -> None:
        self.name = name
        self.arguments = arguments or {}
        values = ", ".join(f"{key}={value}" for key, value in self.arguments.items())
        super().__init__(f"the contract refused: {name}({values})")


class NotMined(ChainError):
    """A transaction that was sent and has no receipt yet; it may still be mined."""


class UpdateError(NodeError):
    """A model that cannot be used."""

    exit_code = 6


class MalformedUpdate(UpdateError):
    """Wrong tensors, shapes, dtypes, not finite, or not safetensors."""


class OutOfRange(UpdateError):
    """A weight that its tensor's quantum cannot express."""


class SealError(NodeError):
    """A sealed file or key that does not open."""

    exit_code = 7


class BrokenSeal(SealError):
    """Altered, cut short, or sealed under another key."""


class NotForUs(SealError):
    """A file or key that names another chain, market, round or account."""


class UnknownVersion(NodeError):
    """A file of a version that this node does not read: there is time to update the node, until it is late."""

    exit_code = 6

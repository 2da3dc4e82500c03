"""The ERC-20 token of a market, as its escrow needs it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from eth_utils.crypto import keccak

from .contracts import Contract
from .endpoint import Endpoint
from .errors import ChainError, Unreachable
from .signer import Signer

PERMIT_SECONDS = 3600
"""How long a signed permit can be used."""

_PERMIT = [
    {"name": "owner", "type": "address"},
    {"name": "spender", "type": "address"},
    {"name": "value", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]
_DOMAIN = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"


@dataclass(frozen=True, slots=True)
class Permit:
    """An approval as a signature (EIP-2612)."""

    deadline: int
    v: int
    r: bytes
    s: bytes


class Token:
    """An ERC-20 token. Amounts are base units."""

    def __init__(self, endpoint: Endpoint, address: str) -> None:
        self.endpoint = endpoint
        self.address = address
        self._token = Contract("TestToken", address)

    @cached_property
    def symbol(self) -> str:
        """What the token calls itself, of whatever was fit to print; a stranger wrote it."""
        said = self._ask("symbol")
        return "".join(each for each in str(said)[:16] if each.isprintable()) if said else "?"

    @cached_property
    def decimals(self) -> int:
        """How many digits of an amount people write behind the point. For display only."""
        return int(self._ask("decimals") or 0)

    def balance(self, account: str) -> int:
        """What an account holds outside the escrow."""
        return int(self.endpoint.read(self._token("balanceOf", account)))

    def allowance(self, owner: str, spender: str) -> int:
        """What `spender` may take from `owner`."""
        return int(self.endpoint.read(self._token("allowance", owner, spender)))

    def approve(self, signer: Signer, spender: str, amount: int) -> None:
        """Lets `spender` take `amount`, in one transaction, or in two where an old approval is in the way."""
        if self.allowance(signer.address, spender):
            # Some tokens refuse to change an approval that is not zero.
            self.endpoint.send(self._token("approve", spender, 0), signer)
        self.endpoint.send(self._token("approve", spender, amount), signer)

    def permit(self, signer: Signer, spender: str, amount: int) -> Permit | None:
        """An approval as a signature; None where the token has no EIP-2612 permits or its domain is not known."""
        domain = self._domain()
        nonce = self._ask("nonces", signer.address)
        if domain is None or nonce is None:
            return None
        message = {
            "owner": signer.address,
            "spender": spender,
            "value": amount,
            "nonce": nonce,
            "deadline": self.endpoint.now() + PERMIT_SECONDS,
        }
        signed = signer.sign_typed_data(domain, {"Permit": _PERMIT}, message)
        return Permit(message["deadline"], signed.v, signed.r.to_bytes(32, "big"), signed.s.to_bytes(32, "big"))

    def _domain(self) -> dict[str, Any] | None:
        """The token's EIP-712 domain, guessed where it does not say it, and right: its hash is compared."""
        separator, said = self._ask("DOMAIN_SEPARATOR"), self._ask("eip712Domain")
        if separator is None:
            return None
        name, version = (said[1], said[2]) if said else (self._ask("name") or "", "1")
        chain_id = self.endpoint.chain_id()
        own = [keccak(text=_DOMAIN), keccak(text=name), keccak(text=version), chain_id.to_bytes(32, "big")]
        if keccak(b"".join([*own, bytes(12), bytes.fromhex(self.address[2:])])) != bytes(separator):
            return None
        return {"name": name, "version": version, "chainId": chain_id, "verifyingContract": self.address}

    def _ask(self, name: str, *arguments: Any) -> Any:
        """What an optional function returns; None where the token does not have it."""
        try:
            return self.endpoint.read(self._token(name, *arguments))
        except Unreachable:
            raise
        except ChainError:
            return None

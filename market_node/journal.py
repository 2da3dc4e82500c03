"""What must be on disk before it is sent: the bids, whose loss costs the reveal bond.

One file per chain, market, round and account, 0600, under one folder. Nothing in it is ever replaced: an attempt to
commit whose fate is unknown (the node was stopped, the endpoint did not answer) stays beside the next one, and what the
chain holds says which of them it was.
"""

import json
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

from .codec import seal_bid
from .errors import BadInput
from .files import replacing
from .records import Bid, Model


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt to commit."""

    bid: Bid
    salt: bytes
    model: Model
    key: bytes
    """The content key of the sealed model."""
    deposit: int
    sealed_bid: bytes
    """What the commit shows of the bid."""


class Journal:
    """The bids of one market's rounds.

    Args:
        folder: where the files are kept.
        genesis: hash of the chain's first block: a development chain that starts again with the same id is another.
    """

    def __init__(self, folder: Path, chain_id: int, market: str, genesis: bytes = b"") -> None:
        self.chain_id = chain_id
        self.market = market
        name = f"{chain_id}-{genesis.hex()[:8]}" if genesis else str(chain_id)
        self.folder = folder / name / market.lower()

    def commit(
        self, number: int, account: str, *, bid: Bid, salt: bytes, model: Model, key: bytes, deposit: int
    ) -> Entry:
        """Writes an attempt to commit down, beside the earlier ones. It is on the disk when this returns.

        Raises:
            BadInput: another bid is known to be committed in the round.
        """
        sealed = seal_bid(self.market, self.chain_id, number, account, bid, salt)
        entry = Entry(bid, salt, model, key, deposit, sealed)
        entries, committed = self._read(number, account)
        if committed not in (None, sealed):
            raise BadInput(f"{account} has committed to another bid in round {number}; a bid cannot be changed")
        if entry not in entries:
            self._write(number, account, [*entries, entry], committed)
        return entry

    def committed(self, number: int, account: str, sealed_bid: bytes) -> None:
        """Writes down which attempt the chain holds. From then on the round's entry is that one.

        Raises:
            BadInput: it is none that was written down.
        """
        entries, committed = self._read(number, account)
        if sealed_bid != committed:
            self._find(entries, sealed_bid, number, account)
            self._write(number, account, entries, sealed_bid)

    def entry(self, number: int, account: str, sealed_bid: bytes | None = None) -> Entry:
        """The bid of a round.

        Args:
            sealed_bid: which one, as the round's logs show it; without it the one that is known to be committed, or
                the last attempt.

        Raises:
            BadInput: there is none, or not that one.
        """
        entries, committed = self._read(number, account)
        if not entries:
            raise BadInput(f"{self.folder} has no bid of {account} in round {number}: was it made on another machine?")
        wanted = sealed_bid or committed
        return entries[-1] if wanted is None else self._find(entries, wanted, number, account)

    def rounds(self, account: str) -> tuple[int, ...]:
        """The rounds in which an account has tried to commit, in order."""
        stems = (path.stem.split("-", 1) for path in self.folder.glob(f"*-{account.lower()}.json"))
        return tuple(sorted(int(number) for number, _ in stems if number.isdecimal()))

    def _find(self, entries: list[Entry], sealed_bid: bytes, number: int, account: str) -> Entry:
        for entry in entries:
            if entry.sealed_bid == sealed_bid:
                return entry
        raise BadInput(
            f"{self._path(number, account)} has no bid with the seal {sealed_bid.hex()}, which is the one on chain: "
            "was it made on another machine?"
        )

    def _path(self, number: int, account: str) -> Path:
        return self.folder / f"{number}-{account.lower()}.json"

    def _read(self, number: int, account: str) -> tuple[list[Entry], bytes | None]:
        path = self._path(number, account)
        try:
            content = json.loads(path.read_bytes())
            committed = content["committed"]
            return [_entry(item) for item in content["attempts"]], bytes.fromhex(committed) if committed else None
        except FileNotFoundError:
            return [], None
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is damaged ({type(error).__name__}): restore it from a backup") from error

    def _write(self, number: int, account: str, entries: list[Entry], committed: bytes | None) -> None:
        content = {
            "attempts": [_item(entry) for entry in entries],
            "committed": committed.hex() if committed else None,
        }
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with replacing(self._path(number, account), 0o600) as file:
                file.write(json.dumps(content, indent=1).encode() + b"\n")
        except OSError as error:
            raise BadInput(f"cannot write {self._path(number, account)}: {error.strerror}") from error


def _item(entry: Entry) -> dict[str, Any]:
    return {
        "bid": list(astuple(entry.bid)),
        "salt": entry.salt.hex(),
        "model": [entry.model.cid.hex(), entry.model.root.hex()],
        "key": entry.key.hex(),
        "deposit": entry.deposit,
        "sealedBid": entry.sealed_bid.hex(),
    }


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(
        Bid(*item["bid"]),
        bytes.fromhex(item["salt"]),
        Model(*map(bytes.fromhex, item["model"])),
        bytes.fromhex(item["key"]),
        item["deposit"],
        bytes.fromhex(item["sealedBid"]),
    )

"""Looks at everything that a node needs, and says of each whether it is well, and what to do where it is not.

Nothing here changes anything, but for a small file that is stored to be read again, and a state that is made or brought
up to date as by every command.
"""

import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from .contracts import artifact
from .errors import BadInput, NodeError, StateError, WrongChain
from .history import History
from .journal import Journal
from .phases import length
from .recovery import missing_keys, needs_bid

if TYPE_CHECKING:
    from .chain import Chain
    from .config import Config
    from .database import Database
    from .endpoint import Endpoint
    from .keys import EncryptionKeys
    from .signer import Signer
    from .store import Store

OK, WARN, FAIL = "ok", "warn", "fail"

OLD_SECONDS = 300
"""A latest block older than this is said: twenty-five blocks of a public chain."""

SKEW_SECONDS = 60
"""By which the machine's clock may differ from the chain's."""

ROUND_GAS = 1_000_000
"""More than a participant's transactions of a round need together."""

LITTLE_ROOM, NO_ROOM = 1 << 30, 100 << 20
"""Bytes free on the disk: below the first it is said, below the second nothing will work for long."""


@dataclass(frozen=True, slots=True)
class Line:
    """What one look gave."""

    name: str
    verdict: str
    """`OK`, `WARN` (it works, but look) or `FAIL`."""
    text: str
    todo: str = ""
    """What to do; empty where all is well."""


class Sick(Exception):
    """What a look found to be wrong, and what to do about it. `verdict` is `FAIL` or `WARN`."""

    def __init__(self, text: str, todo: str, verdict: str = FAIL) -> None:
        super().__init__(text)
        self.todo = todo
        self.verdict = verdict


@dataclass
class Patient:
    """A node, whose parts are opened when they are first looked at.

    Args:
        amount: writes base units for a person.
        clock: seconds since the epoch, by this machine.
    """

    config: "Config"
    endpoint: "Endpoint"
    open_chain: "Callable[[], Chain]"
    open_signer: "Callable[[], Signer]"
    open_keys: "Callable[[], EncryptionKeys]"
    open_store: "Callable[[], Store]"
    open_database: "Callable[[], Database]"
    address: str
    amount: Callable[[int], str]
    clock: Callable[[], float]

    @cached_property
    def chain(self) -> "Chain":
        return self.open_chain()

    @cached_property
    def signer(self) -> "Signer":
        return self.open_signer()

    @cached_property
    def keys(self) -> "EncryptionKeys":
        return self.open_keys()

    @cached_property
    def store(self) -> "Store":
        return self.open_store()

    @cached_property
    def database(self) -> "Database":
        return self.open_database()


def examine(patient: Patient) -> Iterator[Line]:
    """Looks at everything, in an order in which the first thing that is not well explains what follows."""
    for name, (look, todo) in _LOOKS.items():
        try:
            yield Line(name, OK, look(patient))
        except Sick as sick:
            yield Line(name, sick.verdict, str(sick), sick.todo)
        except (NodeError, OSError) as error:
            yield Line(name, FAIL, " ".join(str(error).split()), todo)


# --- the looks: each says in a few words what it found, or raises ---


def _chain(patient: Patient) -> str:
    endpoint, config = patient.endpoint, patient.config
    if (served := endpoint.chain_id()) != config.chain_id:
        raise WrongChain(f"{endpoint.name} serves chain {served}, not {config.chain_id}")
    number, age = endpoint.block(), patient.clock() - _latest(endpoint)
    said = f"{endpoint.name} serves chain {served}; block {number} is {length(max(0, int(age)))} old"
    if age > OLD_SECONDS:
        todo = "a public chain is ahead of this: wait until that node is in step, or name another one as 'rpc'"
        raise Sick(said, f"{todo}; on a quiet devnet it is no fault", WARN)
    return said


def _contracts(patient: Patient) -> str:
    chain = patient.chain
    market, escrow, reputations, token = (
        int(each, 16) for each in (chain.market, chain.escrow, chain.reputations, chain.token.address)
    )
    packaged = {
        "Market": (chain.market, {escrow, reputations, chain.min_phase()}),
        "Escrow": (chain.escrow, {market, token}),
        "Reputation": (chain.reputations, {market}),
    }
    for name, (address, immutables) in packaged.items():
        with chain.endpoint.reached():
            code = bytes(chain.endpoint.web3.eth.get_code(address))
        if not is_packaged(name, code, immutables):
            raise Sick(
                f"the {name} at {address} is not the one that is packaged here",
                "do not send it money: check 'market', and install the version of market-node that its rounds use",
            )
    return f"the market at {chain.market}, its escrow and its reputations are the packaged ones"


def _clock(patient: Patient) -> str:
    ahead = int(_latest(patient.endpoint) - patient.clock())
    if ahead > SKEW_SECONDS:
        raise Sick(
            f"this machine's clock is {length(ahead)} behind the chain's",
            "set it, by NTP for instance: rounds go by the chain's clock; on a devnet that was warped it is no fault",
            WARN,
        )
    return f"this machine's clock is at most {SKEW_SECONDS} s behind the chain's"


def _keys(patient: Patient) -> str:
    signer, keys = patient.signer, patient.keys
    if signer.address != patient.address:
        raise Sick(
            f"the key belongs to {signer.address}, the configuration names {patient.address}",
            f"restore {patient.config.keys} from a backup",
        )
    if version := getattr(signer, "version", None):
        version()
    open_ = [path.name for path in sorted(patient.config.keys.glob("*.json")) if path.stat().st_mode & 0o077]
    if open_:
        raise Sick(f"others may read {', '.join(open_)}", f"chmod 600 {patient.config.keys}/*.json", WARN)
    count = len(keys.publics)
    return (
        f"{signer.address} opens, and so {'does its encryption key' if count == 1 else f'do {count} encryption keys'}"
    )


def _published(patient: Patient) -> str:
    there = patient.chain.encryption_key(patient.address)
    if there == patient.keys.public:
        return f"the newest encryption key, {there.hex()[:8]}, is the one on chain"
    if there is None or there in patient.keys.publics:
        said = "no encryption key is" if there is None else f"an older encryption key, {there.hex()[:8]}, is"
        raise Sick(f"{said} on chain", "`market-node keys publish`; the next commit or round does it too", WARN)
    raise Sick(
        f"the encryption key on chain, {there.hex()[:8]}, is not in {patient.config.keys}",
        "restore the newest backup of that folder; if there is none, `market-node keys publish`, and what was sealed "
        "to the other one is lost",
    )


def _gas(patient: Patient) -> str:
    from .fees import fees

    endpoint = patient.endpoint
    ether = endpoint.ether(patient.address)
    needed = ROUND_GAS * fees(endpoint, patient.config.most_per_gas).max_fee
    said = f"{patient.address} has {ether / 10**18:.6g} ether; a round takes at most {needed / 10**18:.3g} now"
    if ether < needed:
        raise Sick(said, f"send ether to {patient.address}: without gas no bid is revealed, and its bond is lost")
    return said


def _balance(patient: Patient) -> str:
    available = patient.chain.available(patient.address)
    said = f"{patient.amount(available)} available in the market"
    if not available:
        raise Sick(said, "`market-node fund TOKENS`: rounds lock deposits", WARN)
    return said


def _store(patient: Patient) -> str:
    stored = b"market-node doctor: a file that was stored to be read again.\n"
    with tempfile.TemporaryDirectory() as folder:
        there, back = Path(folder) / "there", Path(folder) / "back"
        there.write_bytes(stored)
        patient.store.get(patient.store.put(there), back, len(stored))
    return f"{', '.join(map(_place, patient.config.stores))}: what was stored came back"


def _disk(patient: Patient) -> str:
    home = patient.config.home
    free = shutil.disk_usage(home).free
    said = f"{free / (1 << 30):.3g} GiB free at {home}"
    if free < LITTLE_ROOM:
        todo = "make room: a node that cannot write cannot commit, and one that cannot store cannot settle"
        raise Sick(said, todo, FAIL if free < NO_ROOM else WARN)
    probe = home / f".doctor-{secrets.token_hex(4)}"
    try:
        probe.write_bytes(b"x")
    finally:
        probe.unlink(missing_ok=True)
    return said


def _state(patient: Patient) -> str:
    database = patient.database
    if database.engine.dialect.name == "sqlite":
        with database.begin() as connection:
            said = connection.exec_driver_sql("PRAGMA quick_check(1)").scalar()
        if said != "ok":
            raise StateError(f"{database.name} is damaged: {said}")
    patient.chain.remember(database)
    database.bind(account=patient.address)
    return f"{database.name} can be read and written, and belongs to this market and account"


def _rounds(patient: Patient) -> str:
    """What open rounds need of state and keys, which may have been restored from an older backup."""
    chain, account = patient.chain, patient.address
    history = History(chain)
    history.refresh()
    journal = Journal(patient.database, chain.chain_id, chain.market, chain.genesis)
    lost, searched, count = [], [], 0
    for number, round_ in history.ledger.rounds.items():
        index = next((i for i, each in enumerate(round_.participants) if each.account == account), None)
        if history.trail(number).aggregator is not None or (index is None and round_.aggregator != account):
            continue
        count += 1
        phase = chain.phase(number)
        lost += missing_keys(round_, account, patient.keys, phase)
        if index is not None and needs_bid(round_, index, phase):
            try:
                journal.entry(number, account, round_.participants[index].sealed_bid)
            except StateError:
                raise
            except BadInput:
                searched.append(str(number))
    if lost:
        raise Sick("; ".join(lost), "see 'Restoring a backup' in docs/operations.md")
    if searched:
        raise Sick(
            f"the bids of round {', '.join(searched)} are not in the state",
            "leave the node on: at the reveal it looks for them with the keys, in the sealed models that were "
            "committed; they are found where this version made the commit and the store still has the model",
            WARN,
        )
    return f"{count} open, and nothing is missing for them"


_LOOKS: dict[str, tuple[Callable[[Patient], str], str]] = {
    "chain": (_chain, "check 'rpc' and 'chain_id' in the configuration, and whether that node runs"),
    "clock": (_clock, "see 'chain'"),
    "contracts": (_contracts, "check 'market' in the configuration; `market-node deploy` makes a new one"),
    "keys": (_keys, "give the right password; restore the key folder from a backup where it is damaged"),
    "published": (_published, "see 'chain' and 'keys'"),
    "gas": (_gas, "see 'chain'"),
    "balance": (_balance, "see 'contracts'"),
    "store": (_store, "check 'store' in the configuration, and whether that IPFS node runs"),
    "disk": (_disk, "check who may write there, and whether the disk is full"),
    "state": (_state, "check 'state' in the configuration; restore it from a backup where it is damaged"),
    "rounds": (_rounds, "see 'chain', 'keys' and 'state'"),
}
"""What is looked at, and what to do where a look fails in a way that it does not expect."""


# --- code ---

_SLOT = re.compile(rb"\x7f\x00{32}")
"""PUSH32 of nothing: where the constructor puts an immutable. The compiler pushes a true zero by PUSH0."""

_BEGINNING = re.compile(rb"\xfe\x60.\x80?\x60\x40\x52", re.DOTALL)
"""Where a contract's own code begins: after an INVALID, by setting the free memory pointer."""


def is_packaged(name: str, code: bytes, immutables: Collection[int]) -> bool:
    """Whether code that stands on a chain is that of a packaged contract.

    A contract's code is part of the code that creates it, but for its immutables.

    Args:
        immutables: the values that it can have there, and must.
    """
    creation = bytes.fromhex(artifact(name)["bytecode"][2:])
    start, head = 0, code[:16]
    while len(head) == 16 and (start := creation.find(head, start + 1)) >= 0:
        if _BEGINNING.match(creation, start - 1) and _is_filled(creation[start : start + len(code)], code, immutables):
            return True
    return False


def _is_filled(template: bytes, code: bytes, immutables: Collection[int]) -> bool:
    masked, found = bytearray(code), set()
    for slot in _SLOT.finditer(template):
        at = slice(slot.start() + 1, slot.end())
        found.add(int.from_bytes(code[at], "big"))
        masked[at] = bytes(32)
    # All of the contract: in its creation code, what follows it is data of the constructor.
    return bytes(masked) == template and found == set(immutables) and _is_whole(code)


def _is_whole(code: bytes) -> bool:
    """Whether it ends with the compiler's metadata, whose length its last two bytes say."""
    size = int.from_bytes(code[-2:], "big")
    return 40 <= size <= 60 and code[-2 - size : -2].startswith(b"\xa2\x64ipfs")


def _latest(endpoint: "Endpoint") -> int:
    """When the latest block was made, seconds since the epoch."""
    with endpoint.reached():
        return int(endpoint.web3.eth.get_block("latest")["timestamp"])


def _place(store: str) -> str:
    """A store's place for a person: an address beyond its host can be somebody's key."""
    scheme, separator, rest = store.partition("://")
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}" if separator else store

"""What a node does without being asked: the standing subscription of a participant, the schedule of an aggregator.

Values, which `read_policy` makes of what a file says; `decisions` has what follows from them. Amounts are base units,
times seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, TypeVar

from .amounts import Money, parse_duration, parse_fraction
from .contracts import checksum
from .digests import parse_digest
from .errors import BadInput, ConfigError
from .recommended import PARTS, RECOMMENDED, TYPICAL_SAMPLES, TYPICAL_VALUE, recommended
from .records import NOT_SELLING, ONE, Bid
from .terms import BOND_FACTOR, MOST_PURCHASES, check_bid

T = TypeVar("T")

_SMALL = RECOMMENDED["small"]
"""What a table that is not read from a file has. One that is has what is recommended for it, amounts too."""


def _kind(name: str, default: Any = MISSING) -> Any:
    """A field of a table: how its value is written, and what holds where it is left out."""
    if default is MISSING:
        return field(metadata={"kind": name})
    if isinstance(default, tuple | dict):
        return field(metadata={"kind": name}, default_factory=lambda: default)
    return field(metadata={"kind": name}, default=default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """The table [participant]: which rounds the node joins, and with what bid."""

    training: str = _kind("text")
    """The import path of the owner's training, `package.module:name`."""
    tasks: tuple[bytes, ...] = _kind("tasks")
    """The tasks that are followed: digests or CIDs."""
    samples: int = _kind("count")
    """On how many samples the model is trained."""
    value: int = _kind("tokens", 0)
    """What a perfect model would be worth; 0 buys nothing."""
    cost: int = _kind("tokens", NOT_SELLING)
    """What one copy of the own model must bring; left out, it is not sold."""
    min_reputation: int = _kind("share", 0)
    """From whom the node buys."""
    isolate: bool = _kind("switch", True)
    """Whether training runs in a process of its own: a crash or a leak there does not touch the node."""

    longest_training: int = _kind("time", 86_400)
    """After so long a training that has not ended is stopped."""

    budget_per_round: int | None = _kind("tokens", None)
    """What a round may cost at most: its fee and what is bought."""
    budget: int | None = _kind("tokens", None)
    """What all rounds together may cost, less what they earn."""
    stop_after_rounds: int | None = _kind("count", None)
    """After so many rounds the node joins no more."""
    stop_at_loss: float | None = _kind("number", None)
    """Once the own model's loss on the hold-out samples is this low, the node joins no more."""

    aggregators: tuple[str, ...] = _kind("accounts", ())
    """Whose rounds are joined; empty, everybody's."""
    refused_aggregators: tuple[str, ...] = _kind("accounts", ())
    most_rejections: int | None = _kind("whole", None)
    """How many deliveries of an aggregator may have been rejected by their buyers."""

    train_time: int = _kind("time", 60)
    """What fetching the task and training take: a round whose commits close earlier is not joined."""
    shortest_phase: int = _kind("time", 0)
    """Each later phase must be this long, or a restart could miss it."""
    longest_lock: int = _kind("time", 60 * 86_400)
    """For how long money may be locked."""
    highest_fee: int | None = _kind("tokens", None)
    highest_deposit: int | None = _kind("tokens", None)
    """The most that is locked in a round; less is locked where it suffices or the terms allow no more."""
    least_bond_share: int = _kind("share", 0)
    """The aggregator's bond must be at least this share of the deposits that it could move."""

    withdraw_above: int | None = _kind("tokens", None)
    """Above this much available balance, what is more than `keep` is withdrawn to the account."""
    keep: int = _kind("tokens", 0)

    @property
    def bid(self) -> Bid:
        """What every round is bid."""
        return Bid(self.value, self.cost, self.samples, self.min_reputation)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The table [aggregator]: which rounds the node opens, and when."""

    task: bytes = _kind("task")
    every: int = _kind("time", 0)
    """From one opening to the next, at least; 0, as soon as `at_once` allows."""
    at_once: int = _kind("count", 1)
    """How many of the node's rounds may run at the same time."""
    rounds: int | None = _kind("count", None)
    """After so many rounds the node opens no more."""
    device: str = _kind("text", "cpu")
    """Where models are combined, "cpu" or "cuda"; the bytes are the same."""

    size: str | None = _kind("text", None)
    """Of the market, "small", "middle" or "large": what is left out below is proposed for it (see `recommended`)."""
    typical_value: int | None = _kind("tokens", None)
    """What a perfect model is worth to the participant in the middle; left out, 100 tokens."""
    typical_samples: int = _kind("count", TYPICAL_SAMPLES)
    """How many the participant in the middle has."""
    fee: int = _kind("tokens", 0)
    reveal_bond: int = _kind("tokens")
    bond: int | None = _kind("tokens", None)
    """What the node locks; left out, 16 reveal bonds, the least."""
    max_samples: int = _kind("count", _SMALL.max_samples_for(TYPICAL_SAMPLES))
    floor: int = _kind("share", _SMALL.floor * ONE // PARTS)
    max_sellers: int = _kind("count", _SMALL.max_sellers)
    max_participants: int = _kind("count", _SMALL.max_participants)
    commit: int = _kind("time", 3_600)
    draw: int = _kind("time", 3_600)
    reveal: int = _kind("time", 3_600)
    settle: int = _kind("time", 3_600)
    challenge: int = _kind("time", 86_400)
    refute: int = _kind("time", 86_400)

    withdraw_above: int | None = _kind("tokens", None)
    keep: int = _kind("tokens", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Auditing:
    """The table [auditor]; an empty one is enough."""

    least_bond: int = _kind("tokens", 0)
    """Rounds of smaller bonds are left alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The table [run]: how the node runs, whatever its roles."""

    interval: float = _kind("number", 5.0)
    """Seconds between two looks at the chain."""
    listen: str | None = _kind("text", None)
    """host:port of /healthz and /metrics; left out, there are none."""


@dataclass(frozen=True, slots=True)
class Policy:
    """All that a node was told. A role whose table is left out is not taken."""

    participant: Participation | None = None
    aggregator: Opening | None = None
    auditor: Auditing | None = None
    run: Running = field(default_factory=Running)


TABLES: Mapping[str, type] = {
    "participant": Participation,
    "aggregator": Opening,
    "auditor": Auditing,
    "run": Running,
}


def read_policy(tables: Mapping[str, Any], money: Money) -> Policy:
    """A policy from the tables of a TOML file. Amounts are tokens, in quotes: "12.5".

    Raises:
        ConfigError: a key is unknown or missing, or a value does not fit. Names table and key.
    """
    tables = {**tables, "aggregator": _proposed(tables["aggregator"], money)} if "aggregator" in tables else tables
    read = {name: _table(name, tables[name], money) for name in TABLES if name in tables}
    policy = Policy(**read)
    if not (policy.participant or policy.aggregator or policy.auditor):
        raise ConfigError("no role is taken: write a table [participant], [aggregator] or [auditor]")
    if (run := policy.run).interval <= 0:
        raise ConfigError("[run] 'interval' is not above 0 seconds")
    if run.listen is not None:
        listening(run.listen)
    if policy.participant:
        _check_participant(policy.participant)
    if policy.aggregator:
        _check_aggregator(policy.aggregator)
    return policy


def listening(text: str) -> tuple[str, int]:
    """Host and port in "host:port"."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"[run] 'listen' is host:port, such as 127.0.0.1:9464, not {text!r}")
    return host.strip("[]"), int(port)


def _table(name: str, values: Any, money: Money) -> Any:
    if not isinstance(values, dict):
        raise ConfigError(f"[{name}] is a table, not {values!r}"[:200])
    known = {each.name: each for each in fields(TABLES[name])}
    if unknown := sorted(values.keys() - known.keys()):
        raise ConfigError(f"[{name}] has an unknown key {unknown[0]!r}; known are {', '.join(known)}")
    for key, each in known.items():
        if each.default is MISSING and each.default_factory is MISSING and key not in values:
            raise ConfigError(f"[{name}] lacks {key!r}")
    read = {key: _value(f"[{name}] {key!r}", known[key].metadata["kind"], each, money) for key, each in values.items()}
    return TABLES[name](**read)


def _proposed(values: Any, money: Money) -> Any:
    """The table [aggregator] with what it leaves out and is recommended."""
    if not isinstance(values, dict):
        return values  # `_table` says what is wrong
    where = "[aggregator] "
    participants = values.get("max_participants")
    try:
        proposed = recommended(values.get("size"), participants if type(participants) is int else None)
    except BadInput as error:
        raise ConfigError(f"{where}'size': {error}") from None
    value = _value(where + "'typical_value'", "tokens", values.get("typical_value", TYPICAL_VALUE), money)
    samples = _value(where + "'typical_samples'", "count", values.get("typical_samples", TYPICAL_SAMPLES), money)

    def tokens(units: int) -> str:
        return money.text(units).removesuffix(f" {money.symbol}")

    return {
        "fee": tokens(proposed.fee_for(value)),
        "reveal_bond": tokens(proposed.reveal_bond_for(value)),
        "max_samples": proposed.max_samples_for(samples),
        "floor": proposed.floor_text,
        "max_sellers": proposed.max_sellers,
        "max_participants": proposed.max_participants,
        **values,
    }


def _value(where: str, kind: str, value: Any, money: Money) -> Any:
    try:
        return _READ[kind](value, where, money)
    except ConfigError:
        raise
    except BadInput as error:
        raise ConfigError(str(error)) from None


def _typed(spoken: str, *types: type) -> Callable[[Any, str, Money], Any]:
    def read(value: Any, where: str, money: Money) -> Any:
        if type(value) not in types:
            raise ConfigError(f"{where} must be {spoken}, not {value!r}"[:300])
        return value

    return read


_text = _typed("text", str)
_whole = _typed("a whole number", int)


def _at_least(least: int) -> Callable[[Any, str, Money], int]:
    def read(value: Any, where: str, money: Money) -> int:
        if (number := int(_whole(value, where, money))) < least:
            raise ConfigError(f"{where} is below {least}")
        return number

    return read


def _tokens(value: Any, where: str, money: Money) -> int:
    # A TOML number with a point is a binary fraction, and money is not: 0.1 would not be a tenth.
    return money.units(str(_typed('tokens in quotes, such as "12.5"', str, int)(value, where, money)), where)


def _time(value: Any, where: str, money: Money) -> int:
    return parse_duration(str(_typed('a time, such as "10m"', str, int)(value, where, money)), where)


def _share(value: Any, where: str, money: Money) -> int:
    return parse_fraction(str(_typed("a share from 0 to 1", str, int, float)(value, where, money)), where)


def _number(value: Any, where: str, money: Money) -> float:
    return float(_typed("a number", int, float)(value, where, money))


def _each(read: Callable[[Any, str, Money], T]) -> Callable[[Any, str, Money], tuple[T, ...]]:
    def several(value: Any, where: str, money: Money) -> tuple[T, ...]:
        return tuple(read(each, where, money) for each in _typed("a list", list)(value, where, money))

    return several


def _account(value: Any, where: str, money: Money) -> str:
    text = _text(value, where, money)
    try:
        return checksum(text)
    except ValueError:
        raise ConfigError(f"{where}: {text!r} is not an address"[:200]) from None


def _task(value: Any, where: str, money: Money) -> bytes:
    return parse_digest(_text(value, where, money), where)


_READ: Mapping[str, Callable[[Any, str, Money], Any]] = {
    "text": _text,
    "switch": _typed("true or false", bool),
    "whole": _at_least(0),
    "count": _at_least(1),
    "number": _number,
    "tokens": _tokens,
    "time": _time,
    "share": _share,
    "task": _task,
    "tasks": _each(_task),
    "accounts": _each(_account),
}
"""How a value of each kind is written: kind → its reader."""


def _check_participant(policy: Participation) -> None:
    if policy.value == 0 and policy.cost == NOT_SELLING:
        raise ConfigError("[participant] neither buys nor sells: give 'value', 'cost' or both")
    try:
        check_bid(policy.bid)
    except BadInput as error:
        raise ConfigError(f"[participant] {error}") from None
    if policy.withdraw_above is not None and policy.keep > policy.withdraw_above:
        raise ConfigError("[participant] 'keep' is above 'withdraw_above'")


def _check_aggregator(policy: Opening) -> None:
    if policy.reveal_bond == 0:
        raise ConfigError("[aggregator] 'reveal_bond' must be above 0, or nobody has to reveal")
    if policy.bond is not None and policy.bond < BOND_FACTOR * policy.reveal_bond:
        raise ConfigError(f"[aggregator] 'bond' must be at least {BOND_FACTOR} reveal bonds")
    if policy.max_participants * policy.max_sellers > MOST_PURCHASES:
        raise ConfigError(f"[aggregator] 'max_participants' × 'max_sellers' must be {MOST_PURCHASES} at most")
    if policy.floor >= ONE:
        raise ConfigError("[aggregator] 'floor' must be below 1, or no two models are alike")
    if policy.device not in ("cpu", "cuda"):
        raise ConfigError('[aggregator] \'device\' is "cpu" or "cuda"')
    if policy.withdraw_above is not None and policy.keep > policy.withdraw_above:
        raise ConfigError("[aggregator] 'keep' is above 'withdraw_above'")

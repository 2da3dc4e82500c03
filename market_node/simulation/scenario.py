"""A scenario: everything that a simulation depends on, in one TOML file.

`examples/scenario.toml` explains each line.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from .. import __version__
from ..amounts import Money, parse_fraction
from ..errors import BadInput, ConfigError
from ..records import LEAST_VALUE, ONE, Terms
from ..terms import BOND_FACTOR, MOST_PARTICIPANTS, MOST_PURCHASES, MOST_SELLERS, deposit_range
from .population import MOST, Distribution, Fixed, Group, Lognormal, Pareto, Uniform
from .sketches import Likeness, read_recording

MONEY = Money("tokens", 18)
MOST_OWNERS = 1_000_000
MOST_SEED = (1 << 32) - 1
CHOICES = ("random", "cluster")


def _kind(read: Callable[[Any, str], Any], default: Any = MISSING) -> Any:
    """A field of a table: what reads its value, and what holds where it is left out."""
    return field(metadata={"read": read}, default=default)


# --- how a value is written ---


def _typed(spoken: str, *types: type) -> Callable[[Any, str], Any]:
    def read(value: Any, where: str) -> Any:
        if type(value) not in types:
            raise ConfigError(f"{where} must be {spoken}, not {value!r}"[:300])
        return value

    return read


_text = _typed("text", str)
_switch = _typed("true or false", bool)


def _whole(least: int, most: int) -> Callable[[Any, str], int]:
    def read(value: Any, where: str) -> int:
        if not least <= (number := int(_typed("a whole number", int)(value, where))) <= most:
            raise ConfigError(f"{where} must be {least} … {most}, not {number}")
        return number

    return read


def _number(least: float, most: float) -> Callable[[Any, str], float]:
    def read(value: Any, where: str) -> float:
        number = float(_typed("a number", int, float)(value, where))
        if not least <= number <= most:  # also where it is not a number at all
            raise ConfigError(f"{where} must be {least:g} … {most:g}, not {number:g}")
        return number

    return read


def _tokens(value: Any, where: str) -> int:
    # A TOML number with a point is a binary fraction, and money is not: 0.1 would not be a tenth.
    text = str(_typed('tokens in quotes, such as "12.5"', str, int)(value, where))
    try:
        return MONEY.units(text, where)
    except BadInput as error:
        raise ConfigError(str(error)) from None


def _fraction(value: Any, where: str) -> int:
    """2**16 = 1."""
    try:
        return parse_fraction(str(_typed("a share from 0 to 1", str, int, float)(value, where)), where)
    except BadInput as error:
        raise ConfigError(str(error)) from None


def _several(read: Callable[[Any, str], Any]) -> Callable[[Any, str], tuple[Any, ...]]:
    def each(value: Any, where: str) -> tuple[Any, ...]:
        several = tuple(read(each, where) for each in _typed("a list", list)(value, where))
        if len(set(several)) != len(several):
            raise ConfigError(f"{where} names something twice")
        return several

    return each


_positive = _number(1e-12, 1e12)
_amount = _number(0, MOST)


_DISTRIBUTIONS: Mapping[str, tuple[type, Mapping[str, Callable[[Any, str], float]]]] = {
    "fixed": (Fixed, {"value": _amount}),
    "uniform": (Uniform, {"least": _amount, "most": _amount}),
    "lognormal": (Lognormal, {"median": _positive, "sigma": _number(0, 10), "least": _amount, "most": _amount}),
    "pareto": (Pareto, {"least": _positive, "alpha": _number(0.05, 100), "most": _amount}),
}
"""Kind → its class and what reads its numbers."""


def _distribution(value: Any, where: str) -> Distribution:
    """A table such as { kind = "lognormal", median = 500, sigma = 1.0 }; a number alone is fixed."""
    if type(value) in (int, float):
        return Fixed(value=_amount(value, where))
    if type(value) is not dict or value.get("kind") not in _DISTRIBUTIONS:
        kinds = ", ".join(_DISTRIBUTIONS)
        raise ConfigError(f"{where} is a number, or a table whose 'kind' is one of {kinds}, not {value!r}"[:300])
    kind, readers = _DISTRIBUTIONS[value["kind"]]
    numbers = {key: each for key, each in value.items() if key != "kind"}
    _known(numbers, readers, where)
    if lacking := [each.name for each in fields(kind) if each.default is MISSING and each.name not in numbers]:
        raise ConfigError(f"{where} lacks {lacking[0]!r}")
    drawn: Distribution = kind(**{key: readers[key](each, f"{where} {key!r}") for key, each in numbers.items()})
    if not isinstance(drawn, Fixed) and drawn.least > drawn.most:
        raise ConfigError(f"{where}: 'least' is above 'most'")
    return drawn


# --- the tables ---


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundTerms:
    """[terms]: those of every round. Times play no part."""

    fee: int = _kind(_tokens)
    reveal_bond: int = _kind(_tokens)
    bond: int | None = _kind(_tokens, None)
    max_samples: int = _kind(_whole(1, 1 << 63), 10_000)
    floor: int = _kind(_fraction, ONE // 10)
    max_sellers: int = _kind(_whole(1, MOST_SELLERS), 8)
    max_participants: int = _kind(_whole(2, MOST_PARTICIPANTS), MOST_PARTICIPANTS)

    @property
    def terms(self) -> Terms:
        """As a round has them."""
        return Terms(
            task=bytes(32),
            fee=self.fee,
            reveal_bond=self.reveal_bond,
            bond=self.bond or BOND_FACTOR * self.reveal_bond,
            max_samples=self.max_samples,
            similarity_floor=self.floor,
            max_sellers=self.max_sellers,
            max_participants=self.max_participants,
            commit_deadline=0,
            draw_time=0,
            reveal_time=0,
            settle_time=0,
            challenge_time=0,
            refute_time=0,
        )

    @property
    def most_value(self) -> int:
        """The largest value that a deposit of these terms covers, base units."""
        least, most = deposit_range(self.terms)
        return most - least


@dataclass(frozen=True, slots=True, kw_only=True)
class Sketching:
    """[sketches]: how alike updates are, or where recorded ones lie."""

    clusters: int = _kind(_whole(1, 10_000), 1)
    within: float = _kind(_number(0, 1), 0.4)
    across: float = _kind(_number(0, 1), 0.1)
    own: float = _kind(_number(0, 1), 0.5)
    recorded: str | None = _kind(_text, None)
    """A file, relative to the scenario's."""

    @property
    def likeness(self) -> Likeness:
        return Likeness(within=self.within, across=self.across, own=self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """[entry]: who comes and who goes."""

    rate: float = _kind(_number(0, 1), 0.25)
    """How likely an owner that is not there joins in a round, where those like it did not lose in the last one."""
    patience: int = _kind(_whole(1, 1_000_000), 3)
    """After so many rounds in a row with a loss an owner leaves, for good."""
    choice: str = _kind(_text, "random")
    """The aggregator that a newcomer chooses and stays with: "random" or by "cluster"; the next where it is full."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """[ratings]: what a buyer finds out about what it bought (see `ratings`)."""

    holdout: float = _kind(_number(0, 1), 0.2)
    """The share of its samples that it keeps back for that."""
    noise: float = _kind(_number(1e-9, 1e9), 1.0)
    """Standard deviation of the loss's difference on one sample, where the whole value is 1."""
    harm: float = _kind(_number(0, 1e9), 0.5)
    """What a delivery of nothing but garbage would cost, where the whole value is 1."""
    rated: float = _kind(_number(0, 1), 1.0)
    """How many of those who could rate do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One scenario."""

    owners: int
    """How many there could be."""
    rounds: int
    seeds: tuple[int, ...]
    designs: tuple[str, ...]
    aggregators: int
    terms: RoundTerms
    sketches: Sketching
    entry: Entry
    ratings: Judgement
    groups: tuple[Group, ...]
    recording: str = ""
    """sha-256 of the recorded sketches, hexadecimal; empty where they are drawn."""

    @property
    def stamp(self) -> dict[str, Any]:
        """What results depend on, for a later run to compare. More rounds, seeds and designs change no result."""
        document = asdict(self)
        for key in ("rounds", "seeds", "designs"):
            del document[key]
        document["sketches"]["recorded"] = None  # its bytes count, and not where they lie
        document["version"] = __version__
        stamp: dict[str, Any] = json.loads(json.dumps(document))
        return stamp


_TOP: Mapping[str, tuple[Callable[[Any, str], Any], Any]] = MappingProxyType(
    {
        "owners": (_whole(2, MOST_OWNERS), MISSING),
        "rounds": (_whole(1, 1_000_000), MISSING),
        "seeds": (_several(_whole(0, MOST_SEED)), (0,)),
        "designs": (_several(_text), ("market",)),
        "aggregators": (_whole(1, 10_000), 1),
    }
)

_TABLES: Mapping[str, type] = {"terms": RoundTerms, "sketches": Sketching, "entry": Entry, "ratings": Judgement}

_GROUP: Mapping[str, tuple[Callable[[Any, str], Any], Any]] = MappingProxyType(
    {
        "name": (_text, MISSING),
        "share": (_number(0, 1e9), 1.0),
        "samples": (_distribution, MISSING),
        "value": (_distribution, Fixed(value=0)),
        "value_falls": (_number(-4, 4), 0.0),
        "reference_samples": (_positive, 1_000.0),
        "cost": (_distribution, Fixed(value=0)),
        "budget": (_distribution, None),
        "buys": (_switch, True),
        "sells": (_switch, True),
        "clusters": (_several(_whole(0, 9_999)), ()),
        "begins": (_number(0, 1), 0.0),
        "strategy": (_text, "truth"),
    }
)


def load_scenario(path: Path) -> Scenario:
    """Reads a scenario. Raises ConfigError, which names the file and the key, and says what is wrong with it."""
    from ..config import read_toml  # what a worker process need not load

    try:
        return read_scenario(read_toml(path), path.parent)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(text if str(path) in text else f"{path}: {text}") from None


def read_scenario(tables: Mapping[str, Any], folder: Path = Path()) -> Scenario:
    """A scenario from what its TOML file says.

    Args:
        folder: where a recording's path starts.
    """
    _known(tables, [*_TOP, *_TABLES, "groups"], "the scenario")
    top = _keys({key: value for key, value in tables.items() if key in _TOP}, _TOP, "the scenario")
    read = {name: _table(kind, tables.get(name, {}), f"[{name}]") for name, kind in _TABLES.items()}
    groups = tables.get("groups")
    if type(groups) is not list or not groups:
        raise ConfigError("the scenario lacks [[groups]]: who takes part?")
    several = tuple(Group(**_keys(each, _GROUP, f"[[groups]] {place}")) for place, each in enumerate(groups, 1))
    recording = ""
    if read["sketches"].recorded is not None:
        file = folder / read["sketches"].recorded
        recording = _recording(file)
        read["sketches"] = replace(read["sketches"], recorded=str(file.resolve()))
    scenario = Scenario(**top, **read, groups=several, recording=recording)
    _check(scenario)
    return scenario


def _recording(path: Path) -> str:
    try:
        read_recording(path)
    except BadInput as error:
        raise ConfigError(f"[sketches] {error}") from None
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _table(kind: type, values: Any, where: str) -> Any:
    return kind(**_keys(values, {each.name: (each.metadata["read"], each.default) for each in fields(kind)}, where))


def _keys(values: Any, known: Mapping[str, tuple[Callable[[Any, str], Any], Any]], where: str) -> dict[str, Any]:
    if type(values) is not dict:
        raise ConfigError(f"{where} is a table, not {values!r}"[:300])
    _known(values, known, where)
    for key, (_, default) in known.items():
        if default is MISSING and key not in values:
            raise ConfigError(f"{where} lacks {key!r}")
    return {
        key: read(values[key], f"{where} {key!r}") if key in values else default
        for key, (read, default) in known.items()
    }


def _known(values: Mapping[str, Any], known: Sequence[str] | Mapping[str, Any], where: str) -> None:
    if unknown := sorted(values.keys() - set(known)):
        raise ConfigError(f"{where} has an unknown key {unknown[0]!r}; known are {', '.join(known)}")


def _check(scenario: Scenario) -> None:
    terms, sketches = scenario.terms, scenario.sketches
    if not scenario.seeds or not scenario.designs:
        raise ConfigError("the scenario needs at least one of 'seeds' and of 'designs'")
    _check_designs(scenario.designs)
    if terms.max_participants * terms.max_sellers > MOST_PURCHASES:
        raise ConfigError(f"[terms] 'max_participants' × 'max_sellers' must be {MOST_PURCHASES} at most")
    if terms.floor >= ONE:
        raise ConfigError("[terms] 'floor' must be below 1, or no two models are alike")
    if terms.most_value < LEAST_VALUE:
        raise ConfigError("[terms] 'reveal_bond' is so small beside 'fee' that no deposit covers a bid")
    if terms.bond is not None and terms.bond < BOND_FACTOR * terms.reveal_bond:
        raise ConfigError(f"[terms] 'bond' must be at least {BOND_FACTOR} reveal bonds")
    if sketches.across > sketches.within:
        raise ConfigError("[sketches] 'across' is above 'within'")
    if scenario.entry.choice not in CHOICES:
        raise ConfigError(f"[entry] 'choice' is one of {', '.join(CHOICES)}, not {scenario.entry.choice!r}")
    if len({group.name for group in scenario.groups}) < len(scenario.groups):
        raise ConfigError("[[groups]] two groups have the same 'name'")
    for group in scenario.groups:
        where = f"[[groups]] {group.name!r}"
        if not group.buys and not group.sells:
            raise ConfigError(f"{where} neither buys nor sells")
        if group.clusters and max(group.clusters) >= sketches.clusters:
            raise ConfigError(f"{where}: cluster {max(group.clusters)} is not one of {sketches.clusters}, from 0")
        _check_strategy(group.strategy, where)
    if not sum(group.share for group in scenario.groups):
        raise ConfigError("[[groups]] no group has a 'share' above 0")
    if not any(group.begins for group in scenario.groups):
        raise ConfigError("[[groups]] nobody 'begins': a market without a first round has no second")


def _check_designs(names: Sequence[str]) -> None:
    from .designs import DESIGNS

    if unknown := [name for name in names if name not in DESIGNS]:
        raise ConfigError(f"there is no design {unknown[0]!r}; there are {', '.join(DESIGNS)}")


def _check_strategy(name: str, where: str) -> None:
    from .bidding import strategy

    try:
        strategy(name)
    except BadInput as error:
        raise ConfigError(f"{where}: {error}") from None

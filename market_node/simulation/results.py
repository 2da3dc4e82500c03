"""Results as Parquet files, whose bytes depend on the scenario alone.

Money is decimal(38, 18), exact, in tokens; reputation is a share of 1. `participants.parquet` has a row per design,
seed, round and owner (several where an owner had several accounts), `rounds.parquet` one per design, seed and round.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import BadInput
from ..files import replacing
from ..records import NOT_SELLING, ONE
from .entry import World
from .lines import Line, Totals

MONEY = pa.decimal128(38, 18)

_WORLD = (("design", pa.string()), ("seed", pa.uint32()), ("round", pa.uint32()))

PARTICIPANTS = pa.schema(
    [
        *_WORLD,
        ("owner", pa.uint32()),
        ("group", pa.string()),
        ("cluster", pa.uint32()),
        ("samples", pa.uint64()),  # true ones
        ("joined", pa.bool_()),  # whether it was in the round; where not, all that follows is null or 0
        ("aggregator", pa.int32()),
        ("account", pa.uint32()),
        ("bid_value", MONEY),
        ("bid_cost", MONEY),  # null: it does not sell
        ("bid_samples", pa.uint64()),
        ("bought", pa.uint32()),
        ("sold", pa.uint32()),
        ("spent", MONEY),
        ("earned", MONEY),
        ("fee", MONEY),  # and lost bonds
        ("worth", MONEY),  # of what it bought, really
        ("harm", MONEY),  # the true cost of the copies that it sold
        ("profit", MONEY),  # earned − spent − fee + worth − harm
        ("reputation", pa.float64()),
    ]
)

ROUNDS = pa.schema(
    [
        *_WORLD,
        ("participants", pa.uint32()),
        ("joined", pa.uint32()),  # for the first time
        ("left", pa.uint32()),  # since the round before
        ("buyers", pa.uint32()),  # that bought
        ("sellers", pa.uint32()),  # that sold
        ("copies", pa.uint32()),
        ("volume", MONEY),  # prices got
        ("spent", MONEY),  # prices paid, less what came from outside
        ("fees", MONEY),
        ("worth", MONEY),
        ("harm", MONEY),
        ("welfare", MONEY),  # worth − harm
        ("subsidy", MONEY),  # from outside
        ("aggregators", MONEY),  # their income
        ("burnt", MONEY),
    ]
)


# --- a file per round of a world ---


def round_path(out: Path, world: World, number: int) -> Path:
    """Where a round's lines are kept."""
    return out / "worlds" / world.design / str(world.seed) / f"{number:06}.parquet"


def write_round(out: Path, world: World, number: int, lines: Sequence[Line], totals: Totals) -> None:
    """Writes a round whole or not at all."""
    path = round_path(out, world, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {name: str(amount) for name, amount in asdict(totals).items()}
    _write(path, _participants(world, number, lines).replace_schema_metadata(told))


def read_round(path: Path) -> tuple[list[Line], Totals]:
    """What `write_round` wrote. Raises BadInput where it did not write that."""
    table = _read(path)
    if table.schema.remove_metadata() != PARTICIPANTS:
        raise BadInput(f"{path} is no round of a simulation: delete it and run again")
    columns = {name: table[name].to_pylist() for name in table.column_names if table.schema.field(name).type != MONEY}
    money = {name: _units(table[name]) for name in table.column_names if table.schema.field(name).type == MONEY}
    told = {key.decode(): int(amount) for key, amount in (table.schema.metadata or {}).items()}
    sells = table["bid_cost"].is_valid().to_pylist()
    lines = [
        Line(
            columns["owner"][row],
            columns["group"][row],
            columns["cluster"][row],
            columns["samples"][row],
            columns["aggregator"][row],
            columns["account"][row],
            money["bid_value"][row],
            money["bid_cost"][row] if sells[row] else NOT_SELLING if columns["joined"][row] else 0,
            columns["bid_samples"][row],
            columns["bought"][row],
            columns["sold"][row],
            money["spent"][row],
            money["earned"][row],
            money["fee"][row],
            money["worth"][row],
            money["harm"][row],
            round(columns["reputation"][row] * ONE),
        )
        for row in range(table.num_rows)
    ]
    return lines, Totals(**told)


def _participants(world: World, number: int, lines: Sequence[Line]) -> pa.Table:
    sells = pa.array([line.joined and line.cost != NOT_SELLING for line in lines])
    columns: dict[str, Any] = {
        **_world(world, number, len(lines)),
        "owner": [line.owner for line in lines],
        "group": [line.group for line in lines],
        "cluster": [line.cluster for line in lines],
        "samples": [line.samples for line in lines],
        "joined": [line.joined for line in lines],
        "aggregator": [line.aggregator for line in lines],
        "account": [line.account for line in lines],
        "bid_value": _money(line.value for line in lines),
        "bid_cost": pc.if_else(sells, _money(line.cost for line in lines), None),
        "bid_samples": [line.claimed for line in lines],
        "bought": [line.bought for line in lines],
        "sold": [line.sold for line in lines],
        "spent": _money(line.spent for line in lines),
        "earned": _money(line.earned for line in lines),
        "fee": _money(line.fee for line in lines),
        "worth": _money(line.worth for line in lines),
        "harm": _money(line.harm for line in lines),
        "profit": _money(line.profit for line in lines),
        "reputation": [line.reputation / ONE for line in lines],
    }
    return _table(PARTICIPANTS, columns)


# --- all of them ---


def gather(out: Path, worlds: Sequence[World]) -> tuple[Path, Path]:
    """Joins the rounds of these worlds into `participants.parquet` and `rounds.parquet`. Returns their paths."""
    participants, rounds = out / "participants.parquet", out / "rounds.parquet"
    totals = []
    with replacing(participants) as file, pq.ParquetWriter(file, PARTICIPANTS, compression="zstd") as writer:
        for world in worlds:
            before: set[int] = set()
            seen: set[int] = set()
            for number in range(1, world.scenario.rounds + 1):
                path = round_path(out, world, number)
                table = _read(path).replace_schema_metadata(None)
                writer.write_table(table, row_group_size=len(table))  # a round, a group: `report` counts on it
                lines, told = read_round(path)
                inside = {line.owner for line in lines if line.joined}
                totals.append(summary(lines, told, _world(world, number, 1), len(inside - seen), len(before - inside)))
                before = inside
                seen |= inside
    _write(rounds, pa.concat_tables(totals))
    return participants, rounds


def summary(lines: Sequence[Line], told: Totals, world: Mapping[str, Any], joined: int, left: int) -> pa.Table:
    """A round's totals, one row."""
    inside = [line for line in lines if line.joined]
    worth, harm = sum(line.worth for line in inside), sum(line.harm for line in inside)
    counts = {
        "participants": len({line.owner for line in inside}),
        "joined": joined,
        "left": left,
        "buyers": sum(line.bought > 0 for line in inside),
        "sellers": sum(line.sold > 0 for line in inside),
        "copies": sum(line.sold for line in inside),
    }
    amounts = {
        "volume": sum(line.earned for line in inside),
        "spent": sum(line.spent for line in inside),
        "fees": sum(line.fee for line in inside),
        "worth": worth,
        "harm": harm,
        "welfare": worth - harm,
        "subsidy": told.subsidy,
        "aggregators": told.aggregator,
        "burnt": told.burnt,
    }
    columns = {name: [count] for name, count in counts.items()} | {
        name: _money([amount]) for name, amount in amounts.items()
    }
    return _table(ROUNDS, {**world, **columns})


def _world(world: World, number: int, rows: int) -> dict[str, list[Any]]:
    return {"design": [world.design] * rows, "seed": [world.seed] * rows, "round": [number] * rows}


def _table(schema: pa.Schema, columns: Mapping[str, Any]) -> pa.Table:
    arrays = [
        columns[each.name] if isinstance(columns[each.name], pa.Array) else pa.array(columns[each.name], each.type)
        for each in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _money(amounts: Iterable[int]) -> pa.Array:
    """Base units as decimals, from their bytes: a thousand times faster than decimal by decimal."""
    raw = [amount.to_bytes(16, "little", signed=True) for amount in amounts]
    return pa.Array.from_buffers(MONEY, len(raw), [None, pa.py_buffer(b"".join(raw))])


def _units(column: pa.ChunkedArray) -> list[int]:
    """Base units of decimals; 0 for null."""
    amounts: list[int] = []
    for chunk in column.chunks:
        raw = bytes(pc.fill_null(chunk, pa.scalar(0, MONEY)).buffers()[1])
        start = 16 * chunk.offset
        raw = raw[start : start + 16 * len(chunk)]
        amounts += [int.from_bytes(raw[at : at + 16], "little", signed=True) for at in range(0, len(raw), 16)]
    return amounts


def _write(path: Path, table: pa.Table) -> None:
    with replacing(path) as file:
        pq.write_table(table, file, compression="zstd")


def _read(path: Path) -> pa.Table:
    try:
        return pq.read_table(path, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadInput(f"cannot read {path} ({' '.join(str(error).split())[:100]}): delete it and run again") from None

"""What the runs come to: tables, and which promise holds by how much."""

from collections.abc import Sequence
from math import isfinite
from statistics import mean

from benchmarks.document import machine, table
from market_node.records import LEAST_REPUTATION, ONE

from ..settings import PARTITIONS, Setting
from ..tables import Points, promise
from .bazaar import LOOKED_AT
from .kinds import COPIES, KINDS, NOISES
from .runs import records, setting
from .training import ATTACKERS, CLIENTS, HONEST

ATTACKS = [kind for kind in KINDS if kind not in ("absent", "honest")]

NOTHING_SOLD = ("shuffled", "sign-flipped", "constant", "noise")
"""Kinds that are to sell nothing."""

LAYERS = ("conv 6", "conv 16", "fc 120", "fc 84", "head")


def report(samples: Sequence[int], seeds: int) -> str:
    settings = [setting(name, size) for size in samples for name in PARTITIONS]
    parts = [
        f"`make bench-learning`: Fashion-MNIST, {CLIENTS} participants, {ATTACKERS} of them attackers of one kind; "
        f"{machine()}. *Cosine*: of their sketches with the eight others'. *Sold*: of the 16 sales to the eight that "
        "a round can bring. *Costs*: points of the eight's mean accuracy on the same steps against a market without "
        "the two, paired, the last with its standard error over seeds (negative: they gain). Each after rounds "
        "1 / 5 / 10; the first two are interim. *Earned*: tokens a round, both together. *Mark*: of the eight's test "
        "pictures with a backdoor's mark, how many are called its class at the end. *Reputation*: mean of the two at "
        f"the end; all begin at {_share(LEAST_REPUTATION)}.",
        promises(settings, seeds),
    ]
    for where in settings:
        parts += kinds_table(where, seeds)
    parts += layers_table(settings, seeds)
    parts += copies_table(settings, seeds)
    parts += ratings_table(settings, seeds)
    return "\n\n".join(parts)


def kinds_table(where: Setting, seeds: int) -> list[str]:
    plain = records(where, "absent", seeds)
    rows = []
    for kind in list(KINDS)[1:]:
        if not (runs := records(where, kind, seeds)):
            continue
        found = list(runs.values())
        rows.append(
            [
                kind,
                len(found),
                " / ".join(f"{mean(each.cosines[at] for each in found):.2f}" for at in LOOKED_AT),
                " / ".join(f"{mean(each.sold[at - 1] for each in found):.1f}" for at in LOOKED_AT),
                f"{mean(mean(each.sold) for each in found):.1f}",
                f"{mean(mean(each.earned) for each in found):.1f}",
                f"{sum(sum(each.excluded) for each in found)} of {ATTACKERS * where.rounds * len(found)}",
                _costs(where, kind, seeds),
                f"{mean(each.backdoor for each in found):.0f}",
                _share(mean(mean(each.attackers_reputations) for each in found)),
            ]
        )
    if not rows:
        return []
    head = ("two of ten", "seeds", "cosine", "sold", "a round", "earned", "excluded", "costs", "mark, %", "reputation")
    name = _name(where)
    alone = f" (mark without the two: {mean(each.backdoor for each in plain.values()):.0f} %)" if plain else ""
    return [f"**{name} samples**{alone}:", table(head, rows)]


def cost(where: Setting, kind: str, seeds: int, at: int) -> Points:
    """Points that the eight lose by a kind, of each seed of which both runs are there."""
    plain, found = records(where, "absent", seeds), records(where, kind, seeds)
    return Points(tuple(plain[seed].accuracies[at] - found[seed].accuracies[at] for seed in plain if seed in found))


def _costs(where: Setting, kind: str, seeds: int) -> str:
    each = [cost(where, kind, seeds, at) for at in LOOKED_AT]
    if not each[-1].seeds:
        return "–"
    error = f" ± {each[-1].error:.1f}" if len(each[-1].seeds) > 1 else ""
    return " / ".join(f"{points.mean:+.1f}" for points in each) + error


def layers_table(settings: Sequence[Setting], seeds: int) -> list[str]:
    """Why the opposite of an update sells."""
    rows = []
    for where in settings:
        for kind in ("honest", "sign-flipped", "label-flip"):
            found = list(records(where, kind, seeds).values())
            if not found:
                continue
            cells = []
            for layer in range(len(LAYERS)):
                share, *alike = zip(*(each.layers[layer] for each in found), strict=True)
                known = [[cosine for cosine in cosines if isfinite(cosine)] for cosines in alike]
                cosines = " / ".join(f"{mean(each):+.2f}" if each else "–" for each in known)
                cells.append(f"{100 * mean(share):.0f} %: {cosines}")
            rows.append([f"{_name(where)}: {kind}", *cells])
    if not rows:
        return []
    head = ("the two", *LAYERS)
    return [
        "In the first round, of each layer: its share of an attacker's update (squared), and the mean cosine with the "
        "same layer of those of the eight that buy it / of those that do not.",
        table(head, rows),
    ]


def copies_table(settings: Sequence[Setting], seeds: int) -> list[str]:
    rows = []
    for where in settings:
        found = list(records(where, "absent", seeds).values())
        if not found:
            continue
        shares = []
        for dress in COPIES:
            tried, caught = (sum(each.copies[dress][part] for each in found) for part in (0, 1))
            shares.append(f"{100 * caught / tried:.0f} of {tried}" if tried else "–")
        wrong, models = wrongly(where, seeds)
        rows.append([_name(where), *shares, f"{100 * wrong / models:.1f} of {models}"])
    if not rows:
        return []
    head = ("copies of a delivery of the last round, % excluded of those tried", *COPIES, "honest models, % excluded")
    return [table(head, rows)]


def wrongly(where: Setting, seeds: int) -> tuple[int, int]:
    """Honest models that were excluded, of how many: where nobody attacks, after the first round."""
    pools = [each for kind in ("absent", "honest") for each in records(where, kind, seeds).values()]
    return sum(sum(each.wrongly) for each in pools), HONEST * (where.rounds - 1) * len(pools)


def ratings_table(settings: Sequence[Setting], seeds: int) -> list[str]:
    rows = []
    for where in settings:
        for kind in ("absent", "honest", "label-flip", "backdoor", "sign-flipped", "scaled", "resold"):
            found = list(records(where, kind, seeds).values())
            given = [each for record in found for each in record.rated]
            others = [each for record in found for each in record.rated_with]
            if not given + others:
                continue
            eight = [each for record in found for each in record.reputations]
            rows.append(
                [
                    f"{_name(where)}: {kind}",
                    *(_shares(given), _shares(others)),
                    _share(mean(eight)),
                    f"{sum(each > LEAST_REPUTATION for each in eight)} of {len(eight)}",
                    _share(mean(mean(record.attackers_reputations) for record in found)),
                ]
            )
    if not rows:
        return []
    head = (
        "the two",
        "rows without them rated 100 / 75 / 0, %",
        "rows with them",
        "reputation of the eight",
        "above where it began",
        "of the two",
    )
    return [
        f"Ratings on hold-outs, and mean reputations after ten rounds (all begin at {_share(LEAST_REPUTATION)}, "
        "the least there is):",
        table(head, rows),
    ]


def promises(settings: Sequence[Setting], seeds: int) -> str:
    """What was promised, and what is missing to it."""
    said = []
    for where in settings:
        name = _name(where)
        for kind in ATTACKS:
            points = cost(where, kind, seeds, LOOKED_AT[-1])
            if points.seeds and kind != "resold, unchecked":
                error = f", ± {points.error:.2f} over {len(points.seeds)} seeds" if len(points.seeds) > 1 else ""
                said.append(promise(f"{name}: {kind} costs the honest at most 1 point{error}", 1 - points.mean))
            if kind in NOTHING_SOLD and (found := records(where, kind, seeds)):
                sold = mean(mean(each.sold) for each in found.values())
                said.append(promise(f"{name}: {kind} sells nothing", 0 - sold, "sales a round"))
        said += _promises_of_copies(where, seeds)
        found = [each for kind in ("absent", "honest") for each in records(where, kind, seeds).values()]
        if any(each.rated + each.rated_with for each in found):
            said.append(grown(name, [each for record in found for each in record.reputations]))
    kept = [line for line in said if line.startswith("- met")]
    return f"Promises: {len(kept)} of {len(said)} met.\n\n" + "\n".join(sorted(said, key=kept.__contains__))


def grown(name: str, honest: Sequence[int]) -> str:
    """Everybody begins at the least that there is, so a mean could only grow: counted is whose reputation did.

    Args:
        honest: their reputations at the end.
    """
    share = 100 * mean(reputation > LEAST_REPUTATION for reputation in honest)
    text = f"{name}: of the honest at least 7 in 8 end above the reputation with which they began"
    return promise(text, share - 100 * 7 / 8, "percent")


def _promises_of_copies(where: Setting, seeds: int) -> list[str]:
    found, name = list(records(where, "absent", seeds).values()), _name(where)
    if not found:
        return []
    said = []
    for what, dresses, least in (
        ("copies as they are", ("as it is",), 100),
        ("copies under 10 to 50 % noise", [f"{level} % noise" for level in NOISES], 95),
    ):
        tried, caught = (sum(each.copies[dress][part] for each in found for dress in dresses) for part in (0, 1))
        said.append(promise(f"{name}: {what} are excluded in {least} %", 100 * caught / tried - least, "percent"))
    wrong, models = wrongly(where, seeds)
    said.append(promise(f"{name}: at most 1 % of honest models are excluded", 1 - 100 * wrong / models, "percent"))
    return said


def _name(where: Setting) -> str:
    return where.name.removesuffix(", attacked")


def _shares(given: Sequence[int]) -> str:
    if not given:
        return "–"
    return " / ".join(f"{100 * given.count(each) / len(given):.0f}" for each in (100, 75, 0)) + f" of {len(given)}"


def _share(reputation: float) -> str:
    return f"{reputation / ONE:.3f}"

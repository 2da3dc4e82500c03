"""Writes the vectors that hold this package and the contracts together: `python -m tests.vectors.make`.

Numbers are decimal strings, bytes are hex; sellers and buyers are named by index. A second implementation that agrees
with every case here pays what this one pays.
"""

import hashlib
import json
from dataclasses import astuple
from pathlib import Path
from random import Random

from market_node import codec
from market_node.mechanism import Offer, candidates, effective_samples, gain, row
from market_node.records import ONE, Bid, Model, Purchase, Round, Row, Settlement
from market_node.settlement import counted_rows, payout, refunds, reputations, reveals_hash, row_weights, settle
from market_node.sketch import similarity
from tests.unit.rounds import LEAST_VALUE, MOST, ZERO_SKETCH, account, random_exclusions, random_round, spoilt

HERE = Path(__file__).parent
MOST_SAMPLES = (1 << 64) - 1


def text(value: object) -> object:
    """`value` as JSON can hold it without loss in any language."""
    match value:
        case bool() | None | str():
            return value
        case int():
            return str(value)
        case bytes():
            return "0x" + value.hex()
        case Purchase() | Offer():
            return {name: text(getattr(value, name)) for name in value.__slots__}
        case dict():
            return {str(key): text(item) for key, item in value.items()}
        case frozenset():
            return [text(item) for item in sorted(value)]
        case list() | tuple():
            return [text(item) for item in value]
    raise TypeError(f"no vector holds a {type(value).__name__}")


# --- mechanism ---


def gains(rng: Random) -> list[dict[str, object]]:
    corners = [
        (value, samples, imported)
        for value in (0, LEAST_VALUE, 10**18, MOST)
        for samples in (1, 3_000, MOST_SAMPLES)
        for imported in (0, 1, 3_000, MOST_SAMPLES, 32 * MOST_SAMPLES)
    ]
    drawn = [
        (
            rng.getrandbits(rng.randint(21, 96)),
            1 + rng.getrandbits(rng.randint(1, 63)),
            rng.getrandbits(rng.randint(1, 69)),
        )
        for _ in range(140)
    ]
    return [
        {"value": value, "samples": samples, "imported": imported, "gain": gain(value, samples, imported)}
        for value, samples, imported in corners + drawn
    ]


def sizes(rng: Random) -> list[dict[str, object]]:
    corners = [
        (samples, reputation, limit, similar)
        for samples in (1, MOST_SAMPLES)
        for reputation in (2_048, ONE)
        for limit in (31, 32, MOST_SAMPLES)
        for similar in (0, 1, ONE - 1, ONE)
    ]
    drawn = [
        (rng.getrandbits(16) + 1, rng.randint(2_048, ONE), rng.getrandbits(20), rng.randint(0, ONE)) for _ in range(50)
    ]
    return [
        {
            "samples": samples,
            "reputation": reputation,
            "maxSamples": limit,
            "similarity": similar,
            "effectiveSamples": effective_samples(samples, reputation, limit, similar),
        }
        for samples, reputation, limit, similar in corners + drawn
    ]


def a_row(name: str, value: int, samples: int, max_sellers: int, offers: list[Offer]) -> dict[str, object]:
    looked_at, left_out = candidates(value, samples, offers, max_sellers)
    return {
        "name": name,
        "value": value,
        "samples": samples,
        "maxSellers": max_sellers,
        "offers": offers,
        "candidates": [offer.seller for offer in looked_at],
        "leftOut": None if left_out is None else left_out.seller,
        "purchases": row(value, samples, offers, max_sellers),
    }


def corner_rows() -> list[dict[str, object]]:
    whole, cost = gain(LEAST_VALUE, 300, 300), gain(10**18, 100, 100) - 1
    return [
        a_row("nobody offers", 10**18, 300, 8, []),
        a_row("a pure seller buys nothing, even for nothing", 0, 300, 8, [Offer(0, 0, 300)]),
        a_row("one seller is paid all that it brings", LEAST_VALUE, 300, 8, [Offer(0, 17, 900)]),
        a_row("one that costs all that it brings", LEAST_VALUE, 300, 8, [Offer(0, whole, 300)]),
        a_row("one that costs a unit more", LEAST_VALUE, 300, 8, [Offer(0, whole + 1, 300)]),
        a_row("a tie in density, won", 10**18, 100, 8, [Offer(1, cost, 100), Offer(0, 0, 100)]),
        a_row("a tie in density, lost", 10**18, 100, 8, [Offer(1, cost, 100), Offer(2, 0, 100)]),
        a_row("a tie with the one left out, won", LEAST_VALUE, 300, 1, [Offer(5, 10, 300), Offer(6, 50, 300)]),
        a_row("a tie with the one left out, lost", LEAST_VALUE, 300, 1, [Offer(5, 10, 300), Offer(4, 50, 300)]),
        a_row("twins: the lower index is the candidate", LEAST_VALUE, 300, 1, [Offer(6, 9, 300), Offer(5, 9, 300)]),
        a_row("all the same and free", MOST, 3_000, 8, [Offer(i, 0, 3_000) for i in range(9)]),
        a_row(
            "densities that a float cannot tell apart",
            MOST,
            10**17,
            8,
            [Offer(0, 10**17, 10**17 + 1), Offer(1, 10**17 - 1, 10**17)],
        ),
        a_row(
            "the third of arXiv 2505.02462's sellers",
            12_909_944_487_358_056_283,
            3_000,
            32,
            [Offer(0, 5 * 10**17, 3_000), Offer(1, 10**18, 3_000), Offer(2, 6 * 10**17, 3_000)],
        ),
        a_row(
            "a unit of rounding at the end of the range",
            76_877_095_067_969_295_756_912_638_330,
            10_664_796_782_905_116_111,
            32,
            [Offer(1, 0, 7), Offer(2, 18_021_228_305, 5), Offer(0, 3_604_245_662, 1)],
        ),
        a_row("the largest of everything", MOST, 1, 32, [Offer(i, MOST - 1 - i, MOST_SAMPLES) for i in range(33)]),
        a_row(
            "32 of one free sample",
            10**20,
            3_000,
            32,
            [Offer(i, 10**17 * (i < 8), 1_000 if i < 8 else 1) for i in range(40)],
        ),
    ]


def drawn_row(rng: Random) -> dict[str, object]:
    """A row with competition in it: costs near what the sellers are worth, every third one on a lattice."""
    value, samples = rng.randrange(LEAST_VALUE, 1 << rng.randint(21, 96)), rng.choice([1, 7, 3_000, 10**6, 1 << 40])
    n, unit = rng.choice([2, 3, 5, 8, 12]), rng.choice([max(1, samples // 4), samples])
    sizes = [rng.choice([unit, 2 * unit, 3 * unit, rng.randint(1, 4 * unit)]) for _ in range(n)]
    step = max(1, gain(value, samples, unit) // 8)
    if rng.random() < 0.35:
        costs = [step * rng.randint(0, 6) for _ in sizes]
    else:
        costs = [gain(value, samples, size) * rng.randint(0, 105) // 100 for size in sizes]
    indices = rng.sample(range(1_024), n)
    offers = [Offer(*offer) for offer in zip(indices, costs, sizes, strict=True)]
    return a_row("drawn", value, samples, rng.choice([1, 2, max(1, n - 1), 8, 32]), offers)


def mechanism() -> dict[str, list[dict[str, object]]]:
    rng = Random("mechanism")
    drawn = [drawn_row(rng) for _ in range(200)]
    crowded = [Offer(i, rng.randrange(10**15, 10**17), rng.randint(500, 3_000)) for i in range(48)]
    return {
        "gain": gains(rng),
        "effectiveSamples": sizes(rng),
        "rows": [*corner_rows(), a_row("32 of 48", 10**19, 3_000, 32, crowded), *drawn],
    }


# --- settlement ---


def a_settlement(name: str, round: Round, settlement: Settlement, rng: Random) -> dict[str, object]:
    """A settlement in all its forms, and what it comes to."""
    n = len(round.participants)
    words, rows_hash = codec.encode_excluded(settlement.excluded, n), codec.rows_hash(settlement.rows)
    paid = payout(round, settlement)
    fresh = all(p.reveal is None or p.reveal.reputation == 2_048 for p in round.participants)
    now = [2_048 if fresh else rng.randint(2_048, ONE) for _ in range(n)]
    return {
        "name": name,
        "excluded": settlement.excluded,
        "excludedWords": words,
        "rows": settlement.rows,
        "rowsBytes": codec.encode_rows(settlement.rows),
        "rowsHash": rows_hash,
        "settlementWord": codec.settlement_word(words, rows_hash),
        "counted": [bool(row) for row in counted_rows(round, settlement)],
        "credits": paid.credits,
        "burnt": paid.burnt,
        "aggregator": paid.aggregator,
        "reputationsBefore": now,
        "reputationsAfter": reputations(round, settlement, now),
    }


def a_round(name: str, rng: Random, round: Round) -> dict[str, object]:
    terms = round.terms
    sketches = [p.reveal.sketch if p.reveal else ZERO_SKETCH for p in round.participants]
    right = settle(round, random_exclusions(rng, round))
    return {
        "name": name,
        "terms": {
            "fee": terms.fee,
            "revealBond": terms.reveal_bond,
            "bond": terms.bond,
            "maxSamples": terms.max_samples,
            "similarityFloor": terms.similarity_floor,
            "maxSellers": terms.max_sellers,
        },
        "participants": [
            {
                "deposit": p.deposit,
                "model": dict(zip(("cid", "root"), astuple(p.model), strict=True)),
                "reveal": p.reveal
                and {
                    "bid": dict(zip(("value", "cost", "samples", "minReputation"), astuple(p.reveal.bid), strict=True)),
                    "reputation": p.reveal.reputation,
                    "sketch": p.reveal.sketch,
                },
                "rating": p.rating,
                "rejected": p.rejected,
            }
            for p in round.participants
        ],
        "revealOrder": round.reveal_order,
        "revealsHash": reveals_hash(round),
        "similarities": similarity(sketches, terms.similarity_floor),
        "weights": row_weights(round, right),
        "settlements": [
            a_settlement("right", round, right, rng),
            a_settlement("wrong, and nobody challenged it", round, spoilt(rng, round, right), rng),
        ],
        "void": [
            {
                "challengers": challengers,
                "credits": void.credits,
                "burnt": void.burnt,
                "aggregator": void.aggregator,
                "challenger": void.challenger,
            }
            for challengers in (0, 1, 3)
            for void in [refunds(round, with_fault=True, challengers=[account(0)] * challengers)]
        ],
    }


def settlement() -> dict[str, list[dict[str, object]]]:
    """Every other round starts from fresh reputations, so that a new market can play it through."""
    rng = Random("settlement")
    rounds = [
        a_round(f"{'fresh' if i % 2 == 0 else 'old'} {i}", rng, random_round(rng, fresh=i % 2 == 0)) for i in range(40)
    ]
    return {"rounds": rounds}


# --- codec ---


def bids(rng: Random) -> list[dict[str, object]]:
    found = []
    for bid in [
        Bid(0, MOST, 1, 0),
        Bid(MOST, 0, MOST_SAMPLES, (1 << 24) - 1),
        Bid(LEAST_VALUE, 10**18, 3_000, 2_048),
        Bid(rng.getrandbits(95), rng.getrandbits(95), rng.getrandbits(63), ONE),
    ]:
        market, owner = (f"0x{rng.getrandbits(160):040x}" for _ in range(2))
        chain_id, number, index, reputation = (
            rng.choice([1, 31_337]),
            rng.randint(1, 10**6),
            rng.randrange(1_024),
            65_536,
        )
        salt, sketch, before = rng.randbytes(32), rng.randbytes(1_024), rng.randbytes(30)
        model = Model(rng.randbytes(32), rng.randbytes(32))
        sealed = codec.seal_bid(market, chain_id, number, owner, bid, salt)
        record = codec.bid_record(index, bid, reputation, sketch, model)
        found.append(
            {
                "market": market,
                "chainId": chain_id,
                "round": number,
                "account": owner,
                "bid": dict(zip(("value", "cost", "samples", "minReputation"), astuple(bid), strict=True)),
                "salt": salt,
                "sealedBid": sealed,
                "model": dict(zip(("cid", "root"), astuple(model), strict=True)),
                "commitRecord": codec.commit_record(sealed, model),
                "index": index,
                "reputation": reputation,
                "sketch": sketch,
                "bidRecord": record,
                "revealsHashBefore": before,
                "revealsHashAfter": codec.next_reveals_hash(before, index, record),
            }
        )
    return found


def settlements(rng: Random) -> list[dict[str, object]]:
    cases: list[tuple[tuple[Row, ...], frozenset[int]]] = [
        (((), ()), frozenset()),
        (((Purchase(1, 0),), (Purchase(0, MOST), Purchase(65_535, 1))), frozenset({1})),
        (((),) * 255 + ((Purchase(7, 10**18),), ()), frozenset({0, 255, 256})),
    ]
    return [
        {
            "n": len(rows),
            "rows": rows,
            "rowsBytes": codec.encode_rows(rows),
            "rowHashes": [codec.row_hash(row) for row in rows[:4]],
            "rowsHash": codec.rows_hash(rows),
            "excluded": excluded,
            "excludedWords": (words := codec.encode_excluded(excluded, len(rows))),
            "settlementWord": codec.settlement_word(words, codec.rows_hash(rows)),
        }
        for rows, excluded in cases
    ]


def chain_bytes() -> dict[str, list[dict[str, object]]]:
    rng = Random("codec")
    digests = [bytes(32), hashlib.sha256(b"").digest(), hashlib.sha256(b"\x0a\x02\x08\x01").digest()]
    blocks = [(bytes(32), 1), (rng.randbytes(32), rng.randint(1, 10**6))]
    return {
        "bids": bids(rng),
        "seeds": [{"blockHash": b, "round": number, "seed": codec.seed(b, number)} for b, number in blocks],
        "settlements": settlements(rng),
        "malformedRows": [
            {"n": n, "maxSellers": 4, "rowsBytes": data}
            for data, n in [
                (b"", 1),
                (b"\0\0\0", 2),
                (b"\0", 2),
                (b"\x01" + bytes(13), 1),
                (b"\x01" + bytes(15), 1),
                (b"\0\x05" + bytes(70), 2),
                (b"\xff", 1),
            ]
        ],
        "cids": [
            {"digest": digest, "codec": kind, "cid": codec.cid_text(digest, kind)}
            for digest in digests
            for kind in (codec.RAW, codec.DAG_PB)
        ],
    }


def vectors() -> dict[str, str]:
    """The text of each file, a case to a line."""
    files = {"mechanism": mechanism(), "settlement": settlement(), "codec": chain_bytes()}

    def lines(cases: list[dict[str, object]]) -> str:
        return ",\n".join(json.dumps(text(case), separators=(",", ":")) for case in cases)

    return {
        f"{name}.json": "{\n" + ",\n".join(f'"{kind}": [\n{lines(cases)}\n]' for kind, cases in kinds.items()) + "\n}\n"
        for name, kinds in files.items()
    }


if __name__ == "__main__":
    for name, content in vectors().items():
        (HERE / name).write_text(content)

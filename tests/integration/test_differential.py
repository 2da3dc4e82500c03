"""The compiled mechanism against market_node.mechanism, bit for bit: shared vectors, and random rows from a seed.

10,000 rows by default; DIFFERENTIAL_ROWS and DIFFERENTIAL_SEED in the environment ask for more and for others.
"""

import json
import os
from collections.abc import Sequence
from itertools import pairwise
from math import isqrt
from pathlib import Path
from random import Random

import pytest
import solcx
from eth_abi import decode, encode
from eth_utils import function_signature_to_4byte_selector as selector

from market_node import compile as build
from market_node import mechanism
from market_node.codec import encode_row
from market_node.mechanism import Offer
from market_node.records import LEAST_VALUE, NOT_SELLING, ONE, SKETCH_SIZE, Round
from market_node.settlement import offers_to, settle
from market_node.sketch import cosine, similarity
from tests.unit.rounds import family, random_exclusions, random_round, random_sketch

pyrevm = pytest.importorskip("pyrevm", reason="the EVM that these tests run the contracts in; pip install pyrevm")

ROWS = int(os.environ.get("DIFFERENTIAL_ROWS", "10000"))
SEED = os.environ.get("DIFFERENTIAL_SEED", "1")
VECTORS = Path(__file__).parent.parent / "vectors"
MOST, MOST_SAMPLES = NOT_SELLING, (1 << 64) - 1

OFFERS = "(uint256,uint256,uint256,uint256)[]"


class Harness:
    """contracts/test/MechanismHarness.sol in an EVM of its own."""

    def __init__(self, bytecode: bytes) -> None:
        self._evm = pyrevm.EVM(gas_limit=1 << 40, spec_id="PRAGUE")
        self._caller = "0x" + "11" * 20
        self._evm.set_balance(self._caller, 1 << 80)
        self._address = self._evm.deploy(self._caller, bytecode)

    def call(self, name: str, arguments: Sequence[tuple[str, object]], result: str) -> object:
        types, values = zip(*arguments, strict=True)
        calldata = selector(f"{name}({','.join(types)})") + encode(types, values)
        output = self._evm.message_call(self._caller, self._address, calldata, gas=1 << 30, is_static=True)
        return decode([result], bytes(output))[0]

    def number(self, name: str, *arguments: int, result: str = "uint256") -> int:
        return self.call(name, [("uint256", argument) for argument in arguments], result)

    def choose(self, value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> list[int]:
        return list(self.call("choose", _judged(value, samples, offers, max_sellers), "uint256[]"))

    def row(self, value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> bytes:
        return self.call("row", _judged(value, samples, offers, max_sellers), "bytes")

    def similarity(self, own: bytes, others: Sequence[bytes], floor: int) -> list[int]:
        arguments = [("bytes", own), ("bytes[]", others), ("uint256", floor)]
        return list(self.call("similarity", arguments, "uint256[]"))


def _judged(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> list[tuple[str, object]]:
    """What the judge of a row is given: of the offers, the candidates by merit and the first one left out."""
    looked_at, left_out = mechanism.candidates(value, samples, offers, max_sellers)
    ranked = [*looked_at, *filter(None, [left_out])]
    with_merit = [(o.seller, o.cost, o.size, mechanism.merit(value, samples, o)) for o in ranked]
    return [("uint256", value), ("uint256", samples), (OFFERS, with_merit), ("uint256", max_sellers)]


@pytest.fixture(scope="module")
def harness() -> Harness:
    folder = build.ROOT / "contracts"
    names = ["test/MechanismHarness", "libraries/Mechanism", "libraries/Sketch", "libraries/isqrt"]
    standard = {
        "language": "Solidity",
        "sources": {f"{name}.sol": {"content": (folder / f"{name}.sol").read_text()} for name in names},
        "settings": {**build.SETTINGS, "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
    }
    compiled = solcx.compile_standard(standard, solc_binary=str(build.ROOT / "deploy" / "solc-shim"))
    contract = compiled["contracts"]["test/MechanismHarness.sol"]["MechanismHarness"]
    return Harness(bytes.fromhex(contract["evm"]["bytecode"]["object"]))


def seeded(name: str) -> Random:
    return Random(f"{name} {SEED}")


def length(rng: Random, bits: int) -> int:
    """A number of at most `bits` bits, all lengths alike, at least 1."""
    return rng.randint(1, (1 << rng.randint(1, bits)) - 1)


# --- root, gain, effective samples, merit ---


def test_roots_are_equal(harness):
    rng = seeded("root")
    for _ in range(ROWS // 4):
        square = length(rng, 128) ** 2
        for x in (square - 1, square, square + 1, length(rng, 256)):
            assert harness.number("squareRoot", x) == isqrt(x), x


def test_gains_are_equal(harness):
    rng = seeded("gain")
    for _ in range(ROWS):
        market = rng.choice([length(rng, 96), MOST]), rng.choice([length(rng, 64), MOST_SAMPLES]), length(rng, 69)
        assert harness.number("gain", *market) == mechanism.gain(*market), market


def test_effective_samples_are_equal(harness):
    rng = seeded("effective samples")
    for _ in range(ROWS):
        claim = length(rng, 64), rng.randint(2_048, ONE), length(rng, 64), rng.randint(0, ONE)
        assert harness.number("effectiveSamples", *claim) == mechanism.effective_samples(*claim), claim


def test_merits_are_equal(harness):
    rng = seeded("merit")
    for _ in range(ROWS):
        value, samples, size = length(rng, 96), length(rng, 64), length(rng, 64)
        worth = mechanism.gain(value, samples, size)
        cost = rng.choice([rng.randint(0, worth), length(rng, 96) % (worth + 1), worth])
        merit = mechanism.merit(value, samples, Offer(0, cost, size))
        assert harness.number("merit", worth, cost) == merit >= 0


# --- rows ---


def random_offers(rng: Random, value: int, samples: int) -> list[Offer]:
    """Offers worth the buyer's while, near enough to each other to compete; half of them on a lattice, with ties."""
    n = rng.choice([1, 2, 3, 5, 8, 8, 13, 33, 40])
    unit = max(1, min(samples * rng.choice([1, 1, 10, 1_000]) // rng.choice([1, 2, 10, 1_000]), MOST_SAMPLES // 4))
    if rng.random() < 0.5:
        sizes = [unit * rng.choice([1, 1, 2, 3, 4]) for _ in range(n)]
        step = max(1, mechanism.gain(value, samples, unit) // rng.choice([3, 4, 8, 64]))
        costs = [step * rng.randint(0, 6) for _ in range(n)]
    else:
        sizes = [rng.randint(1, 4 * unit) for _ in range(n)]
        dearest = rng.choice([5, 30, 120])
        costs = [mechanism.gain(value, samples, size) * rng.randint(0, dearest) // 100 for size in sizes]
    sellers = rng.sample(range(rng.choice([n, 1_024, 1 << 16])), n)
    return [Offer(*offer) for offer in zip(sellers, costs, sizes, strict=True)]


def random_market(rng: Random) -> tuple[int, int, list[Offer], int]:
    value = rng.choice([length(rng, 96) | LEAST_VALUE, 10**18, 10**20, MOST])
    samples = rng.choice([1, 3_000, length(rng, 20), length(rng, 64), MOST_SAMPLES])
    return value, samples, random_offers(rng, value, samples), rng.choice([1, 2, 4, 8, 32, 32])


def test_choices_are_equal(harness):
    rng = seeded("choices")
    for _ in range(ROWS // 4):
        value, samples, offers, max_sellers = random_market(rng)
        looked_at, _ = mechanism.candidates(value, samples, offers, max_sellers)
        chosen = mechanism.choose(value, samples, looked_at)
        assert harness.choose(value, samples, offers, max_sellers) == [offer.seller for offer in chosen]


def test_rows_are_equal(harness):
    rng = seeded("rows")
    purchases, capped = 0, 0
    for _ in range(ROWS):
        market = random_market(rng)
        row = mechanism.row(*market)
        assert harness.row(*market) == encode_row(row), market
        purchases += len(row)
        capped += len(market[2]) > market[3] and bool(row)
    assert purchases > 2 * ROWS, "too few purchases to mean anything"
    assert capped > ROWS // 5, "the cap hardly ever binds"


def test_the_order_of_candidates_is_equal(harness):
    rng = seeded("candidates")
    for _ in range(ROWS // 10):
        value, samples, offers, max_sellers = random_market(rng)
        looked_at, left_out = mechanism.candidates(value, samples, offers, max_sellers)
        ranked = [(mechanism.merit(value, samples, o), o.seller) for o in [*looked_at, *filter(None, [left_out])]]
        for first, second in pairwise(ranked):
            assert harness.number("comesBefore", *first, *second, result="bool")
            assert not harness.number("comesBefore", *second, *first, result="bool")


# --- sketches ---


def related_sketches(rng: Random, n: int) -> list[bytes]:
    """Some alike, some opposite, some zero, some at the ends of the range."""
    families = [family(rng), family(rng)]
    extreme = bytes(rng.choice([0x7F, 0x81]) for _ in range(SKETCH_SIZE))
    lonely = bytearray(SKETCH_SIZE)
    lonely[rng.randrange(SKETCH_SIZE)] = 0x81
    drawn = [random_sketch(rng, families) for _ in range(n)]
    opposite = bytes(-byte & 0xFF for byte in drawn[0])
    return [*drawn, opposite, extreme, bytes(lonely), bytes(SKETCH_SIZE)]


def test_similarities_are_equal(harness):
    rng = seeded("similarity")
    positive = 0
    for _ in range(max(1, ROWS // 250)):
        sketches = related_sketches(rng, 12)
        floor = rng.choice([0, ONE // 10, ONE - 1, rng.randrange(ONE)])
        expected = similarity(sketches, floor)
        for own, row in zip(sketches, expected, strict=True):
            assert harness.similarity(own, sketches, floor) == row
        positive += sum(0 < s < ONE for row in expected for s in row)
    assert positive > 20, "too few similarities to mean anything"


def test_cosines_are_equal(harness):
    rng = seeded("cosine")
    sketches = related_sketches(rng, 6)
    for a in sketches:
        for b in sketches:
            assert harness.call("cosine", [("bytes", a), ("bytes", b)], "uint256") == cosine(a, b)


# --- whole rounds ---


def judged_row(harness: Harness, round: Round, excluded: frozenset[int], buyer: int) -> bytes:
    """A buyer's row, all of it computed by the contract's libraries but who is eligible."""
    sketches = [p.reveal.sketch if p.reveal else bytes(SKETCH_SIZE) for p in round.participants]
    bid = round.participants[buyer].reveal.bid
    similarities = harness.similarity(sketches[buyer], sketches, round.terms.similarity_floor)
    offers = offers_to(buyer, round, excluded, similarities)
    return harness.row(bid.value, bid.samples, offers, round.terms.max_sellers)


def test_every_row_of_a_random_round_is_equal(harness):
    rng = seeded("rounds")
    purchases = 0
    for _ in range(max(1, ROWS // 50)):
        round = random_round(rng)
        settlement = settle(round, random_exclusions(rng, round))
        for buyer, row in enumerate(settlement.rows):
            if round.participants[buyer].reveal is not None and buyer not in settlement.excluded:
                assert judged_row(harness, round, settlement.excluded, buyer) == encode_row(row)
                purchases += len(row)
    assert purchases > ROWS // 50, "too few purchases to mean anything"


# --- the vectors ---


def vectors(name: str) -> list[dict]:
    return json.loads((VECTORS / "mechanism.json").read_text())[name]


def test_the_vectors_gains(harness):
    for case in vectors("gain"):
        *market, expected = map(int, case.values())
        assert harness.number("gain", *market) == expected, case


def test_the_vectors_effective_samples(harness):
    for case in vectors("effectiveSamples"):
        *claim, expected = map(int, case.values())
        assert harness.number("effectiveSamples", *claim) == expected, case


def ranked_offers(case: dict) -> list[tuple[int, int, int, int]]:
    """The vector's candidates and first one left out; the merits are not the vector's but computed here."""
    value, samples = int(case["value"]), int(case["samples"])
    offers = {offer["seller"]: Offer(*map(int, offer.values())) for offer in case["offers"]}
    ranked = [offers[seller] for seller in [*case["candidates"], *filter(None, [case["leftOut"]])]]
    return [(o.seller, o.cost, o.size, mechanism.merit(value, samples, o)) for o in ranked]


def test_the_vectors_rows(harness):
    for case in vectors("rows"):
        purchases = [(int(purchase["seller"]), int(purchase["price"])) for purchase in case["purchases"]]
        expected = bytes([len(purchases)]) + b"".join(s.to_bytes(2) + p.to_bytes(12) for s, p in purchases)
        numbers = [("uint256", int(case[name])) for name in ("value", "samples", "maxSellers")]
        arguments = [*numbers[:2], (OFFERS, ranked_offers(case)), numbers[2]]
        assert harness.call("row", arguments, "bytes") == expected, case["name"]


def test_the_vectors_similarities(harness):
    for round in json.loads((VECTORS / "settlement.json").read_text())["rounds"]:
        reveals = [p["reveal"] for p in round["participants"]]
        sketches = [bytes.fromhex(r["sketch"][2:]) if r else bytes(SKETCH_SIZE) for r in reveals]
        floor = int(round["terms"]["similarityFloor"])
        for own, expected in zip(sketches, round["similarities"], strict=True):
            assert harness.similarity(own, sketches, floor) == [int(s) for s in expected], round["name"]

"""Money on chain: random rounds, right and wrong, end with every balance as the pure functions compute it."""

from dataclasses import dataclass
from random import Random

import pytest

from market_node.audit import audit
from market_node.chain import Chain, Phase
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.history import History
from market_node.records import LEAST_VALUE, NOT_SELLING, ONE, Bid, Model, Round, Terms
from market_node.settlement import Payout, Refund, payout, refunds, reputations, reveals_hash, settle
from tests.unit.rounds import family, random_exclusions, random_sketch, spoilt

PHASE = 3600
MOST = 40
FORTUNE = 1 << 60
CASES = [
    *(("right", n) for n in (0, 1, 2, 3, 5, 9, 40)),
    *(("wrong", n) for n in (2, 3, 4, 7, 12)),
    *(("no settlement", n) for n in (2, 5)),
    *(("one reveals", n) for n in (2, 6)),
    *(("no seed", n) for n in (2, 4)),
]
"""How a round goes, and how many commit."""


@dataclass
class World:
    """One market, one aggregator and forty funded accounts."""

    devnet: Devnet
    operator: Chain
    accounts: list[Chain]
    history: History

    def balances(self) -> list[int]:
        """What everybody has available, the aggregator first."""
        return [chain.available(chain.account) for chain in (self.operator, *self.accounts)]


@pytest.fixture(scope="module")
def world() -> World:
    devnet = Devnet(accounts=MOST + 1)
    operator, *others = devnet.accounts
    deployment = deploy(devnet.provider, operator, min_phase=PHASE)
    chains = [Chain(devnet.provider, deployment.market, account) for account in (operator, *others)]
    for chain in chains:
        mint(devnet.provider, operator, deployment.token, chain.account, FORTUNE)
        chain.fund(FORTUNE)
        chain.set_encryption_key(b"\1" * 32)
    return World(devnet, chains[0], chains[1:], History(Chain(devnet.provider, deployment.market)))


def terms(rng: Random, now: int) -> Terms:
    reveal_bond = LEAST_VALUE + rng.randrange(1000)
    return Terms(
        task=bytes(32),
        fee=rng.choice([0, 1000 + rng.randrange(10)]),
        reveal_bond=reveal_bond,
        bond=16 * reveal_bond + rng.randrange(1000),
        max_samples=64_000,
        similarity_floor=ONE // 10,
        max_sellers=rng.choice([1, 2, 4, 8]),
        max_participants=max(MOST, 2),
        commit_deadline=now + PHASE,
        draw_time=PHASE,
        reveal_time=PHASE,
        settle_time=PHASE,
        challenge_time=PHASE,
        refute_time=PHASE,
    )


def random_bid(rng: Random) -> Bid:
    value = rng.choice([0, LEAST_VALUE, rng.randint(LEAST_VALUE, 10 * LEAST_VALUE)])
    cost = rng.choice([0, 1000, rng.randrange(LEAST_VALUE), NOT_SELLING])
    return Bid(value, cost, rng.choice([1, 100, 5000, (1 << 64) - 1]), rng.choice([0, 0, 2500]))


def commit_all(rng: Random, world: World, number: int, n: int) -> list[tuple[Chain, Bid, bytes, Model]]:
    """n accounts commit, in a random order, deposits anywhere in the range that their bid allows."""
    terms_ = world.operator.terms(number)
    committed = []
    for chain in rng.sample(world.accounts, n):
        bid, salt, model = random_bid(rng), rng.randbytes(32), Model(rng.randbytes(32), rng.randbytes(32))
        least = bid.value + terms_.fee + terms_.reveal_bond + terms_.max_sellers
        deposit = rng.choice([least, 16 * terms_.reveal_bond, rng.randint(least, 16 * terms_.reveal_bond)])
        sealed = seal_bid(chain.market, chain.chain_id, number, chain.account, bid, salt)
        _, index = chain.commit(number, sealed, model, deposit)
        assert index == len(committed)
        committed.append((chain, bid, salt, model))
    return committed


def play(rng: Random, world: World, n: int, ending: str) -> tuple[Round, Payout | Refund, list[int]]:
    """One round to its last phase. Returns it, what must be paid, and the balances before it."""
    before = world.balances()
    _, number = world.operator.open_round(terms(rng, world.devnet.now()))
    committed = commit_all(rng, world, number, n)
    world.devnet.warp(PHASE)
    if n >= 2 and ending != "no seed":
        anyone = rng.choice(world.accounts)
        anyone.draw_seed(number)
        anyone.draw_seed(number)
        seed = world.operator.state(number).seed
        families = [family(rng) for _ in range(2)]
        order = [(index, *rest) for index, rest in enumerate(committed)]
        rng.shuffle(order)
        if ending == "one reveals":
            order = order[:1]
        for index, chain, bid, salt, model in order:
            if ending != "one reveals" and rng.random() < 0.2:
                continue
            chain.reveal(number, index, seed, bid, salt, model, random_sketch(rng, families), bytes(80))
    world.devnet.warp(PHASE)
    world.history.refresh()
    round_ = world.history.round(number)
    if world.operator.phase(number) == Phase.SETTLE and ending != "no settlement":
        round_ = settle_round(rng, world, round_, committed, right=ending == "right")
        return round_, payout(round_, round_.settlement), before
    world.devnet.warp(PHASE)
    revealed = sum(participant.reveal is not None for participant in round_.participants)
    return round_, refunds(round_, with_fault=revealed >= 2), before


def settle_round(rng: Random, world: World, round_: Round, committed, *, right: bool) -> Round:
    """Settles, rightly or with garbage in some rows; some rate, some reject."""
    settlement = settle(round_, frozenset(i for i in random_exclusions(rng, round_) if i < len(round_.participants)))
    if not right:
        settlement = spoilt(rng, round_, settlement)
    excluded = encode_excluded(settlement.excluded, len(round_.participants))
    rows = encode_rows(settlement.rows)
    world.operator.settle(round_.number, reveals_hash(round_), excluded, rows, bytes(32))
    for index, (chain, *_) in enumerate(committed):
        if round_.participants[index].reveal is not None:
            opinion = rng.random()
            if opinion < 0.6:
                chain.rate(round_.number, index, rng.choice([0, 75, 100, rng.randint(0, 100)]))
            elif opinion < 0.75:
                chain.reject(round_.number, index)
    world.devnet.warp(PHASE)
    world.history.refresh()
    return world.history.round(round_.number)


def pay_everybody(rng: Random, world: World, round_: Round) -> None:
    """Random callers pay in random batches that overlap, and then everything once more."""
    n = len(round_.participants)
    cuts = sorted(rng.sample(range(n + 1), min(n + 1, rng.randint(1, 4))))
    batches = [*zip([0, *cuts], [*cuts, n], strict=True)]
    rng.shuffle(batches)
    for start, end in [*batches, (0, n)]:
        caller = rng.choice(world.accounts)
        if round_.settlement is None:
            caller.refund(round_.number, start, end)
        elif start < end:
            settlement = round_.settlement
            caller.pay_out(
                round_.number, encode_rows(settlement.rows), encode_excluded(settlement.excluded, n), start, end
            )


@pytest.mark.parametrize(("ending", "n"), CASES)
def test_every_balance_is_what_the_pure_functions_say(world, ending, n):
    rng = Random(f"{n} {ending}")
    burnt = world.operator.burnt()
    round_, due, before = play(rng, world, n, ending)
    aggregator = world.operator.account
    now = [world.operator.reputation(aggregator, participant.account) for participant in round_.participants]

    pay_everybody(rng, world, round_)

    gained = [after - was for after, was in zip(world.balances(), before, strict=True)]
    assert gained[0] == due.aggregator - round_.terms.bond
    index_of = {participant.account: index for index, participant in enumerate(round_.participants)}
    for chain, gain in zip(world.accounts, gained[1:], strict=True):
        index = index_of.get(chain.account)
        assert gain == (0 if index is None else due.credits[index] - round_.participants[index].deposit)
    assert world.operator.burnt() - burnt == due.burnt
    assert world.operator.pot(round_.number) == 0
    assert world.operator.token.balance(world.operator.escrow) == sum(world.balances()) + world.operator.burnt()

    if round_.settlement is not None:
        expected = reputations(round_, round_.settlement, now)
        assert [world.operator.reputation(aggregator, p.account) for p in round_.participants] == list(expected)
    world.history.refresh()
    kinds = {
        finding.kind
        for finding in audit(world.history.round(round_.number), world.history.trail(round_.number)).findings
    }
    assert kinds <= ({"wrong-price", "wrong-row", "ignored-row"} if ending == "wrong" else set())

"""What a challenge and a refutation cost on chain, measured by making them on the devnet under Prague's rules.

    python -m benchmarks.judge

Every seller is eligible, so the lists are as long as they get, and the row that is judged buys from all its candidates:
the dearest case. `gasUsed` of mined transactions, so base price, calldata and its floor price (EIP-7623) are in it.
"""

from dataclasses import replace
from random import Random

from benchmarks.document import table, write
from market_node.chain import Chain, proof_arguments, refutation_arguments
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.contracts import Contract
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.history import History
from market_node.judge import proof, refutation
from market_node.mechanism import gain
from market_node.records import ONE, SKETCH_SIZE, Bid, Model, Round, Terms
from market_node.settlement import reveals_hash, settle
from market_node.sketch import similarity_to

TOKEN = 10**18
PHASE = 3600
VALUE, SAMPLES, FLOOR = 100 * TOKEN, 1_000, ONE // 10
CASES = ((12, 10), (12, 9), (256, 32), (1_024, 8))
"""(participants, the most sellers in a row): lists of 11, 10, 33 and 9."""


class Court:
    """A settled round of `n` participants in which one row is wrong."""

    def __init__(self, n: int, max_sellers: int) -> None:
        self.devnet = Devnet(accounts=n + 1)
        operator, *others = self.devnet.accounts
        deployment = deploy(self.devnet.provider, operator, min_phase=PHASE)
        chains = [Chain(self.devnet.provider, deployment.market, each) for each in (operator, *others)]
        for chain in chains:
            mint(self.devnet.provider, operator, deployment.token, chain.account, 10_000 * TOKEN)
            chain.fund(10_000 * TOKEN)
            chain.set_encryption_key(Random(chain.account).randbytes(32))
        self.operator, *self.participants = chains
        self.round = self._play(n, max_sellers)

    def challenge(self, *, without_first: bool) -> tuple[int, int, int]:
        """Gas, bytes of calldata and the challenge's number. Without the first seller, the list is false."""
        true = proof(self.round, 0)
        listed = true.listed[1:] if without_first else true.listed
        chosen = replace(true, listed=listed)
        market = Contract("Market", self.operator.market)
        size = len(market("challenge", self.round.number, *proof_arguments(chosen)).calldata)
        receipt, number = self.participants[1].challenge(self.round.number, chosen)
        return receipt.gas, size, number

    def refute(self, challenge: int) -> tuple[int, int]:
        """Gas and bytes of calldata."""
        self.round = self._read()
        found = refutation(self.round, self.round.challenges[challenge].claim)
        assert found is not None
        market = Contract("Market", self.operator.market)
        size = len(market("refute", self.round.number, challenge, *refutation_arguments(found)).calldata)
        return self.participants[2].refute(self.round.number, challenge, found).gas, size

    def _read(self) -> Round:
        history = History(self.operator)
        history.refresh()
        return history.round(history.chain.round_count())

    def _play(self, n: int, max_sellers: int) -> Round:
        rng = Random(n)
        number = self.operator.open_round(self._terms(n, max_sellers))[1]
        base = [rng.randint(-60, 60) for _ in range(SKETCH_SIZE)]
        sketches = [bytes((x + rng.randint(-60, 60)) & 0xFF for x in base) for _ in self.participants]
        costs = dearest_costs(sketches, max_sellers)
        secrets = []
        for chain, cost in zip(self.participants, costs, strict=True):
            bid = Bid(VALUE, cost, SAMPLES, 0)
            salt, model = rng.randbytes(32), Model(rng.randbytes(32), rng.randbytes(32))
            sealed = seal_bid(chain.market, chain.chain_id, number, chain.account, bid, salt)
            chain.commit(number, sealed, model, 160 * TOKEN)
            secrets.append((bid, salt, model))
        self.devnet.warp(PHASE)
        self.operator.draw_seed(number)
        self.operator.draw_seed(number)
        seed = self.operator.state(number).seed
        for index, (chain, secret, sketch) in enumerate(zip(self.participants, secrets, sketches, strict=True)):
            chain.reveal(number, index, seed, *secret, sketch, rng.randbytes(80))
        self.devnet.warp(PHASE)
        round_ = self._read()
        true = settle(round_, frozenset())
        first, *rest = true.rows
        assert len(first) == max_sellers, "the dearest row buys from all its candidates"
        wrong = ((replace(first[0], price=first[0].price + 1), *first[1:]), *rest)
        self.operator.settle(number, reveals_hash(round_), encode_excluded((), n), encode_rows(wrong), bytes(32))
        return self._read()

    def _terms(self, n: int, max_sellers: int) -> Terms:
        return Terms(
            task=Random(0).randbytes(32),
            fee=TOKEN,
            reveal_bond=10 * TOKEN,
            bond=200 * TOKEN,
            max_samples=1 << 30,
            similarity_floor=FLOOR,
            max_sellers=max_sellers,
            max_participants=n,
            commit_deadline=self.devnet.now() + PHASE,
            draw_time=PHASE,
            reveal_time=PHASE,
            settle_time=PHASE,
            challenge_time=PHASE,
            refute_time=PHASE,
        )


def dearest_costs(sketches: list[bytes], max_sellers: int) -> list[int]:
    """What makes participant 0 buy from all its candidates, each of which costs just less than it adds as the last one:
    then no price is found early."""
    sizes = [(SAMPLES * each) >> 16 for each in similarity_to(sketches[0], sketches, FLOOR)]
    bought = sum(sorted(sizes[1:])[-max_sellers:])
    return [gain_of(bought) - gain_of(bought - size) - 1 if size else 0 for size in sizes]


def gain_of(imported: int) -> int:
    return gain(VALUE, SAMPLES, imported) * 99 // 100


def main() -> None:
    rows = []
    for n, max_sellers in CASES:
        court = Court(n, max_sellers)
        gas, size, _ = court.challenge(without_first=False)
        _, _, false = court.challenge(without_first=True)
        refuted, small = court.refute(false)
        rows.append([f"{n:,}", max_sellers + 1, f"{gas:,}", f"{size:,}", f"{refuted:,}", f"{small:,}"])
        print(rows[-1], flush=True)
    head = ["participants", "listed", "challenge, gas", "calldata, bytes", "refute, gas", "calldata, bytes"]
    text = (
        "`make bench`: the dearest challenge of a round and a refutation. All sellers are eligible, and the row buys "
        f"from all its candidates.\n\n{table(head, rows)}"
    )
    write("docs/benchmarks.md", "judge", text)


if __name__ == "__main__":
    main()

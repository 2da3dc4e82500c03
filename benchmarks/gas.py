"""What a round costs on chain, measured by playing it on the devnet under Prague's rules.

    python -m benchmarks.gas [N ...]

Every figure is `gasUsed` of a mined transaction, so base price, calldata and its floor price (EIP-7623) are in it. In
the first round nobody has a balance or a reputation yet; in the second everybody has both, and each reputation changes.
"""

import sys
from dataclasses import dataclass
from random import Random
from statistics import median

from benchmarks.document import table, write
from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.history import History
from market_node.node import BATCH, spans
from market_node.records import ONE, Bid, Model, Purchase, Terms
from market_node.settlement import reveals_hash

TOKEN = 10**18
PHASE = 3600
PURCHASES = 4
SIZE_LIMIT = 24_576
"""Bytes of a contract (EIP-170)."""


@dataclass
class Used:
    """Gas of one round."""

    commit: float
    reveal: float
    settle: int
    pay_out: int


class Bench:
    """A market with `n` participants, who play the same round again and again."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.devnet = Devnet(accounts=n + 1)
        operator, *others = self.devnet.accounts
        self.deployment = deploy(self.devnet.provider, operator, min_phase=PHASE)
        self.operator, *self.participants = [
            Chain(self.devnet.provider, self.deployment.market, account) for account in (operator, *others)
        ]
        self.history = History(self.operator)
        self.fund(self.operator, 10_000 * TOKEN)
        for chain in (self.operator, *self.participants):
            chain.set_encryption_key(Random(chain.account).randbytes(32))

    def fund(self, chain: Chain, amount: int) -> None:
        mint(self.devnet.provider, self.devnet.accounts[0], self.deployment.token, chain.account, amount)
        chain.fund(amount)

    def play(self, rating: int, batch: int) -> Used:
        """One round in which all commit, reveal, buy from four others and rate; paid out `batch` at a time."""
        rng = Random(self.n)
        _, number = self.operator.open_round(self._terms())
        deposit = 16 * 10 * TOKEN
        bid = Bid(100 * TOKEN, 2 * TOKEN, 130, 0)
        commits, reveals = [], []
        secrets = []
        for chain in self.participants:
            salt, model = rng.randbytes(32), Model(rng.randbytes(32), rng.randbytes(32))
            sealed = seal_bid(chain.market, chain.chain_id, number, chain.account, bid, salt)
            commits.append(chain.commit(number, sealed, model, deposit)[0].gas)
            secrets.append((salt, model))
        self.devnet.warp(PHASE)
        self.operator.draw_seed(number)
        self.operator.draw_seed(number)
        seed = self.operator.state(number).seed
        for index, (chain, (salt, model)) in enumerate(zip(self.participants, secrets, strict=True)):
            # No byte of −128, and as many zeros as a real sketch has: about one in a hundred.
            sketch = bytes(rng.choice((0, *range(1, 128), *range(129, 256))) for _ in range(1024))
            key = rng.randbytes(80)
            reveals.append(chain.reveal(number, index, seed, bid, salt, model, sketch, key).gas)
        self.devnet.warp(PHASE)
        settled, paid = self._settle(number, rng, rating, batch)
        # The first of a round pays for words that all share; the median does not show it, the total of a round does.
        return Used(median(commits), median(reveals), settled, paid)

    def _settle(self, number: int, rng: Random, rating: int, batch: int) -> tuple[int, int]:
        """Any rows will do: the contract does not judge them here."""
        rows = tuple(
            tuple(
                Purchase((buyer + step) % self.n, rng.randrange(TOKEN, 30 * TOKEN)) for step in range(1, PURCHASES + 1)
            )
            for buyer in range(self.n)
        )
        encoded, excluded = encode_rows(rows), encode_excluded((), self.n)
        self.history.refresh()
        round_ = self.history.round(number)
        settled = self.operator.settle(number, reveals_hash(round_), excluded, encoded, rng.randbytes(32)).gas
        for index, chain in enumerate(self.participants):
            chain.rate(number, index, rating)
        self.devnet.warp(PHASE)
        paid = [self.operator.pay_out(number, encoded, excluded, *span).gas for span in spans(round_, batch)]
        return settled, sum(paid)

    def _terms(self) -> Terms:
        return Terms(
            task=Random(0).randbytes(32),
            fee=TOKEN,
            reveal_bond=10 * TOKEN,
            bond=200 * TOKEN,
            max_samples=4096,
            similarity_floor=ONE // 4,
            max_sellers=8,
            max_participants=self.n,
            commit_deadline=self.devnet.now() + PHASE,
            draw_time=PHASE,
            reveal_time=PHASE,
            settle_time=PHASE,
            challenge_time=PHASE,
            refute_time=PHASE,
        )


def measure(n: int) -> tuple[Used, Used]:
    """The first round of `n` participants, and one in which all have a balance and a reputation."""
    bench = Bench(n)
    for chain in bench.participants:
        bench.fund(chain, 160 * TOKEN)  # all of it is locked, so the payout is a first balance
    first = bench.play(rating=100, batch=BATCH)
    for chain in bench.participants:
        bench.fund(chain, 160 * TOKEN)
    return first, bench.play(rating=90, batch=n)


def main() -> None:
    sizes = [int(size) for size in sys.argv[1:]] or [10, 100, 500]
    rows = []
    for n in sizes:
        first, again = measure(n)
        for what, used in (("again", again), ("first", first)):
            settle, pay_out = used.settle / n, used.pay_out / n
            figures = (used.commit, used.reveal, used.commit + used.reveal, settle, pay_out, settle + pay_out)
            rows.append([f"{n}, {what}", *(f"{figure:,.0f}" for figure in figures)])
            print(rows[-1], flush=True)
    devnet = Devnet()
    market = deploy(devnet.provider, devnet.accounts[0]).market
    size = len(devnet.state().get_code(bytes.fromhex(market[2:])))
    head = ["participants", "commit", "reveal", "both", "settle each", "payOut each", "settle + payOut each"]
    text = (
        "`make bench`: gas of each transaction, 4 purchases a participant, all rate. *Again*: accounts hold a balance "
        "and a reputation already, and each reputation changes; one transaction pays all. *First*: they have neither, "
        f"and each is a new word of storage; paid out {BATCH} at a time.\n\n{table(head, rows)}\n\n"
        "The second `drawSeed` of a round lays out a new word of storage for every 16 participants, which no reveal "
        f"then pays for.\n\n`Market` has {size:,} bytes of {SIZE_LIMIT:,}; {SIZE_LIMIT - size:,} are left."
    )
    write("docs/benchmarks.md", "gas", text)


if __name__ == "__main__":
    main()

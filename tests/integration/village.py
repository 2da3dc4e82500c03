"""Nodes that run by themselves, in this process, on one devnet whose clock stands still until a test sets it."""

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from safetensors.torch import save_file

from market_node.aggregator import Aggregator
from market_node.audit import with_fault
from market_node.auditor import Auditor
from market_node.chain import Chain
from market_node.daemon import Daemon
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.history import History
from market_node.keys import EncryptionKeys
from market_node.models import publish_task
from market_node.phases import Phase
from market_node.policy import Opening, Participation, Policy, Running
from market_node.records import Round
from market_node.seal import generate_keypair
from market_node.settlement import payout, refunds
from market_node.store import BlockStore, Store
from tests.soak.pupil import TRAINING, Pupil

PHASE = 600
TOKEN = 10**18
FORTUNE = 1000 * TOKEN
"""What every node has in the market at first, base units."""


@dataclass
class Village:
    """Nodes on one devnet, one look after the other."""

    folder: Path
    devnet: Devnet = field(default_factory=Devnet)
    daemons: dict[str, Daemon] = field(default_factory=dict)
    clock: float = 0.0
    """Of the nodes' patience, seconds."""

    def __post_init__(self) -> None:
        self.operator = self.devnet.accounts[0]
        self.deployment = deploy(self.devnet.provider, self.operator, min_phase=60)
        self.store = BlockStore(self.folder / "blocks")
        save_file(dict(Pupil(0).build_model().state_dict()), self.folder / "base")
        self.task = publish_task(self.store, self.folder / "base", "line").digest
        self.keys: dict[str, EncryptionKeys] = {}
        self.chains: dict[str, Chain] = {}
        self.run = Running(interval=1.0)
        self.warped = len(self.devnet.mined)
        """How many blocks there were after the last warp."""

    def participation(self, number: int = 1, **changes: object) -> Participation:
        plain = Participation(
            training=f"tests.soak.pupil:number_{number}",
            tasks=(self.task,),
            samples=TRAINING,
            value=50 * TOKEN,
            cost=TOKEN,
            isolate=False,
        )
        return replace(plain, **changes)

    def opening(self, **changes: object) -> Opening:
        lengths = dict.fromkeys(("commit", "draw", "reveal", "settle", "challenge", "refute"), PHASE)
        plain = Opening(task=self.task, reveal_bond=10 * TOKEN, fee=TOKEN, max_samples=8192, rounds=1, **lengths)
        return replace(plain, **changes)

    def chain(self, name: str, provider=None) -> Chain:
        names = ("operator", "agnes", "alice", "bob", "carol")
        return Chain(provider or self.devnet.provider, self.deployment.market, self.devnet.accounts[names.index(name)])

    def join(self, name: str, policy: Policy, provider=None, store: Store | None = None) -> Daemon:
        """A node of that name; one that joins again goes on where it was."""
        chain = self.chains[name] = self.chain(name, provider)
        if name not in self.keys:
            mint(self.devnet.provider, self.operator, self.deployment.token, chain.account, FORTUNE)
            chain.fund(FORTUNE)
            self.keys[name] = EncryptionKeys([generate_keypair()[0]])
        node = Aggregator(self.folder / name, chain, store or self.store, self.keys[name])
        auditor = Auditor(chain, self.folder / name / "reports", node.history) if policy.auditor else None
        self.daemons[name] = Daemon(node, replace(policy, run=self.run), auditor, clock=lambda: self.clock)
        return self.daemons[name]

    def settle_down(self, *names: str) -> None:
        """Looks until nobody has anything to do."""
        daemons = [self.daemons[name] for name in names or self.daemons]
        end = time.monotonic() + 20
        busy = True
        while busy:
            assert time.monotonic() < end
            busy = self.look(*names) or self._waits(daemons)

    def look(self, *names: str) -> bool:
        """Everybody looks once. Returns whether somebody has taken a step."""
        return any([self.daemons[name].look() for name in names or self.daemons])  # noqa: C419, nobody is left out

    def _waits(self, daemons: list[Daemon]) -> bool:
        """Whether something goes on beside the steps; then time passes, so that who rests looks again."""
        waits = any(each.deeds.trainer.running or each.keeper.running for each in daemons)
        self.clock += 0.05 if waits else 0
        return waits

    def warp(self) -> None:
        self.devnet.warp(PHASE)
        self.warped = len(self.devnet.mined)
        self.clock += 60

    def to(self, phase: Phase) -> None:
        """Plays the first round until it is in a phase, and everybody has done what that is for."""
        self.settle_down()
        while (now := self.seen().phase(1)) != phase:
            assert now < phase, f"the round is in {now}"
            self.warp()
            self.settle_down()

    def seen(self) -> Chain:
        return self.chain("operator")

    def round(self):
        return next(iter(self.daemons.values())).outlook.node.round(1)

    def check_the_money(self) -> Round:
        """Everybody has what the pure functions give them of the first round, and the escrow holds it to the unit."""
        chain = self.seen()
        history = History(chain)
        history.refresh()
        round_ = history.check(1)
        settled = round_.settlement
        due = payout(round_, settled) if settled else refunds(round_, with_fault=with_fault(round_))
        expected = {chain.account: FORTUNE for chain in self.chains.values()}
        expected[round_.aggregator] += due.aggregator - round_.terms.bond
        for each, credit in zip(round_.participants, due.credits, strict=True):
            expected[each.account] += credit - each.deposit
        assert {account: chain.available(account) for account in expected} == expected
        assert chain.pot(1) == 0
        assert chain.token.balance(chain.escrow) == sum(expected.values()) + chain.burnt()
        return round_

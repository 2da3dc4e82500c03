"""Nodes play whole rounds: honest ones trade, and each way to cheat with a model is excluded with its reason."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from market_node.aggregator import Aggregator, is_last_try, longest_try, may_look_back
from market_node.audit import audit
from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.delivery import DeliveryList
from market_node.deploy import deploy, mint
from market_node.devnet import Devnet
from market_node.errors import BadInput, DigestMismatch, MalformedUpdate, NotFound, Reverted, WrongPhase
from market_node.keys import EncryptionKeys
from market_node.models import publish_task
from market_node.node import Node
from market_node.records import Bid, Model, Purchase
from market_node.seal import generate_keypair, new_key, seal_file, wrap_key
from market_node.settlement import reveals_hash, row_weights, settle
from market_node.sketch import sketch
from market_node.store import BlockStore
from market_node.weights import write_weights
from tests.integration.stage import PHASE, terms

FORTUNE = 1 << 60
BID = Bid(value=1 << 22, cost=1000, samples=100, min_reputation=0)
SHAPE = (40, 50)


def weights(seed: int) -> dict[str, torch.Tensor]:
    """A model like everybody's, with something of its own."""
    common = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    return {"layer": common + 0.5 * torch.randn(SHAPE, generator=torch.Generator().manual_seed(seed))}


class Town:
    """A market, its aggregator and its participants, each with a node of its own and all with one store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.devnet = Devnet()
        self.operator, *self.accounts = self.devnet.accounts
        self.deployment = deploy(self.devnet.provider, self.operator, min_phase=60)
        self.store = BlockStore(folder / "store")
        write_weights(folder / "base.safetensors", {"layer": torch.zeros(SHAPE)})
        self.task = publish_task(self.store, folder / "base.safetensors", "plain")
        self.aggregator = Aggregator(folder / "aggregator", *self.join(self.operator))
        names = ("alice", "bob", "carol", "dave", "erin")
        self.nodes = {
            name: Node(folder / name, *self.join(account)) for name, account in zip(names, self.accounts, strict=False)
        }

    def __getattr__(self, name: str) -> Node:
        return self.nodes[name]

    def join(self, account):
        chain = Chain(self.devnet.provider, self.deployment.market, account)
        mint(self.devnet.provider, self.operator, self.deployment.token, chain.account, FORTUNE)
        chain.fund(FORTUNE)
        private, public = generate_keypair()
        chain.set_encryption_key(public)
        return chain, self.store, EncryptionKeys([private])

    def open(self) -> int:
        return self.aggregator.open_round(replace(terms(self.devnet.now()), task=self.task.digest))

    def model(self, name: str, tensors=None) -> Path:
        path = self.folder / f"{name}.safetensors"
        write_weights(path, tensors or weights(sum(map(ord, name))))
        return path

    def commit(self, number: int, *names: str) -> None:
        for name in names:
            self.nodes[name].commit(number, self.model(name), BID)

    def draw(self, number: int) -> None:
        self.devnet.warp(PHASE)
        self.aggregator.draw(number)
        self.aggregator.draw(number)

    def reveal(self, number: int, *names: str) -> None:
        for name in names:
            self.nodes[name].reveal(number)

    def settle(self, number: int) -> DeliveryList:
        self.devnet.warp(PHASE)
        self.aggregator.settle(number)
        return self.aggregator.deliveries(self.aggregator.round(number))

    def finish(self, number: int) -> None:
        self.devnet.warp(PHASE)
        self.aggregator.pay_out(number)


@pytest.fixture(scope="module")
def town(tmp_path_factory) -> Town:
    return Town(tmp_path_factory.mktemp("town"))


@pytest.fixture(scope="module")
def played(town) -> int:
    """A round of three honest nodes, settled and not yet paid out."""
    number = town.open()
    town.commit(number, "alice", "bob", "carol")
    town.draw(number)
    town.reveal(number, "alice", "bob", "carol")
    town.settle(number)
    return number


# --- honest ---


def test_a_buyer_gets_the_weighted_combination_of_what_it_bought(town, played, tmp_path):
    path = town.alice.fetch(played, tmp_path / "personal.safetensors")
    round_ = town.alice.round(played)
    sellers = [purchase.seller for purchase in round_.settlement.rows[0]]
    assert sorted(sellers) == [1, 2]
    delivered = town.alice.task(round_).tensors(path)["layer"]
    parts = [weights(sum(map(ord, name)))["layer"] for name in ("bob", "carol")]
    # Two sellers of one size and nearly one similarity: the mean, up to what their similarities differ by.
    assert torch.allclose(delivered, sum(parts) / 2, atol=0.05)


def test_the_auditor_finds_nothing_and_the_payout_is_as_computed(town, played):
    town.alice.rate(played, 100)
    town.finish(played)
    round_ = town.alice.round(played)
    assert audit(round_, town.alice.history.trail(played)).findings == ()
    assert town.aggregator.chain.pot(played) == 0


def test_a_step_can_be_asked_for_again_and_says_that_it_was_done(town, played):
    with pytest.raises(WrongPhase, match="Reveal ended"):
        town.alice.reveal(played)


def test_who_bought_nothing_is_told_so(town, tmp_path):
    number = town.open()
    town.alice.commit(number, town.model("alice"), replace(BID, value=0))
    town.commit(number, "bob")
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.settle(number)
    with pytest.raises(NotFound, match="its row is empty"):
        town.alice.fetch(number, tmp_path / "nothing")


def test_a_round_that_nobody_settles_gives_everything_back(town):
    before = town.bob.chain.available(town.bob.chain.account)
    number = town.open()
    town.commit(number, "bob")
    town.devnet.warp(PHASE)
    town.carol.refund(number)
    assert town.bob.chain.available(town.bob.chain.account) == before


# --- cheats: a round with alice and bob, and dave who does it ---


def cheat(town: Town, number: int, *, cid: bytes, root: bytes, key: bytes, shape=None, wrapped=None) -> None:
    """Dave commits to anything, and reveals it as if it were a model."""
    chain, salt = town.dave.chain, b"\5" * 32
    sealed = seal_bid(chain.market, chain.chain_id, number, chain.account, BID, salt)
    model = Model(cid, root)
    _, index = chain.commit(number, sealed, model, 16 << 20)
    town.draw(number)
    town.reveal(number, "alice", "bob")
    seed, envelope = town.dave.round(number).seed, town.dave.envelope(number)
    public = town.dave.round(number).encryption_key
    chain.reveal(
        number,
        index,
        seed,
        BID,
        salt,
        model,
        shape or bytes(1024),
        wrap_key(key, public, envelope) if wrapped is None else wrapped,
    )


def put(town: Town, path: Path, key: bytes, number: int, card=None, account: str = "dave") -> bytes:
    seal_file(path, town.folder / "sealed", key, town.nodes[account].envelope(number), card or {})
    return town.store.put(town.folder / "sealed")


def excluded_for(town: Town, number: int) -> str:
    [exclusion] = town.settle(number).exclusions
    assert exclusion.index == 2
    assert town.alice.round(number).settlement.excluded == {2}
    return exclusion.reason


@pytest.fixture
def number(town) -> int:
    number = town.open()
    town.commit(number, "alice", "bob")
    return number


def of_dave(town: Town, tensors=None):
    """A model that the task would accept: path, root, fingerprint and update."""
    path = town.model("dave", tensors)
    model = town.dave.task(town.dave.round(town.dave.chain.round_count())).read(path)
    return path, model


def test_a_broken_store_of_its_own_is_no_reason_to_exclude_anybody(town, number):
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.devnet.warp(PHASE)
    block = town.store.folder / town.alice.round(number).participants[0].model.cid.hex()
    right = block.read_bytes()
    block.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(DigestMismatch):
        town.aggregator.settle(number)
    block.write_bytes(right)
    assert town.aggregator.settle(number).excluded == frozenset()


@pytest.mark.parametrize(
    ("began", "ended", "last"),
    [
        (1000, 1001, False),
        (1000, 1149, False),
        (1000, 1150, True),  # another one as long would end after three quarters
        (1298, 1298, False),
        (1300, 1300, True),
        (1290, 1350, True),
    ],
)
def test_what_cannot_be_read_is_missing_once_there_is_no_time_for_another_try(began, ended, last):
    assert is_last_try(began, ended, 1000, 1400) is last


@pytest.mark.parametrize(
    ("began", "seconds"),
    [
        (1000, 300),
        (1150, 150),
        (1200, 100),
        (1300, 50),  # a node that comes late waits for half of what is left
        (1390, 5),
    ],
)
def test_models_are_waited_for_until_three_quarters_of_the_phase_have_passed(began, seconds):
    assert longest_try(began, 1000, 1400) == seconds


@pytest.mark.parametrize(("now", "may"), [(1000, True), (1349, True), (1350, False), (1400, False)])
def test_earlier_models_are_looked_at_while_there_is_time_to_settle_without_them(now, may):
    assert may_look_back(now, 1000, 1400) is may


def test_a_model_that_only_a_broken_disk_has_is_missing_in_the_end(town, number):
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.devnet.warp(PHASE)
    block = town.store.folder / town.alice.round(number).participants[0].model.cid.hex()
    block.write_bytes(block.read_bytes()[:-1])
    town.devnet.warp(PHASE * 3 // 4)
    assert town.aggregator.settle(number).excluded == {0}


def test_a_file_that_is_not_there(town, number):
    cheat(town, number, cid=b"\7" * 32, root=bytes(32), key=new_key())
    assert excluded_for(town, number) == "missing"


def test_another_accounts_file_under_ones_own_name(town, number):
    alices = town.alice.round(number).participants[0].model
    cheat(town, number, cid=alices.cid, root=alices.root, key=new_key())
    assert excluded_for(town, number) == "names-another"


def test_a_key_that_was_wrapped_for_another_account(town, number):
    key = new_key()
    path, model = of_dave(town)
    alices = wrap_key(key, town.alice.round(number).encryption_key, town.alice.envelope(number))
    cheat(town, number, cid=put(town, path, key, number), root=model.root, key=key, wrapped=alices)
    assert excluded_for(town, number) == "names-another"


def test_a_key_that_does_not_open_the_file(town, number):
    path, model = of_dave(town)
    cheat(town, number, cid=put(town, path, new_key(), number), root=model.root, key=new_key())
    assert excluded_for(town, number) == "wrong-key"


def test_a_model_with_a_weight_that_is_not_a_number(town, number):
    key = new_key()
    broken = weights(1)
    broken["layer"][3, 4] = float("nan")
    path = town.model("dave", broken)
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "malformed"


def test_a_model_with_another_shape(town, number):
    key = new_key()
    path = town.model("dave", {"layer": torch.zeros(50, 40)})
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "malformed"


def test_a_pickle_in_place_of_a_model(town, number):
    key = new_key()
    path = town.folder / "pickle"
    torch.save(weights(1), path)
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "malformed"


def test_a_file_that_is_larger_than_any_model_of_the_task(town, number):
    key = new_key()
    path = town.folder / "large"
    path.write_bytes(bytes(1 << 20))
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "malformed"


def test_a_weight_out_of_range(town, number):
    key = new_key()
    path = town.model("dave", {"layer": torch.full(SHAPE, 1000.0)})
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "out-of-range"


def test_other_weights_than_were_committed(town, number):
    key = new_key()
    path, _ = of_dave(town)
    cheat(town, number, cid=put(town, path, key, number), root=bytes(32), key=key)
    assert excluded_for(town, number) == "root-mismatch"


def test_a_fingerprint_of_another_model(town, number):
    key = new_key()
    path, model = of_dave(town)
    cid = put(town, path, key, number, {"fingerprint": bytes(1024).hex()})
    cheat(town, number, cid=cid, root=model.root, key=key)
    assert excluded_for(town, number) == "fingerprint-mismatch"


def test_a_sketch_of_another_model(town, number):
    key = new_key()
    path, model = of_dave(town)
    cid = put(town, path, key, number, {"fingerprint": model.fingerprint.hex()})
    cheat(town, number, cid=cid, root=model.root, key=key, shape=bytes([1]) * 1024)
    assert excluded_for(town, number) == "sketch-mismatch"


def test_who_is_excluded_sells_nothing_and_loses_the_reveal_bond(town, number):
    before = town.dave.chain.available(town.dave.chain.account)
    cheat(town, number, cid=b"\7" * 32, root=bytes(32), key=new_key())
    town.settle(number)
    rows = town.dave.round(number).settlement.rows
    assert all(purchase.seller != 2 for row in rows for purchase in row)
    town.finish(number)
    bond = town.dave.round(number).terms.reveal_bond
    assert town.dave.chain.available(town.dave.chain.account) == before - bond


# --- others' faults ---


def test_an_aggregator_whose_key_cannot_be_used_gets_no_commit(town, tmp_path):
    town.aggregator.chain.set_encryption_key(b"\1" + bytes(31))  # a point of small order
    number = town.open()
    town.aggregator.chain.set_encryption_key(town.aggregator.keys.public)
    before = town.alice.chain.available(town.alice.chain.account)
    with pytest.raises(BadInput, match="encryption key"):
        town.alice.commit(number, town.model("alice"), BID)
    assert town.alice.chain.available(town.alice.chain.account) == before


def test_a_buyer_whose_key_cannot_be_used_does_not_stop_the_round(town):
    number = town.open()
    town.erin.chain.set_encryption_key(b"\1" + bytes(31))
    town.commit(number, "alice", "bob", "erin")
    town.erin.chain.set_encryption_key(town.erin.keys.public)
    town.draw(number)
    town.reveal(number, "alice", "bob", "erin")
    listed = town.settle(number)
    assert [delivery.index for delivery in listed.deliveries] == [0, 1]


def test_a_bid_that_does_not_match_its_seal_is_refused_by_name(town, number):
    town.draw(number)
    entry = town.alice.journal.entry(number, town.alice.chain.account)
    seed = town.alice.round(number).seed
    other = replace(entry.bid, value=entry.bid.value + 1)
    with pytest.raises(Reverted) as refusal:
        town.alice.chain.reveal(number, 0, seed, other, entry.salt, entry.model, bytes(1024), b"")
    assert (refusal.value.name, refusal.value.arguments["index"]) == ("WrongSeal", 0)
    town.alice.reveal(number)  # nothing is lost


def test_a_sketch_of_the_wrong_length_is_refused_by_name(town, number):
    town.draw(number)
    entry = town.alice.journal.entry(number, town.alice.chain.account)
    seed = town.alice.round(number).seed
    with pytest.raises(Reverted) as refusal:
        town.alice.chain.reveal(number, 0, seed, entry.bid, entry.salt, entry.model, bytes(1023), b"")
    assert (refusal.value.name, refusal.value.arguments["length"]) == ("InvalidSketch", 1023)
    town.alice.reveal(number)


def test_a_store_that_returns_other_bytes_is_noticed_and_the_file_can_be_fetched_later(town, number, tmp_path):
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.settle(number)
    delivery = town.alice.deliveries(town.alice.round(number)).to(0)
    block = town.store.folder / delivery.model.hex()
    right = block.read_bytes()
    block.write_bytes(right[:-1] + bytes([right[-1] ^ 1]))
    with pytest.raises(DigestMismatch):
        town.alice.fetch(number, tmp_path / "personal")
    assert not (tmp_path / "personal").exists()
    block.write_bytes(right)
    assert town.alice.fetch(number, tmp_path / "personal").exists()


def test_a_delivery_that_is_not_the_listed_one_is_refused(town, number, tmp_path):
    """An aggregator that lists one model and delivers another one."""
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.devnet.warp(PHASE)
    round_ = town.aggregator.round(number)
    task = town.aggregator.task(round_)
    opened = town.aggregator.open_models(round_, task)
    settlement = settle(round_, frozenset())
    first, *rest = town.aggregator.deliver(round_, row_weights(round_, settlement), opened, task)
    listed = DeliveryList(
        town.aggregator.chain.chain_id,
        town.aggregator.chain.market,
        number,
        (replace(first, digest=bytes(32)), *rest),
        (),
    )
    town.aggregator.post(round_, settlement, town.aggregator.publish(listed))
    with pytest.raises(MalformedUpdate, match="not the one on the delivery list"):
        town.alice.fetch(number, tmp_path / "personal")
    town.alice.reject(number)
    assert town.alice.round(number).participants[0].rejected


def test_one_unit_too_much_in_a_posted_price_is_named_by_any_auditor(town, number):
    town.draw(number)
    town.reveal(number, "alice", "bob")
    town.devnet.warp(PHASE)
    round_ = town.aggregator.round(number)
    rows = list(settle(round_, frozenset()).rows)
    [right] = rows[0]
    rows[0] = (Purchase(right.seller, right.price + 1),)
    town.aggregator.chain.settle(number, reveals_hash(round_), encode_excluded((), 2), encode_rows(rows), bytes(32))
    posted = town.carol.round(number)
    [finding] = audit(posted, town.carol.history.trail(number)).findings
    assert (finding.kind, finding.participant, finding.expected, finding.posted) == (
        "wrong-price",
        0,
        right.price,
        right.price + 1,
    )


def test_the_sketch_that_was_revealed_is_the_one_of_the_weights(town, played):
    round_ = town.alice.round(played)
    model = town.alice.task(round_).read(town.model("alice"))
    assert round_.participants[0].reveal.sketch == sketch(model.update, round_.seed)

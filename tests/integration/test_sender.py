"""What is sent is written down first, is sent once, and is found again: whatever nodes do, and after every stop."""

import logging
from concurrent.futures import ThreadPoolExecutor

import pytest
from eth_utils.crypto import keccak
from sqlalchemy import event

from market_node import sender as sending
from market_node.book import Book
from market_node.chain import Chain
from market_node.database import open_database
from market_node.errors import ChainError, NotMined, Reverted, StateError, Unreachable
from market_node.fees import GWEI, Fees
from tests.integration.pool import Pool, priced, refused
from tests.integration.stage import Meddler, Play, commit, result

pytestmark = pytest.mark.usefixtures("funded")


@pytest.fixture(scope="module")
def funded(actors) -> None:
    """Alice has money in the escrow, so that her withdrawals are not refused."""
    assert actors.alice.available(actors.alice.account) > 1 << 20


@pytest.fixture
def open_chain(actors):
    """Alice's view of the market through a provider, as a process that starts with a state sees it."""

    def open_(provider, database=None, **options) -> Chain:
        chain = Chain(provider, actors.deployment.market, actors.alice.signer, **{"timeout": 0.3, **options})
        if database is not None:
            chain.remember(database)
        return chain

    return open_


def book(chain: Chain) -> Book:
    return chain.endpoint.sender(chain.signer).book


def count(chain: Chain) -> int:
    """How many transactions of the account are mined."""
    return chain.endpoint.nonce(chain.account)


# --- before it is sent ---


def test_nonce_bytes_and_hash_are_written_down_before_anything_is_sent(open_chain, devnet, database):
    seen = []

    def look(params, ask):
        seen.append((bytes.fromhex(params[0][2:]), book(chain).every()[-1]))
        return ask("eth_sendRawTransaction", params)

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=look), database)
    nonce = count(chain)
    receipt = chain.withdraw(1)
    [(raw, written)] = seen
    assert (written.raw, written.hash, written.nonce) == (raw, keccak(raw), nonce)
    assert (written.status, written.what) == ("signed", "Escrow.withdraw")
    [done] = book(chain).every()
    assert (done.status, done.block, done.name) == ("mined", receipt.block, receipt.transaction)


def test_a_transaction_of_a_round_is_written_down_with_it(actors, devnet, database):
    play = Play(devnet, actors.operator, []).open()
    chain = Chain(devnet.provider, actors.deployment.market, actors.bob.signer)
    chain.remember(database)
    commit(chain, play.number)
    [sent] = book(chain).every()
    assert (sent.what, sent.round) == ("Market.commit", play.number)


def test_what_would_revert_is_not_written_down(open_chain, devnet, database):
    chain = open_chain(devnet.provider, database)
    with pytest.raises(Reverted):
        chain.withdraw((1 << 96) - 1)
    assert book(chain).every() == []


def test_without_a_state_the_book_ends_with_the_process(open_chain, devnet):
    chain = open_chain(devnet.provider)
    chain.withdraw(1)
    assert [each.status for each in book(chain).every()] == ["mined"]
    assert book(open_chain(devnet.provider)).every() == []


# --- gas ---


def test_a_draw_that_was_estimated_as_the_cheap_call_is_mined_as_the_dear_one(actors, devnet):
    """Alice and the operator draw at once, and hers is mined second."""
    play = Play(devnet, actors.operator, [actors.alice, actors.bob]).open().commit()
    estimates = []

    def overtaken(params, ask):
        estimate = ask("eth_estimateGas", params)
        estimates.append(int(estimate["result"], 16))
        actors.operator.draw_seed(play.number)
        return estimate

    between = Meddler(devnet, eth_estimateGas=overtaken)
    alice = Chain(between, actors.deployment.market, actors.alice.signer)
    receipt = alice.draw_seed(play.number)
    assert [event.name for event in receipt.events] == ["SeedDrawn"]
    assert receipt.gas > estimates[0] * 5 // 4


# --- fees ---


def test_the_fee_lasts_while_the_base_fee_doubles(open_chain, devnet):
    chain = open_chain(devnet.provider)
    base = devnet.pending().base_fee_per_gas
    chain.withdraw(1)
    [sent] = book(chain).every()
    assert (sent.max_fee, sent.tip) == (2 * base + GWEI, GWEI)


def test_the_tip_is_what_others_paid_of_late(open_chain, devnet):
    def history(params, ask):
        told = ask("eth_feeHistory", params)["result"]
        return result({**told, "reward": [[hex(tip)] for tip in (7, 1, 5, 3, 900)]})

    chain = open_chain(Meddler(devnet, eth_feeHistory=history))
    chain.withdraw(1)
    assert book(chain).every()[0].tip == 5


@pytest.mark.parametrize("missing", ["eth_feeHistory", "eth_maxPriorityFeePerGas"])
def test_a_node_that_knows_only_some_of_it_suffices(open_chain, devnet, missing):
    chain = open_chain(Meddler(devnet, **{missing: lambda *_: refused("the method does not exist")}))
    chain.withdraw(1)
    assert book(chain).every()[0].tip == GWEI


def test_a_chain_without_a_base_fee_gets_a_gas_price(open_chain, devnet):
    def block(params, ask):
        told = ask("eth_getBlockByNumber", params)["result"]
        return result({key: value for key, value in told.items() if key != "baseFeePerGas"})

    chain = open_chain(Meddler(devnet, eth_getBlockByNumber=block))
    price = int(devnet.provider.make_request("eth_gasPrice", [])["result"], 16)
    receipt = chain.withdraw(1)
    [sent] = book(chain).every()
    assert (sent.max_fee, sent.tip) == (price + price // 4, None)
    assert chain.endpoint.web3.eth.get_transaction(receipt.transaction)["type"] == 0


def test_nobody_makes_the_node_pay_more_than_its_cap(open_chain, devnet):
    def dear(params, ask):
        told = ask("eth_feeHistory", params)["result"]
        return result({**told, "reward": [[hex(10**15)]]})

    advice = {"eth_feeHistory": dear, "eth_maxPriorityFeePerGas": lambda *_: result(hex(10**15))}
    chain = open_chain(Meddler(devnet, **advice), max_fee=100 * GWEI)
    with pytest.raises(ChainError, match=r"asks 1,000,00\d\.\d\d gwei per gas, above the cap of 100"):
        chain.withdraw(1)
    assert book(chain).every() == []


def test_the_fee_ends_at_the_cap(open_chain, devnet):
    base = devnet.pending().base_fee_per_gas
    chain = open_chain(devnet.provider, max_fee=base + GWEI + 5)
    chain.withdraw(1)
    assert book(chain).every()[0].max_fee == base + GWEI + 5


@pytest.mark.parametrize("old", [Fees(8, 0), Fees(1000, 999), Fees(10**11, 10**9), Fees(77, None)])
def test_a_replacement_pays_an_eighth_more_at_least(old):
    new = old.raised(Fees(1, 1), cap=1 << 80)
    assert new.max_fee * 8 >= old.max_fee * 9
    assert old.tip is None or new.tip * 8 >= old.tip * 9
    assert old.tip is None or new.tip <= new.max_fee


# --- a transaction that waits ---


def test_a_receipt_that_does_not_come_is_found_by_the_next_call(open_chain, devnet, database):
    pool = Pool(devnet)
    chain = open_chain(pool, database)
    before = count(chain)
    with pytest.raises(NotMined) as caught:
        chain.withdraw(3)
    pool.mine()
    receipt = chain.withdraw(3)
    assert receipt.transaction in str(caught.value)
    assert [each.arguments["amount"] for each in receipt.events] == [3]
    assert (count(chain), len(pool.taken)) == (before + 1, 1)


def test_once_told_the_same_call_is_another_deed(open_chain, devnet, database):
    chain = open_chain(devnet.provider, database)
    assert chain.withdraw(3).transaction != chain.withdraw(3).transaction


def test_another_deed_does_not_wait_for_the_one_before(open_chain, devnet):
    pool = Pool(devnet)
    chain = open_chain(pool)
    for amount in (3, 4):
        with pytest.raises(NotMined):
            chain.withdraw(amount)
    nonces = [priced(raw)[0] for raw in pool.taken]
    assert nonces[1] == nonces[0] + 1
    pool.mine()
    assert chain.withdraw(4).events[0].arguments["amount"] == 4
    assert chain.withdraw(3).events[0].arguments["amount"] == 3
    assert len(pool.taken) == 2


def test_a_stuck_transaction_is_replaced_on_its_nonce(open_chain, devnet, database):
    pool = Pool(devnet)
    chain = open_chain(pool, database)
    chain.endpoint.sender(chain.signer).stuck_seconds = 0.1
    before = count(chain)
    with pytest.raises(NotMined):
        chain.withdraw(5)
    first, *rest = [priced(raw) for raw in pool.taken]
    assert rest and {nonce for nonce, _ in rest} == {first[0]}
    assert rest[0][1] * 8 >= first[1] * 9
    pool.mine()
    receipt = chain.withdraw(5)
    assert count(chain) == before + 1
    statuses = [each.status for each in book(chain).every()]
    assert statuses == ["replaced"] * len(rest) + ["mined"]
    assert receipt.transaction == book(chain).every()[-1].name


def test_the_one_that_was_to_be_replaced_may_be_mined_instead(open_chain, devnet, database):
    pool = Pool(devnet)
    chain = open_chain(pool, database)
    chain.endpoint.sender(chain.signer).stuck_seconds = 0.1
    with pytest.raises(NotMined):
        chain.withdraw(5)
    devnet.send(pool.taken[0])
    pool.waiting.clear()
    receipt = chain.withdraw(5)
    assert receipt.transaction == "0x" + keccak(pool.taken[0]).hex()
    assert book(chain).every()[0].status == "mined"


def test_a_node_that_asks_for_more_than_an_eighth_gets_it(open_chain, devnet):
    pool = Pool(devnet, margin=40)
    chain = open_chain(pool, timeout=2)
    chain.endpoint.sender(chain.signer).stuck_seconds = 0.05
    with pytest.raises(NotMined):
        chain.withdraw(5)
    assert len(pool.taken) > 1
    pool.mine()
    assert chain.withdraw(5).events[0].arguments["amount"] == 5


def test_the_cap_holds_for_replacements(open_chain, devnet):
    pool = Pool(devnet)
    cap = 2 * devnet.pending().base_fee_per_gas + GWEI
    chain = open_chain(pool, max_fee=cap)
    chain.endpoint.sender(chain.signer).stuck_seconds = 0
    with pytest.raises(NotMined):
        chain.withdraw(5)
    assert [priced(raw)[1] for raw in pool.taken] == [cap]
    pool.mine()
    chain.withdraw(5)


def test_the_first_in_the_queue_is_replaced_not_the_one_behind_it(open_chain, devnet):
    pool = Pool(devnet)
    chain = open_chain(pool)
    with pytest.raises(NotMined):
        chain.withdraw(3)
    chain.endpoint.sender(chain.signer).stuck_seconds = 0
    with pytest.raises(NotMined):
        chain.withdraw(4)
    first, second, *replaced = [priced(raw)[0] for raw in pool.taken]
    assert (second, set(replaced)) == (first + 1, {first})
    pool.mine()
    chain.withdraw(4)
    chain.withdraw(3)


# --- what nodes say ---


def test_already_known_is_no_failure(open_chain, devnet):
    def twice(params, ask):
        ask("eth_sendRawTransaction", params)
        return refused("already known")

    assert open_chain(Meddler(devnet, eth_sendRawTransaction=twice)).withdraw(1).block


@pytest.mark.parametrize("message", ["nonce too low: next nonce 7, tx nonce 6", "old nonce"])
def test_a_nonce_that_somebody_else_took_is_replaced_by_the_next(open_chain, devnet, actors, message):
    others = []

    def late(params, ask):
        if not others:
            others.append(actors.alice.withdraw(9))  # the same key in another process, without a state
            return refused(message)
        return ask("eth_sendRawTransaction", params)

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=late))
    before = count(chain)
    receipt = chain.withdraw(1)
    assert receipt.transaction != others[0].transaction
    assert count(chain) == before + 2


def test_nonce_too_low_for_what_is_mined_already_is_no_failure(open_chain, devnet):
    def deaf(params, ask):
        ask("eth_sendRawTransaction", params)
        return refused("nonce too low")

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=deaf))
    before = count(chain)
    chain.withdraw(1)
    assert count(chain) == before + 1


def test_an_underpriced_transaction_is_offered_more(open_chain, devnet):
    prices = []

    def picky(params, ask):
        prices.append(priced(bytes.fromhex(params[0][2:]))[1])
        return ask("eth_sendRawTransaction", params) if len(prices) == 3 else refused("transaction underpriced")

    open_chain(Meddler(devnet, eth_sendRawTransaction=picky)).withdraw(1)
    assert prices == sorted(set(prices)) and len(prices) == 3


def test_the_nonce_of_a_refused_transaction_is_free_again(open_chain, devnet, database):
    answers = [refused("insufficient funds for gas * price + value")]

    def poor(params, ask):
        return answers.pop() if answers else ask("eth_sendRawTransaction", params)

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=poor), database)
    with pytest.raises(ChainError, match="insufficient funds"):
        chain.withdraw(2)
    chain.withdraw(3)
    assert [(each.nonce - count(chain), each.status) for each in book(chain).every()] == [(-1, "gone"), (-1, "mined")]


def test_a_deed_whose_nonce_somebody_else_used_is_done_anew(open_chain, devnet, actors, database, monkeypatch, caplog):
    pool = Pool(devnet)
    chain = open_chain(pool, database)
    with pytest.raises(NotMined):
        chain.withdraw(6)
    pool.waiting.clear()
    actors.alice.withdraw(9)
    monkeypatch.setattr(sending, "GONE_SECONDS", -1)
    pool.tricks.clear()
    with caplog.at_level(logging.WARNING):
        assert chain.withdraw(6).events[0].arguments["amount"] == 6
    assert "is the key used elsewhere?" in caplog.text
    assert [each.status for each in book(chain).every()] == ["gone", "mined"]


def test_threads_get_nonces_of_their_own(open_chain, devnet, database):
    chain = open_chain(devnet.provider, database, timeout=20)
    with ThreadPoolExecutor(6) as threads:
        receipts = list(threads.map(chain.withdraw, range(1, 13)))
    assert [each.events[0].arguments["amount"] for each in receipts] == list(range(1, 13))
    assert len({each.nonce for each in book(chain).every()}) == 12


# --- after a restart ---


class Killed(BaseException):
    """The process ends here."""


def test_what_was_written_and_not_sent_is_sent_after_a_restart(open_chain, devnet, open_state):
    def kill(*_):
        raise Killed

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=kill), open_state())
    before = count(chain)
    with pytest.raises(Killed):
        chain.withdraw(7)
    [written] = book(chain).every()

    again = open_chain(devnet.provider, open_state())
    again.prepare()
    assert count(again) == before + 1
    assert again.withdraw(7).transaction == written.name
    assert count(again) == before + 1


def test_what_was_sent_and_not_heard_of_is_found_after_a_restart(open_chain, devnet, open_state):
    def kill(*_):
        raise Killed

    chain = open_chain(Meddler(devnet, eth_getTransactionReceipt=kill), open_state())
    before = count(chain)
    with pytest.raises(Killed):
        chain.withdraw(7)
    receipt = open_chain(devnet.provider, open_state()).withdraw(7)
    assert receipt.events[0].arguments["amount"] == 7
    assert count(chain) == before + 1


def test_a_transaction_that_every_node_forgot_is_sent_again_after_a_restart(open_chain, devnet, open_state):
    pool = Pool(devnet)
    with pytest.raises(NotMined):
        open_chain(pool, open_state()).withdraw(8)
    pool.waiting.clear()
    again = open_chain(pool, open_state())
    again.prepare()
    assert pool.taken[0] == pool.taken[1]
    pool.mine()
    again.withdraw(8)


def test_a_node_that_answers_no_more_leaves_the_deed_to_be_found(open_chain, devnet, open_state):
    def die(*_):
        raise ConnectionError

    chain = open_chain(Meddler(devnet, eth_sendRawTransaction=die), open_state())
    with pytest.raises(Unreachable, match="may have been sent"):
        chain.withdraw(4)
    before = count(chain)
    open_chain(devnet.provider, open_state()).withdraw(4)
    assert count(chain) == before + 1


def test_a_deed_that_failed_when_it_was_mined_is_tried_anew(open_chain, devnet, database):
    """Simulated first, so that it fails for its reason and costs nothing."""
    stingy = Meddler(devnet, eth_estimateGas=lambda *_: result(hex(30_000)))
    chain = open_chain(stingy, database)
    with pytest.raises(Reverted):
        chain.withdraw(2)
    stingy.tricks.clear()
    assert chain.withdraw(2).block
    assert [each.status for each in book(chain).every()] == ["failed", "mined"]


# --- whose state it is ---


def test_a_state_of_another_account_is_refused(actors, devnet, open_chain, database):
    open_chain(devnet.provider, database)
    other = Chain(devnet.provider, actors.deployment.market, actors.bob.signer)
    with pytest.raises(StateError, match="belongs to account 0x"):
        other.remember(database)


def test_a_full_disk_stops_a_transaction_before_it_is_sent(open_chain, devnet, tmp_path):
    database = open_database(tmp_path)
    chain = open_chain(devnet.provider, database)
    before = count(chain)
    with database.begin() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
    event.listen(database.engine, "checkout", lambda raw, *_: raw.execute(f"PRAGMA max_page_count = {pages}"))

    def until_it_is_full() -> None:
        nonlocal before
        for _ in range(100):
            chain.set_encryption_key(b"\2" * 32)
            before += 1

    with pytest.raises(StateError, match="disk is full"):
        until_it_is_full()
    assert count(chain) == before

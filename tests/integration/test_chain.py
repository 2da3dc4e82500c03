"""A market through any node: what is refused has a name, what is sent is checked, and no node can make a traceback."""

import re

import pytest
import requests
from eth_abi.abi import encode

from market_node.chain import Chain, Phase, require_phase
from market_node.contracts import Contract
from market_node.errors import (
    BadInput,
    ChainError,
    ConfigError,
    NodeError,
    NotMined,
    Reverted,
    Unreachable,
    WrongChain,
    WrongPhase,
)
from market_node.phases import phase_of, span
from tests.conftest import FORTUNE
from tests.integration.stage import DEPOSIT, MODEL, PHASE, Meddler, Play, commit, result, terms

HASH = re.compile(r"0x[0-9a-f]{64}")


@pytest.fixture
def opened(devnet, actors) -> Play:
    """A round in its commit phase, with nobody in it."""
    return Play(devnet, actors.operator, [actors.alice, actors.bob]).open()


def through(provider, actors, name="alice", **options) -> Chain:
    """The market as `name` uses it, through another provider."""
    return Chain(provider, actors.deployment.market, getattr(actors, name).signer, **options)


# --- what is refused ---


def test_a_refusal_has_its_name_and_arguments_and_nothing_is_sent(actors, opened):
    commit(actors.alice, opened.number)
    block = actors.alice.block()
    with pytest.raises(Reverted) as caught:
        commit(actors.alice, opened.number)
    assert caught.value.name == "AlreadyCommitted"
    assert caught.value.arguments == {"round": opened.number, "account": actors.alice.account}
    assert actors.alice.block() == block


def test_what_the_escrow_refuses_behind_the_market_has_its_name(actors, opened):
    poor = actors.stranger
    poor.set_encryption_key(b"\1" * 32)
    with pytest.raises(Reverted) as caught:
        commit(poor, opened.number)
    assert caught.value.name == "NotEnoughAvailable"
    assert caught.value.arguments == {"account": poor.account, "available": 0, "asked": DEPOSIT}


def test_what_the_token_refuses_has_its_name(actors):
    call = Contract("Escrow", actors.deployment.escrow)("fund", 5)
    with pytest.raises(Reverted, match="ERC20InsufficientAllowance") as caught:
        actors.stranger.endpoint.send(call, actors.stranger.signer)
    assert caught.value.arguments["needed"] == 5


def test_a_round_that_is_not_there_is_said_so(actors):
    with pytest.raises(Reverted, match=r"UnknownRound\(round=999\)"):
        actors.alice.state(999)


@pytest.mark.parametrize("amount", [True, 1.0, -1, 1 << 96, "5", None])
def test_an_amount_is_a_whole_number_that_fits(actors, amount):
    with pytest.raises(BadInput, match="whole number"):
        actors.alice.withdraw(amount)


def test_arguments_that_do_not_fit_are_refused_without_their_values(actors, opened):
    secret = b"\xab" * 31  # where 32 are needed: padding would seal another bid
    with pytest.raises(BadInput, match=r"Market\.commit takes") as caught:
        actors.alice.commit(opened.number, secret, MODEL, DEPOSIT)
    assert "ab" * 31 not in str(caught.value) and "\\xab" not in str(caught.value)


def test_who_only_reads_cannot_write(actors, devnet):
    reader = Chain(devnet.provider, actors.deployment.market)
    assert reader.available(actors.alice.account) > 0
    with pytest.raises(BadInput, match="account to sign with"):
        reader.withdraw(1)


# --- phases ---


def test_a_step_in_the_wrong_phase_says_which_one_it_is_and_when_the_right_one_starts(actors, opened):
    with pytest.raises(WrongPhase) as caught:
        actors.alice.draw_seed(opened.number)
    text = str(caught.value)
    assert f"round {opened.number} is in Commit until 2025-06-15" in text
    assert text.endswith("UTC (in 10 min)") and "; Draw starts 2025-06-15" in text


def test_a_step_that_comes_too_late_says_when_its_phase_ended(actors, devnet, opened):
    devnet.warp(PHASE + 180)
    with pytest.raises(WrongPhase, match=r"is in Void; Commit ended .* \(3 min ago\)"):
        commit(actors.alice, opened.number)


def test_a_required_phase_is_checked_before_any_work(actors, opened):
    require_phase(actors.alice, opened.number, Phase.COMMIT)
    with pytest.raises(WrongPhase, match="Reveal starts when the seed is drawn"):
        require_phase(actors.alice, opened.number, Phase.REVEAL)


def test_python_and_the_contract_agree_on_the_phase_second_by_second(actors, devnet):
    """Through a whole round, at every boundary, one second before it and one after."""
    play = Play(devnet, actors.operator, [actors.alice, actors.bob]).open()
    chain, number = actors.operator, play.number
    seen = []

    def to_the_end_of_the_phase() -> None:
        end = chain.phase_ends(number)
        for moment in (end - 1, end, end + 1):
            devnet.warp(moment - devnet.now())
            assert chain.now() == moment
            seen.append(chain.phase(number))
            assert phase_of(chain.state(number), moment) == seen[-1]

    commit(actors.alice, number)
    commit(actors.bob, number)
    to_the_end_of_the_phase()
    play.draw()
    for index in range(2):
        play.players[index].reveal(
            number, index, chain.state(number).seed, play.bid, b"\5" * 32, MODEL, bytes(1024), b""
        )
    to_the_end_of_the_phase()
    play.settle()
    to_the_end_of_the_phase()
    names = "Commit Draw Draw Reveal Settle Settle Challenge Payout Payout"
    assert " ".join(map(str, seen)) == names
    assert chain.phase_ends(number) is None


def test_a_phase_starts_where_the_one_before_it_ends(actors, opened):
    state = actors.alice.state(opened.number)
    assert span(state, Phase.COMMIT)[1] == span(state, Phase.DRAW)[0] == state.terms.commit_deadline
    assert span(state, Phase.REVEAL) == (None, None)


# --- what is sent ---


def test_terms_come_back_from_the_chain_as_they_were_sent(actors, devnet):
    sent = terms(devnet.now(), fee=7, max_sellers=3)
    _, number = actors.operator.open_round(sent)
    assert actors.alice.terms(number) == sent
    assert actors.alice.state(number).aggregator == actors.operator.account
    assert actors.alice.round_count() == number


def test_a_receipt_tells_gas_block_and_what_the_contracts_said(actors):
    receipt = actors.alice.withdraw(12)
    assert receipt.block == actors.alice.block() and 21_000 < receipt.gas < 200_000
    [event] = receipt.events
    assert (event.name, event.arguments) == ("Withdrawn", {"account": actors.alice.account, "amount": 12})
    assert (event.address, event.transaction) == (actors.deployment.escrow, receipt.transaction)


def test_funding_takes_one_transaction_where_the_token_has_permits(actors):
    actors.bob.withdraw(1000)
    before = actors.bob.block()
    actors.bob.fund(1000)
    assert actors.bob.block() == before + 1


def test_funding_approves_first_where_the_token_has_no_permits(actors, monkeypatch):
    actors.bob.withdraw(1000)
    monkeypatch.setattr(actors.bob.token, "permit", lambda *_: None)
    actors.bob.token.approve(actors.bob.signer, actors.bob.escrow, 1)  # an old approval is in the way
    before = actors.bob.block()
    actors.bob.fund(1000)
    assert actors.bob.block() == before + 3
    assert actors.bob.token.allowance(actors.bob.account, actors.bob.escrow) == 0


def test_nobody_funds_more_than_it_holds(actors):
    with pytest.raises(BadInput, match=r"holds 0 base units of TEST, not 5"):
        actors.stranger.fund(5)


def test_money_goes_in_and_out_whole(actors):
    held, available = actors.carol.token.balance(actors.carol.account), actors.carol.available(actors.carol.account)
    assert (held, available) == (0, FORTUNE)
    actors.carol.withdraw(FORTUNE)
    assert actors.carol.token.balance(actors.carol.account) == FORTUNE
    actors.carol.fund(FORTUNE)
    assert actors.carol.available(actors.carol.account) == FORTUNE


def test_a_key_is_none_until_it_is_set(actors):
    assert actors.alice.encryption_key("0x" + "11" * 20) is None
    assert actors.alice.encryption_key(actors.bob.account) == b"\3" * 32


# --- receipts ---


def test_a_transaction_that_fails_when_it_is_mined_gives_its_reason(actors, devnet, opened):
    """As when two nodes of one account commit at once: the simulation saw neither."""
    hasty = through(Meddler(devnet, eth_estimateGas=lambda *_: result(hex(400_000))), actors)
    commit(actors.alice, opened.number)
    block = actors.alice.block()
    with pytest.raises(Reverted, match="AlreadyCommitted"):
        commit(hasty, opened.number)
    assert actors.alice.block() == block + 1


def test_a_transaction_that_runs_out_of_gas_says_so(actors, devnet, opened):
    stingy = through(Meddler(devnet, eth_estimateGas=lambda *_: result(hex(40_000))), actors)
    with pytest.raises(Reverted, match="OutOfGas"):
        commit(stingy, opened.number)


def test_a_transaction_too_large_for_a_block_is_not_sent(actors, devnet):
    vast = through(Meddler(devnet, eth_estimateGas=lambda *_: result(hex(1 << 25))), actors)
    with pytest.raises(ChainError, match="one may use 16777216"):
        vast.withdraw(1)


def test_a_transaction_without_a_receipt_may_still_be_mined(actors, devnet):
    slow = through(Meddler(devnet, eth_getTransactionReceipt=lambda *_: result(None)), actors, timeout=0.1)
    with pytest.raises(NotMined, match="may still be") as caught:
        slow.withdraw(1)
    [sent] = HASH.findall(str(caught.value))
    assert actors.alice.endpoint.web3.eth.get_transaction_receipt(sent)["status"] == 1


def test_a_transaction_counts_as_mined_when_it_is_as_deep_as_asked(actors, devnet):
    def mine(params, ask):
        devnet.mine()
        return ask("eth_getTransactionReceipt", params)

    patient = through(Meddler(devnet, eth_getTransactionReceipt=mine), actors, confirmations=4)
    receipt = patient.withdraw(1)
    assert patient.block() == receipt.block + 3


# --- nodes that fail ---

METHODS = [
    "eth_chainId",
    "eth_getCode",
    "eth_call",
    "eth_estimateGas",
    "eth_getTransactionCount",
    "eth_getBlockByNumber",
    "eth_maxPriorityFeePerGas",
    "eth_sendRawTransaction",
    "eth_getTransactionReceipt",
]


def use(provider, actors) -> None:
    """Everything that a write asks of a node."""
    chain = through(provider, actors, timeout=1)
    chain.withdraw(1)
    chain.now()
    chain.events(0, chain.block())


@pytest.mark.parametrize("method", METHODS)
def test_a_node_that_dies_in_the_middle_is_unreachable_in_one_line(actors, devnet, method):
    def die(*_):
        raise requests.ConnectionError("connection refused to http://secret")

    with pytest.raises(Unreachable) as caught:
        use(Meddler(devnet, **{method: die}), actors)
    text = str(caught.value)
    assert "does not answer" in text and "\n" not in text and "secret" not in text
    sent = method in ("eth_sendRawTransaction", "eth_getTransactionReceipt")
    assert bool(HASH.search(text)) == sent  # whether the money moved is known only by the hash


NONSENSE = [
    pytest.param(lambda *_: {}, id="empty"),
    pytest.param(lambda *_: [], id="list"),
    pytest.param(lambda *_: {"jsonrpc": "2.0", "id": 1, "result": None}, id="null"),
    pytest.param(lambda *_: {"jsonrpc": "2.0", "id": 1, "result": "<html>"}, id="html"),
    pytest.param(lambda *_: {"jsonrpc": "2.0", "id": 1, "result": {"hash": 7}}, id="object"),
    pytest.param(lambda *_: {"jsonrpc": "2.0", "id": 1, "error": "no"}, id="text error"),
    pytest.param(
        lambda *_: {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": "x", "data": "0x12"}}, id="odd"
    ),
    pytest.param(lambda *_: {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "a\nb"}}, id="error"),
    pytest.param(
        lambda *_: {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": "", "data": "0x4e487b71ff"}}, id="panic"
    ),
    pytest.param(
        lambda *_: {"jsonrpc": "2.0", "id": 1, "error": {"code": 3, "message": "", "data": "0x556f1830" + "00" * 64}},
        id="offchain",
    ),
]


@pytest.mark.parametrize("method", [*METHODS, "eth_blockNumber", "eth_getLogs"])
@pytest.mark.parametrize("nonsense", NONSENSE)
def test_a_node_that_talks_nonsense_makes_no_traceback(actors, devnet, method, nonsense):
    said = ""
    try:
        use(Meddler(devnet, **{method: nonsense}), actors)
    except NodeError as error:
        said = str(error)
    assert "\n" not in said


def test_a_node_cannot_make_its_client_fetch_an_address(actors, devnet, monkeypatch):
    """EIP-3668 lets an answer name addresses to ask; to a market that is only a stranger's wish."""
    followed = []
    monkeypatch.setattr("web3.eth.eth.handle_offchain_lookup", lambda *wish, **_: followed.append(wish) or b"")
    fields = ["address", "string[]", "bytes", "bytes4", "bytes"]
    wish = encode(fields, [actors.deployment.market, ["https://example.org/"], b"", bytes(4), b""])
    error = {"code": 3, "message": "execution reverted", "data": "0x556f1830" + wish.hex()}
    with pytest.raises(NodeError):
        through(Meddler(devnet, eth_call=lambda *_: {"jsonrpc": "2.0", "id": 1, "error": error}), actors)
    assert followed == []


def test_the_wrong_chain_is_named_beside_the_right_one(actors, devnet):
    with pytest.raises(WrongChain, match="serves chain 31337, not 11155111"):
        through(devnet.provider, actors, chain_id=11155111)


def test_an_address_without_a_market_is_the_wrong_chain(actors, devnet):
    with pytest.raises(WrongChain, match="no contract stands at"):
        Chain(devnet.provider, actors.alice.account)
    with pytest.raises(WrongChain, match="is not a market"):
        Chain(devnet.provider, actors.deployment.token)
    with pytest.raises(BadInput, match="not an address"):
        Chain(devnet.provider, "0x12")


def test_what_may_be_a_key_in_an_address_is_never_shown():
    with pytest.raises(Unreachable, match=r"^http://127\.0\.0\.1:1 does not answer") as caught:
        Chain("http://user:secret@127.0.0.1:1/v3/secret?key=secret", "0x" + "11" * 20)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("address", ["", "127.0.0.1:8545", "ftp://node", "http://"])
def test_an_endpoint_is_an_http_address(address):
    with pytest.raises(ConfigError, match="http"):
        Chain(address, "0x" + "11" * 20)


# --- logs ---


def test_logs_are_the_same_however_few_blocks_a_node_gives_at_once(actors, devnet):
    def grudging(params, ask):
        wide = int(params[0]["toBlock"], 16) - int(params[0]["fromBlock"], 16) > 2
        if wide:
            return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "query returned too much"}}
        return ask("eth_getLogs", params)

    everything = actors.alice.events(0, actors.alice.block())
    assert len(everything) > 5
    assert through(Meddler(devnet, eth_getLogs=grudging), actors).events(0, actors.alice.block()) == everything


def test_a_node_that_gives_no_logs_at_all_is_an_error(actors, devnet):
    refusal = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32005, "message": "not today"}}
    mean = through(Meddler(devnet, eth_getLogs=lambda *_: refusal), actors)
    with pytest.raises(ChainError, match="not today"):
        mean.events(0, mean.block())


def test_logs_of_other_contracts_are_not_the_markets(actors, devnet):
    def more(params, ask):
        return ask("eth_getLogs", [{**params[0], "address": [*params[0]["address"], actors.deployment.token]}])

    generous = through(Meddler(devnet, eth_getLogs=more), actors)
    assert generous.events(0, generous.block()) == actors.alice.events(0, actors.alice.block())

"""Several nodes of one chain: one that fails, stalls or lies is left for the next, with one warning."""

import logging
import re

import pytest
import requests

from market_node.chain import Chain
from market_node.deploy import deploy
from market_node.devnet import Devnet
from market_node.endpoint import Endpoint
from market_node.errors import ConfigError, Unreachable, WrongChain
from market_node.history import History
from market_node.jsonrpc import serve
from market_node.providers import Http, Providers
from tests.integration.pool import fork, refused
from tests.integration.stage import Meddler, result


def node(devnet: Devnet, name: str = "node", **tricks) -> Meddler:
    """A node with a name, which errors show."""
    made = Meddler(devnet, **tricks)
    made.name = name
    return made


def down(*_):
    raise requests.ConnectionError("refused by http://secret")


def silent(*_):
    raise requests.ReadTimeout("http://secret")


def http_429(*_):
    response = requests.Response()
    response.status_code = 429
    raise requests.HTTPError("http://secret", response=response)


FAILURES = [
    pytest.param(down, r"does not answer \(ConnectionError\)", id="down"),
    pytest.param(silent, r"does not answer \(ReadTimeout\)", id="stalls"),
    pytest.param(http_429, "answers with HTTP status 429", id="429"),
    pytest.param(lambda *_: "<html>", "does not answer as a node does", id="html"),
    pytest.param(lambda *_: {}, "does not answer as a node does", id="empty"),
    pytest.param(lambda *_: refused("Rate limit exceeded, slow down"), "is busy", id="limited"),
    pytest.param(
        lambda *_: {"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "Internal error"}},
        "is busy",
        id="internal",
    ),
]
METHODS = [
    "eth_chainId",
    "eth_call",
    "eth_blockNumber",
    "eth_getLogs",
    "eth_estimateGas",
    "eth_getTransactionCount",
    "eth_feeHistory",
    "eth_getBlockByNumber",
    "eth_getTransactionReceipt",
    "eth_sendRawTransaction",
]


def use(chain: Chain) -> int:
    """A write and what reads it."""
    receipt = chain.withdraw(1)
    chain.now()
    return len(chain.events(receipt.block, chain.block()))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("trick", "reason"), FAILURES)
def test_a_node_that_fails_is_left_for_the_next_with_one_warning(actors, devnet, caplog, method, trick, reason):
    nodes = [node(devnet, "first", **{method: trick}), node(devnet, "second")]
    with caplog.at_level(logging.WARNING, "market_node.providers"):
        chain = Chain(nodes, actors.deployment.market, actors.alice.signer, timeout=2)
        assert use(chain) == 1
    [warning] = caplog.messages
    assert warning.startswith("first ") and warning.endswith(": second is asked instead")
    assert "secret" not in warning and "\n" not in warning
    assert re.search(reason, warning)


def test_the_next_one_stays_the_one_that_is_asked(actors, devnet):
    first = node(devnet, "first", eth_call=down)
    chain = Chain([first, node(devnet, "second")], actors.deployment.market)
    assert chain.endpoint.name == "second"
    first.tricks.clear()
    before = len(first.asked)
    chain.round_count()
    assert (chain.endpoint.name, len(first.asked)) == ("second", before)


def test_one_that_was_left_is_tried_again_when_the_next_fails(actors, devnet):
    first, second = node(devnet, "first", eth_call=down), node(devnet, "second")
    chain = Chain([first, second], actors.deployment.market)
    first.tricks.clear()
    second.tricks["eth_call"] = silent
    assert chain.round_count() >= 0
    assert chain.endpoint.name == "first"


def test_where_none_answers_the_error_is_one_line(actors, devnet):
    nodes = [node(devnet, "first"), node(devnet, "second")]
    chain = Chain(nodes, actors.deployment.market)
    for each in nodes:
        each.tricks["eth_call"] = down
    with pytest.raises(Unreachable, match="does not answer") as caught:
        chain.round_count()
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)
    nodes[1].tricks.clear()
    assert chain.round_count() >= 0


def test_what_a_contract_refuses_is_no_failure_of_its_node(actors, devnet, caplog):
    chain = Chain([node(devnet, "first"), node(devnet, "second")], actors.deployment.market, actors.alice.signer)
    with pytest.raises(Exception, match="NotEnoughAvailable"):
        chain.withdraw((1 << 96) - 1)
    assert (chain.endpoint.name, caplog.messages) == ("first", [])


# --- lies ---


def test_a_node_of_another_chain_is_left(actors, devnet, caplog):
    liar = node(devnet, "liar", eth_chainId=lambda *_: result(hex(1)))
    chain = Chain([liar, node(devnet, "honest")], actors.deployment.market, chain_id=31337)
    assert (chain.chain_id, chain.endpoint.name) == (31337, "honest")
    assert caplog.messages == ["liar serves chain 1, not 31337: honest is asked instead"]


def test_a_node_of_another_chain_with_the_same_id_is_left(actors, devnet, caplog):
    """Two devnets: only their first blocks differ."""
    other = Devnet(clock=lambda: 1_800_000_000)
    first = node(devnet, "first")
    chain = Chain([first, node(other, "other"), node(devnet, "third")], actors.deployment.market)
    first.tricks["eth_call"] = down
    chain.round_count()
    assert chain.endpoint.name == "third"
    assert "other serves another chain than the others" in caplog.text


def test_a_node_that_is_behind_what_was_confirmed_is_left(actors, devnet, caplog):
    """It is asked for its head again and again, so it cannot hide for long."""
    first, second = node(devnet, "first"), node(devnet, "second")
    chain = Chain([first, second], actors.deployment.market)
    head = chain.block()
    first.tricks["eth_blockNumber"] = lambda *_: result(hex(head - 1))
    assert chain.block() == head
    assert caplog.messages == [f"first is at block {head - 1}, behind {head}, which was seen: second is asked instead"]


def test_a_head_within_the_confirmations_may_go_back(actors, devnet, caplog):
    first = node(devnet, "first")
    chain = Chain([first, node(devnet, "second")], actors.deployment.market, confirmations=4)
    head = chain.block()
    first.tricks["eth_blockNumber"] = lambda *_: result(hex(head - 3))
    assert (chain.block(), caplog.messages) == (head - 3, [])
    first.tricks["eth_blockNumber"] = lambda *_: result(hex(head - 4))
    assert chain.block() == head


def test_one_node_that_is_behind_is_not_believed_because_the_others_are_down(actors, devnet):
    first, second = node(devnet, "first"), node(devnet, "second")
    chain = Chain([first, second], actors.deployment.market)
    head = chain.block()
    first.tricks["eth_blockNumber"] = down
    second.tricks["eth_blockNumber"] = lambda *_: result(hex(head - 1))
    with pytest.raises(Unreachable, match="behind"):
        chain.block()
    second.tricks.clear()
    assert chain.block() == head


def test_where_every_node_is_behind_the_chain_was_reorganised(actors, devnet, caplog):
    nodes = [node(devnet, "first"), node(devnet, "second")]
    chain = Chain(nodes, actors.deployment.market)
    head = chain.block()
    nodes[0].tricks["eth_blockNumber"] = lambda *_: result(hex(head - 3))
    nodes[1].tricks["eth_blockNumber"] = lambda *_: result(hex(head - 2))
    assert (chain.block(), chain.endpoint.name) == (head - 2, "second")
    assert "the chain was reorganised" in caplog.text


def test_what_was_seen_before_a_restart_counts(actors, devnet, open_state):
    chain = Chain(devnet.provider, actors.deployment.market)
    chain.remember(open_state())
    History(chain).refresh()
    late = fork(devnet, len(devnet.mined) - 2)  # the same chain, before its last block
    again = Chain([node(late, "late"), node(devnet, "timely")], actors.deployment.market)
    assert again.endpoint.name == "late"
    again.remember(open_state())
    assert (again.block(), again.endpoint.name) == (devnet.mined[-1].block.number, "timely")


# --- transactions ---


def test_a_transaction_goes_to_one_and_copies_to_the_others(actors, devnet):
    nodes = [node(devnet, name) for name in ("first", "second", "third")]
    chain = Chain(nodes, actors.deployment.market, actors.alice.signer)
    chain.withdraw(1)
    sent = [[p for method, p in each.asked if method == "eth_sendRawTransaction"] for each in nodes]
    assert sent[0] == sent[1] == sent[2] and len(sent[0]) == 1


def test_copies_that_fail_stop_nothing_and_a_node_that_failed_gets_none_for_a_while(actors, devnet, caplog):
    nodes = [node(devnet, "first"), node(devnet, "second", eth_sendRawTransaction=silent)]
    chain = Chain(nodes, actors.deployment.market, actors.alice.signer)
    chain.withdraw(1)
    chain.withdraw(1)
    assert [method for method, _ in nodes[1].asked].count("eth_sendRawTransaction") == 1
    assert (chain.endpoint.name, caplog.messages) == ("first", [])


def test_a_transaction_that_a_node_took_before_it_died_is_sent_once(actors, devnet):
    def take_and_die(params, ask):
        ask("eth_sendRawTransaction", params)
        raise requests.ConnectionError

    nodes = [node(devnet, "first", eth_sendRawTransaction=take_and_die), node(devnet, "second")]
    chain = Chain(nodes, actors.deployment.market, actors.alice.signer, timeout=2)
    before = chain.endpoint.nonce(chain.account)
    assert chain.withdraw(1).events[0].arguments["amount"] == 1
    assert chain.endpoint.nonce(chain.account) == before + 1


# --- addresses ---


def test_an_address_where_nobody_answers_is_left_for_one_where_somebody_does(caplog):
    with serve(Devnet(), port=0) as server:
        market = deploy(server.url, Devnet().accounts[0]).market
        chain = Chain(["http://127.0.0.1:1/v3/secret", server.url], market)
        assert (chain.endpoint.name, chain.round_count()) == (server.url, 0)
    assert "secret" not in caplog.text


def test_a_node_among_others_is_not_waited_for_as_long():
    def seconds(provider) -> float:
        return dict(provider.get_request_kwargs())["timeout"]

    alone = Endpoint("http://127.0.0.1:1").web3.provider
    among = Endpoint(["http://127.0.0.1:1", "http://127.0.0.1:2"]).web3.provider
    assert isinstance(alone, Http) and isinstance(among, Providers)
    assert {seconds(each) for each in among.providers} == {10} and seconds(alone) == 30
    assert [each.exception_retry_configuration for each in among.providers] == [None, None]


@pytest.mark.parametrize("addresses", [[], ["http://a", "ftp://b"], ["http://a", ""]])
def test_every_endpoint_is_an_http_address(addresses):
    with pytest.raises(ConfigError):
        Endpoint(addresses)


def test_where_all_serve_the_wrong_chain_that_is_said(actors, devnet):
    nodes = [node(devnet, "first"), node(devnet, "second")]
    with pytest.raises(WrongChain, match="second serves chain 31337, not 5"):
        Chain(nodes, actors.deployment.market, chain_id=5)

"""The embedded chain: an Ethereum node as far as a client can tell, whose clock can be set forward."""

import http.client
import json
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from web3 import HTTPProvider, Web3

from market_node.chain import Chain, Phase
from market_node.contracts import Contract, creation
from market_node.deploy import deploy, mint
from market_node.devnet import GAS_CAP, START, Devnet, RpcError, least_gas
from market_node.endpoint import Endpoint
from market_node.errors import BadInput, Reverted
from market_node.jsonrpc import MAX_BODY, answer, serve
from tests.integration.stage import PHASE, commit, terms


def ask(devnet, method, *parameters):
    """The result of a request."""
    reply = json.loads(answer(devnet, json.dumps({"id": 1, "method": method, "params": parameters}).encode()))
    if "error" in reply:
        raise RpcError(reply["error"]["message"], reply["error"]["code"], reply["error"].get("data"))
    return reply["result"]


def transfer(devnet, sender, **changes):
    """A signed transfer of one wei to Bob."""
    fields = {
        "type": 2,
        "chainId": devnet.chain_id,
        "nonce": devnet.state().get_nonce(bytes.fromhex(sender.address[2:])),
        "to": devnet.accounts[2].address,
        "value": 1,
        "gas": 21_000,
        "maxFeePerGas": 3 * 10**9,
        "maxPriorityFeePerGas": 10**9,
    }
    return sender.sign_transaction({**fields, **changes}).raw_transaction


# --- the clock ---


def test_time_stands_still_between_warps(devnet):
    began = devnet.now()
    for _ in range(5):
        devnet.send(transfer(devnet, devnet.accounts[1]))
    assert devnet.now() == began
    assert devnet.warp(100) == began + 100
    assert ask(devnet, "eth_getBlockByNumber", "latest", False)["timestamp"] == hex(began + 100)


def test_a_deadline_passes_by_itself_when_there_is_a_clock():
    clock = [1_800_000_000.5]
    devnet = Devnet(clock=lambda: clock[0])
    operator = devnet.accounts[0]
    market = deploy(devnet.provider, operator, min_phase=60)
    chain = Chain(devnet.provider, market.market, operator)
    mint(devnet.provider, operator, market.token, chain.account, 1 << 60)
    chain.fund(1 << 60)
    chain.set_encryption_key(b"\1" * 32)
    _, number = chain.open_round(terms(chain.now()))
    block = chain.block()

    clock[0] += PHASE - 1
    assert chain.phase(number) == Phase.COMMIT
    clock[0] += 1
    assert chain.phase(number) == Phase.VOID  # nobody committed
    assert chain.block() == block


def test_a_transaction_sees_the_time_that_now_says(actors, devnet):
    """To the second: a commit in the last second of its phase is in time, one second later it is not."""
    _, number = actors.operator.open_round(terms(devnet.now()))
    deadline = actors.operator.terms(number).commit_deadline
    devnet.shift(deadline - 1 - devnet.now())
    assert actors.alice.now() == deadline - 1
    commit(actors.alice, number)
    devnet.shift(1)
    assert actors.alice.now() == deadline
    with pytest.raises(Reverted, match="WrongPhase"):
        actors.alice.endpoint.send(
            Contract("Market", actors.alice.market)("commit", number, bytes(32), (bytes(32), bytes(32)), 1 << 21),
            actors.bob.signer,
        )


def test_many_blocks_in_a_second_do_not_outrun_the_clock():
    devnet = Devnet(clock=lambda: 1_800_000_000.0)
    for _ in range(20):
        devnet.send(transfer(devnet, devnet.accounts[1]))
    assert devnet.now() == 1_800_000_000


def test_time_does_not_run_backwards():
    clock = [1_800_000_000.0]
    devnet = Devnet(clock=lambda: clock[0])
    devnet.mine()
    clock[0] -= 50
    assert devnet.now() == 1_800_000_000
    with pytest.raises(RpcError, match="backwards"):
        devnet.warp(-1)


def test_hardhats_time_travel_works(devnet):
    began = devnet.now()
    ask(devnet, "evm_increaseTime", 50)
    ask(devnet, "evm_mine")
    assert devnet.now() == began + 50
    ask(devnet, "evm_mine", {"timestamp": began + 90})
    assert int(ask(devnet, "eth_getBlockByNumber", "latest", False)["timestamp"], 16) == began + 90


def test_the_same_transactions_give_the_same_chain():
    chains = [Devnet(), Devnet()]
    for devnet in chains:
        deploy(devnet.provider, devnet.accounts[0])
        devnet.warp(7)
    first, second = (ask(devnet, "eth_getBlockByNumber", "latest", True) for devnet in chains)
    assert first == second
    assert int(first["timestamp"], 16) == START + 7


# --- transactions ---


def test_a_transaction_that_cannot_be_mined_changes_nothing(devnet):
    alice = devnet.accounts[1]
    devnet.send(transfer(devnet, alice))
    block, nonce = len(devnet.mined), devnet.state().get_nonce(bytes.fromhex(alice.address[2:]))
    for changes, reason in [
        ({"nonce": nonce + 1}, "nonce too high"),
        ({"nonce": nonce - 1}, "nonce too low"),
        ({"gas": GAS_CAP + 1}, "gas limit too high"),
        ({"gas": 20_999}, "floor price"),
        ({"data": b"\1" * 1000, "gas": least_gas(b"\1" * 1000) - 1}, "floor price"),
        ({"value": 10**30}, "invalid transaction"),
        ({"chainId": 1}, "signed for chain 1, not 31337"),
        ({"maxFeePerGas": 1, "maxPriorityFeePerGas": 1}, "invalid transaction"),
    ]:
        with pytest.raises(RpcError, match=reason):
            devnet.send(transfer(devnet, alice, **changes))
    assert len(devnet.mined) == block
    devnet.send(transfer(devnet, alice))  # and the chain goes on
    assert len(devnet.mined) == block + 1


@pytest.mark.parametrize("raw", [b"", b"\x02", b"\xff" * 40, b"\x02\xc0", b"\x03" + b"\0" * 40, b"\xc0"])
def test_what_is_no_transaction_is_refused(devnet, raw):
    with pytest.raises(RpcError):
        ask(devnet, "eth_sendRawTransaction", "0x" + raw.hex())


def test_a_revert_carries_its_bytes(actors, devnet):
    call = Contract("Escrow", actors.deployment.escrow)("withdraw", 1)
    parameters = {"from": actors.stranger.account, "to": call.to, "data": "0x" + call.calldata.hex()}
    for method in ("eth_call", "eth_estimateGas"):
        with pytest.raises(RpcError, match="execution reverted") as caught:
            ask(devnet, method, parameters)
        assert caught.value.code == 3
        assert len(bytes.fromhex(caught.value.data[2:])) == 4 + 3 * 32  # NotEnoughAvailable(account, available, asked)


def test_an_estimate_is_enough_and_not_much_more(actors, devnet):
    account = actors.alice
    for call in (
        creation("Market", actors.deployment.token, 60),
        Contract("Escrow", actors.deployment.escrow)("withdraw", 1),
        Contract("Market", actors.deployment.market)("setEncryptionKey", b"\1" * 32),
    ):
        to = {"to": call.to} if call.to else {}
        parameters = {"from": account.account, **to, "data": "0x" + call.calldata.hex()}
        estimate = int(ask(devnet, "eth_estimateGas", parameters), 16)
        raw = transfer(devnet, account.signer, to=call.to or "", data=call.calldata, gas=estimate, value=0)
        receipt = ask(devnet, "eth_getTransactionReceipt", "0x" + devnet.send(bytes(raw)).hex())
        assert receipt["status"] == "0x1"
        assert int(receipt["gasUsed"], 16) <= estimate <= 1.15 * int(receipt["gasUsed"], 16)


def test_who_has_no_ether_can_still_ask(devnet, actors):
    call = Contract("Escrow", actors.deployment.escrow)("available", actors.alice.account)
    nobody = "0x" + "99" * 20
    parameters = {"from": nobody, "to": call.to, "data": "0x" + call.calldata.hex()}
    assert int(ask(devnet, "eth_call", parameters), 16) == actors.alice.available(actors.alice.account)


def test_the_past_can_be_asked(actors, devnet):
    chain, before = actors.bob, actors.bob.available(actors.bob.account)
    block = chain.block()
    chain.withdraw(5)
    call = Contract("Escrow", chain.escrow)("available", chain.account)
    assert chain.endpoint.read(call, block) == before
    assert chain.endpoint.read(call) == before - 5


# --- logs ---


def test_logs_are_those_of_the_receipts_that_match(actors, devnet):
    """Against the slow obvious filter: every receipt, every log, every condition."""
    actors.carol.withdraw(3)
    everything = [
        log
        for mined in devnet.mined
        if mined.transaction
        for log in ask(devnet, "eth_getTransactionReceipt", "0x" + mined.transaction.hash.hex())["logs"]
    ]
    last = len(devnet.mined) - 1
    escrow, token = actors.deployment.escrow, actors.deployment.token
    topic, other = everything[0]["topics"][0], everything[-2]["topics"][0]
    assert topic != other
    for criteria in [
        {},
        {"address": escrow},
        {"address": [escrow, token]},
        {"topics": [topic]},
        {"topics": [[topic, other]]},
        {"topics": [None, everything[-1]["topics"][1]]},
        {"address": escrow, "topics": [other]},
        {"fromBlock": hex(5), "toBlock": hex(9)},
        {"fromBlock": hex(last), "toBlock": "latest"},
        {"fromBlock": hex(last + 1), "toBlock": hex(last + 50)},
    ]:
        whole = {"fromBlock": "earliest", "toBlock": "latest", **criteria}
        assert ask(devnet, "eth_getLogs", whole) == [log for log in everything if matches(log, criteria)]
    digest = devnet.mined[last].block.hash.hex()
    assert ask(devnet, "eth_getLogs", {"blockHash": "0x" + digest}) == [
        log for log in everything if log["blockNumber"] == hex(last)
    ]


def matches(log, criteria) -> bool:
    """The slow obvious filter."""
    wanted = criteria.get("address", log["address"])
    for topic, one in zip(criteria.get("topics", []), [*log["topics"], *[None] * 4], strict=False):
        if topic is not None and one not in (topic if isinstance(topic, list) else [topic]):
            return False
    first = int(criteria.get("fromBlock", "0x0"), 16)
    end = criteria.get("toBlock", "latest")
    number = int(log["blockNumber"], 16)
    return log["address"] in wanted and first <= number and (end == "latest" or number <= int(end, 16))


# --- over HTTP ---


@pytest.fixture(scope="module")
def server(devnet):
    with serve(devnet, port=0) as running:
        yield running


def post(server, body, **headers):
    """Status and body of the answer to a raw request."""
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    connection.request("POST", "/", body, headers)
    response = connection.getresponse()
    return response.status, response.read()


def test_another_process_can_use_it(server, actors, devnet):
    """With nothing but web3's own provider and the account's key."""
    program = f"""
from eth_account import Account
from market_node.chain import Chain
chain = Chain({server.url!r}, {actors.deployment.market!r}, Account.from_key({actors.bob.signer.key.hex()!r}))
print(chain.withdraw(7).gas, chain.now(), len(chain.events(0, chain.block())))
"""
    before = actors.bob.available(actors.bob.account)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    gas, now, logs = map(int, done.stdout.split())
    assert gas > 21_000 and now == devnet.now() and logs > 3
    assert actors.bob.available(actors.bob.account) == before - 7


def test_web3_finds_everything_that_it_asks_a_node(server, devnet):
    web3, account = Web3(HTTPProvider(server.url)), devnet.accounts[6]
    assert web3.is_connected()
    assert (web3.eth.chain_id, web3.net.version) == (31337, "31337")
    before = web3.eth.get_balance(account.address)
    fees = {"maxFeePerGas": 2 * web3.eth.gas_price, "maxPriorityFeePerGas": web3.eth.max_priority_fee}
    fields = {"to": account.address, "value": 5, "gas": 21_000, "chainId": 31337, **fees}
    nonce = web3.eth.get_transaction_count(account.address)
    sent = web3.eth.send_raw_transaction(account.sign_transaction({**fields, "nonce": nonce}).raw_transaction)
    receipt = web3.eth.wait_for_transaction_receipt(sent, timeout=5)
    assert (receipt["status"], receipt["gasUsed"]) == (1, 21_000)
    assert web3.eth.get_transaction(sent)["value"] == 5
    assert web3.eth.get_block(receipt["blockHash"])["transactions"] == [sent]
    assert web3.eth.get_block("latest", full_transactions=True)["transactions"][0]["hash"] == sent
    assert web3.eth.get_balance(account.address) == before - 21_000 * receipt["effectiveGasPrice"]
    assert len(web3.eth.fee_history(3, "latest", [50])["baseFeePerGas"]) == 4
    assert web3.eth.get_storage_at(account.address, 0) == bytes(32)
    assert not web3.eth.syncing


def test_accounts_that_send_at_once_are_all_mined(server, devnet):
    web3 = Web3(HTTPProvider(server.url))
    senders = devnet.accounts[8:14]
    raws = [[transfer(devnet, sender, nonce=nonce) for nonce in range(5)] for sender in senders]

    def send(mine) -> list[int]:
        return [web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(raw))["status"] for raw in mine]

    with ThreadPoolExecutor(len(senders)) as pool:
        assert [*pool.map(send, raws)] == [[1] * 5] * len(senders)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", -32700),
        (b"\xff", -32700),
        (b"[" * 100_000, -32700),
        (b"[]", -32600),
        (b'{"id": 1}', -32601),
        (b'{"id": 1, "method": ["x"]}', -32603),
        (b'{"id": 1, "method": "eth_sign"}', -32601),
        (b'{"id": 1, "method": "eth_call"}', -32603),
        (b'{"id": 1, "method": "eth_call", "params": [{"to": "0x12"}]}', -32602),
        (b'{"id": 1, "method": "eth_getBalance", "params": [7]}', -32602),
        (b'{"id": 1, "method": "eth_getBalance", "params": {"a": 1}}', -32602),
        (b'{"id": 1, "method": "eth_getLogs", "params": ["x"]}', -32603),
    ],
)
def test_whatever_is_asked_there_is_an_answer(server, body, code):
    status, said = post(server, body)
    assert status == 200
    assert json.loads(said)["error"]["code"] == code


def test_a_body_without_a_length_or_too_long_is_not_read(server):
    assert post(server, b"", **{"Content-Length": str(MAX_BODY + 1)})[0] == 413
    assert post(server, b"", **{"Content-Length": "9" * 5000})[0] == 413
    assert post(server, b"", **{"Content-Length": "-5"})[0] == 411
    assert post(server, iter([b"{}"]))[0] == 411  # chunked


def test_a_client_that_goes_away_disturbs_nobody(server, capfd):
    for _ in range(3):
        connection = http.client.HTTPConnection(*server.server_address, timeout=10)
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", "1000")
        connection.endheaders(b"{")
        connection.close()
    assert post(server, b'{"id": 1, "method": "eth_chainId"}')[0] == 200
    assert capfd.readouterr().err == ""


def test_it_listens_on_loopback_only():
    for host in ("0.0.0.0", "192.0.2.1", "example.org", ""):
        with pytest.raises(BadInput, match="loopback only"):
            serve(Devnet(), host, 0)


def test_a_taken_port_is_said_so(server):
    with pytest.raises(BadInput, match="cannot listen"):
        serve(Devnet(), "127.0.0.1", server.server_address[1])


def test_a_closed_server_leaves_no_thread():
    before = threading.active_count()
    with serve(Devnet(), port=0) as running:
        assert Endpoint(running.url).block() == 0
    assert threading.active_count() <= before + 1  # a connection's thread may still be going

"""What contracts say, by name: every error and event that is packaged, and nothing that is not."""

import pytest
from eth_abi.abi import encode
from hypothesis import given
from hypothesis import strategies as st

from market_node.contracts import (
    NAMES,
    PANICS,
    Contract,
    artifact,
    checksum,
    creation,
    read_log,
    returned,
    reverted,
    snake,
)
from market_node.contracts import _errors as errors
from market_node.contracts import _type as abi_type
from market_node.errors import BadInput, WrongChain

ALICE = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
MARKET = Contract("Market", "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512")

SAMPLES = {"uint256": 7, "uint8": 2, "address": ALICE, "string": "fee", "bytes32": b"\1" * 32, "bytes30": b"\2" * 30}
"""A value of each type that an error carries."""


def test_names_are_spelt_as_in_python():
    spelt = {"minReputation": "min_reputation", "cid": "cid", "sealedBid": "sealed_bid", "from": "from"}
    assert {name: snake(name) for name in spelt} == spelt


@pytest.mark.parametrize("contract", NAMES)
def test_every_error_of_every_contract_has_its_name_and_arguments(contract):
    for item in artifact(contract)["abi"]:
        if item["type"] != "error":
            continue
        selector = next(
            key for key, (name, inputs) in errors().items() if (name, inputs) == (item["name"], item["inputs"])
        )
        types = [abi_type(each) for each in item["inputs"]]
        values = [SAMPLES[kind] for kind in types]
        error = reverted(selector + encode(types, values))
        assert error.name == item["name"]
        assert list(error.arguments.values()) == values
        assert list(error.arguments) == [snake(each["name"]) for each in item["inputs"]]


def test_a_text_and_solidity_s_own_checks_are_named_too():
    text = reverted(bytes.fromhex("08c379a0") + encode(["string"], ["not today"]))
    assert (text.name, text.arguments) == ("Error", {"reason": "not today"})
    panic = reverted(bytes.fromhex("4e487b71") + encode(["uint256"], [0x11]))
    assert (panic.name, panic.arguments) == ("Panic", {"code": 0x11, "reason": PANICS[0x11]})


@given(st.binary(max_size=200))
def test_no_revert_is_a_traceback(data):
    assert "\n" not in str(reverted(data)) or b"\n" in data


def test_an_error_cut_short_is_unknown_and_shown():
    whole = bytes.fromhex("4e487b71") + encode(["uint256"], [0x11])
    assert reverted(whole[:-1]).name == "Unknown"
    assert reverted(whole[:-1]).arguments == {"data": "0x" + whole[:-1].hex()}


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=4), st.binary(max_size=300))
def test_no_log_is_a_traceback(topics, data):
    log = {"topics": topics, "data": data, "blockNumber": 1, "transactionHash": b"", "logIndex": 0, "address": ALICE}
    event = read_log(log)
    assert (event.name, event.arguments) == ("", {"topics": topics, "data": data})


def test_a_call_is_what_the_abi_says():
    call = MARKET("isPaid", 3, 4)
    assert call.calldata[4:] == (3).to_bytes(32, "big") + (4).to_bytes(32, "big")
    assert (call.what, call.to, call.outputs) == ("Market.isPaid", MARKET.address, ("bool",))


@pytest.mark.parametrize(
    ("function", "arguments"),
    [
        ("isPaid", (1,)),
        ("isPaid", (1, 2, 3)),
        ("isPaid", (-1, 2)),
        ("isPaid", (1 << 256, 2)),
        ("isPaid", ("1", 2)),
        ("isPaid", (1.5, 2)),
        ("setEncryptionKey", (b"\1" * 31,)),
        ("setEncryptionKey", (b"\1" * 33,)),
        ("encryptionKeyOf", ("0x12",)),
        ("commit", (1, b"\1" * 32, (b"\1" * 32,), 5)),
        ("commit", (1, b"\1" * 32, (b"\1" * 32, b"\1" * 32), 1 << 96)),
    ],
)
def test_what_does_not_fit_is_refused(function, arguments):
    with pytest.raises(BadInput, match=f"Market.{function} takes"):
        MARKET(function, *arguments)


def test_a_creation_carries_the_bytecode_and_its_arguments():
    code = bytes.fromhex(artifact("Market")["bytecode"][2:])
    call = creation("Market", ALICE, 60)
    assert call.to is None
    assert call.calldata == code + encode(["address", "uint32"], [ALICE, 60])
    with pytest.raises(BadInput, match="Market takes"):
        creation("Market", ALICE)


def test_addresses_come_back_with_their_checksum():
    assert returned(MARKET("escrow"), encode(["address"], [ALICE.lower()])) == ALICE
    assert checksum(ALICE.lower()) == ALICE


@pytest.mark.parametrize("output", [b"", b"\1", b"\xff" * 32])
def test_an_answer_that_is_none_is_another_contracts(output):
    with pytest.raises(WrongChain, match=r"does not answer Market\.escrow"):
        returned(MARKET("escrow"), output)

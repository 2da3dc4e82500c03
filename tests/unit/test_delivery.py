"""The delivery list: what is written is read back, and what a stranger wrote is refused in one line."""

import json

import pytest

from market_node.canonical import canonical
from market_node.delivery import Delivery, DeliveryList, Exclusion, Length, delivery_list_bytes, parse_delivery_list
from market_node.errors import MalformedUpdate, UnknownVersion

ALICE = "0x" + "a1" * 20
LISTED = DeliveryList(
    chain_id=31337,
    market="0x" + "11" * 20,
    round=7,
    deliveries=(Delivery(0, ALICE, bytes(32), b"\1" * 32, b"\2" * 1024, b"\3" * 80),),
    exclusions=(Exclusion(3, "root-mismatch", b"\4" * 32), Exclusion(4, "missing")),
    lengths=(Length(1, 2**100 + 1), Length(2, 0)),
)


def altered(**changes: object) -> bytes:
    return canonical({**json.loads(delivery_list_bytes(LISTED)), **changes})


def test_a_list_is_read_back_as_it_was_written():
    assert parse_delivery_list(delivery_list_bytes(LISTED)) == LISTED


def test_the_same_list_has_the_same_bytes_whoever_writes_it():
    assert delivery_list_bytes(parse_delivery_list(delivery_list_bytes(LISTED))) == delivery_list_bytes(LISTED)


def test_alice_finds_her_delivery_and_bob_finds_none():
    assert LISTED.to(0) is LISTED.deliveries[0]
    assert LISTED.to(1) is None


def test_a_person_is_told_why_and_sees_only_what_prints():
    told = str(Exclusion(2, "copy", b'{"residual":0,"test":"span"}\x1b[2J\n' + b"x" * 1000))
    assert told.startswith("the update holds nothing new beside updates that others offered")
    assert '{"residual":0,"test":"span"}[2Jxxx' in told and told.isprintable() and len(told) < 400
    assert str(Exclusion(3, "root-mismatch", b"\4" * 32)).endswith(f"(evidence {'04' * 32})")
    assert str(Exclusion(4, "missing")) == "the sealed file could not be fetched"


def test_a_list_of_another_version_is_none_that_is_broken():
    with pytest.raises(UnknownVersion, match="version 2, this node reads 1"):
        parse_delivery_list(altered(version=2))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x80\x04.",
        b"[]",
        b"[" * 100_000,
        b" " + delivery_list_bytes(LISTED),
        altered(round=-1),
        altered(round=True),
        altered(round="7"),
        altered(deliveries={}),
        altered(deliveries=[{}]),
        altered(exclusions=[{"index": 1, "reason": "dislike", "evidence": ""}]),
        altered(exclusions=[{"index": 1, "reason": "missing", "evidence": "zz"}]),
        altered(lengths=None),
        altered(lengths=[{"index": 1, "square": 5}]),
        altered(lengths=[{"index": 1, "square": "05"}]),
        altered(deliveries=[{**json.loads(delivery_list_bytes(LISTED))["deliveries"][0], "digest": "00"}]),
    ],
)
def test_anything_else_is_refused_in_one_line(raw: bytes):
    with pytest.raises(MalformedUpdate) as refusal:
        parse_delivery_list(raw)
    assert "\n" not in str(refusal.value)

"""One spelling per value."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.canonical import canonical, read_canonical

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50, deadline=None)
@given(values)
def test_a_value_is_read_back(value):
    assert read_canonical(canonical(value)) == value


def test_the_spelling():
    assert canonical({"b": [1, 0.5, None], "a": "é"}) == '{"a":"é","b":[1,0.5,null]}'.encode()


@pytest.mark.parametrize(
    "text",
    [
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1}\n',
        b'"\\u00e9"',
        b"1.0e0",
        b"1e999",
        b"NaN",
        b"-Infinity",
        b'"\\ud800"',
        b"\xff",
        b"\xef\xbb\xbf1",
        b"",
        b"{",
        b"1" * 5000,
        b"[" * 60_000,
        b"[" * 60_000 + b"]" * 60_000,
        b'"' + b'\\"' * 500_000,  # a string without an end, in time that grows no faster than it does
        b'"\\',
    ],
)
def test_every_other_spelling_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        read_canonical(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), b"bytes", {1, 2}, "\ud800"])
def test_what_is_not_json_is_refused(value):
    with pytest.raises(ValueError):  # noqa: PT011
        canonical(value)


def test_a_value_too_deep_to_be_read_back_is_not_written():
    deep: list = []
    for _ in range(64):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        canonical(deep)
    assert read_canonical(canonical(deep[0])) == deep[0]


def test_brackets_in_a_string_are_no_depth():
    assert read_canonical(canonical("[" * 1000 + '\\"')) == "[" * 1000 + '\\"'

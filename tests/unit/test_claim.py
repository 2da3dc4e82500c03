"""A privacy claim comes through a card as it was, and nothing else passes for one."""

import io
from math import inf, nan

import pytest

from market_node.claim import FIELD, Claim, claim_of
from market_node.errors import BadInput
from market_node.seal import Envelope, new_key, read_header, seal

ALICE = Envelope(31337, "0x5FbDB2315678afecb367f032d93F642f64180aa3", 7, "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")


def test_a_claim_comes_through_a_sealed_file_as_it_was():
    claim = Claim(2.971, 0.0029)
    sealed = io.BytesIO()
    seal(io.BytesIO(b"a model"), sealed, new_key(), ALICE, {"licence": "CC-BY-4.0", FIELD: claim.field})
    sealed.seek(0)
    assert claim_of(read_header(sealed)[1]) == claim


def test_a_card_without_the_field_claims_nothing():
    assert claim_of({"licence": "CC-BY-4.0"}) is None


@pytest.mark.parametrize("epsilon", [0, -1.0, nan, inf, 10**400, True, "3", None, [3]])
def test_a_nonsense_epsilon_is_refused(epsilon):
    with pytest.raises(BadInput, match="epsilon"):
        claim_of({FIELD: {"epsilon": epsilon, "delta": 0.001, "unit": "sample"}})


@pytest.mark.parametrize("delta", [1, -0.1, nan, 10**400, False, "0.001", None])
def test_a_nonsense_delta_is_refused(delta):
    with pytest.raises(BadInput, match="delta"):
        claim_of({FIELD: {"epsilon": 3.0, "delta": delta, "unit": "sample"}})


@pytest.mark.parametrize(
    "stated", [None, 3.0, [3.0, 0.001], {}, {"epsilon": 3.0}, {"epsilon": 3.0, "delta": 0.001, "unit": "customer"}]
)
def test_what_is_no_claim_of_a_sample_is_refused(stated):
    with pytest.raises(BadInput):
        claim_of({FIELD: stated})

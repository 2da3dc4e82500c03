"""Code on a chain is the packaged one, or it is not: one byte is enough."""

import pytest

from market_node.chain import Chain
from market_node.doctor import is_packaged


@pytest.fixture(scope="module")
def market(devnet, deployment) -> Chain:
    return Chain(devnet.provider, deployment.market)


def code(chain: Chain, address: str) -> bytes:
    return bytes(chain.endpoint.web3.eth.get_code(address))


def numbers(*addresses: str) -> set[int]:
    return {int(address, 16) for address in addresses}


def test_a_deployed_contract_is_the_packaged_one(market):
    mine = {*numbers(market.escrow, market.reputations), market.min_phase()}
    assert is_packaged("Market", code(market, market.market), mine)
    assert is_packaged("Escrow", code(market, market.escrow), numbers(market.market, market.token.address))
    assert is_packaged("Reputation", code(market, market.reputations), numbers(market.market))


def test_no_byte_of_it_may_be_another(market):
    right, mine = code(market, market.reputations), numbers(market.market)
    for at in range(len(right) - 53):
        wrong = bytearray(right)
        wrong[at] ^= 1
        assert not is_packaged("Reputation", bytes(wrong), mine), at


def test_an_escrow_that_obeys_another_market_is_not_ours(market):
    assert not is_packaged("Escrow", code(market, market.escrow), numbers(market.escrow, market.token.address))


def test_a_part_of_it_or_more_than_it_is_not_it(market):
    right, mine = code(market, market.reputations), numbers(market.market)
    for wrong in (b"", right[:-1], right[:100], right[:-53], right + b"\0", right[1:], right[:15]):
        assert not is_packaged("Reputation", wrong, mine)


def test_one_contract_is_not_another(market):
    assert not is_packaged("Reputation", code(market, market.escrow), numbers(market.market, market.token.address))

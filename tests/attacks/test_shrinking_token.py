"""A token that shrinks while it is in the escrow.

Some tokens change balances without a transfer: they rebase, or their issuer takes from an account. The escrow
compares what each transfer moves and counts in units, so that it does not notice: whoever withdraws first gets
everything, the last one nothing. No contract here can mend that; a market's token must not be such a one.
(SECURITY.md, Payments: it holds for tokens that move what they are asked to, and nothing else)
"""

from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector as selector

from market_node.contracts import Call
from tests.attacks.odd import create
from tests.attacks.play import FORTUNE, Story, Town, refused, tell


def attack() -> Story:
    town = Town(token=lambda devnet: create(devnet, "ShrinkingToken"))
    alice, bob = town.alice, town.bob
    data = selector("shrink(address,uint256)") + encode(["address", "uint256"], [alice.escrow, FORTUNE])
    alice.endpoint.send(Call("shrink", town.deployment.token, data), alice.signer)
    assert not town.is_solvent()
    alice.withdraw(FORTUNE)
    name = refused(bob.withdraw, FORTUNE)
    assert name == "ERC20InsufficientBalance"
    assert (alice.token.balance(alice.account), bob.token.balance(bob.account)) == (FORTUNE, 0)
    assert bob.available(bob.account) == FORTUNE, "what the escrow owes him, and does not have"
    return Story(
        f"**it works**: when half of the tokens are gone, Alice withdraws all of hers and Bob gets {name}",
        "the choice of such a token, by whoever deploys the market",
    )


def test_the_last_one_pays_for_a_token_that_shrinks():
    attack()


if __name__ == "__main__":
    tell(attack)

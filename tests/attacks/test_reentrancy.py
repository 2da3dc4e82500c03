"""Re-entrancy through a hostile token.

Mallory deploys a market whose token calls its sender and recipient back, as ERC-777 does, and enters with a contract
that answers each such call with one of its own. It hopes to spend a balance twice, or to have tokens counted twice.
The escrow takes a balance before it pays, counts a payment only after it arrived, and is locked while it waits; the
market never calls the token at all. (SECURITY.md, Payments; contracts/Escrow.sol)
"""

from market_node.codec import seal_bid
from market_node.contracts import Contract, reverted
from tests.attacks.odd import Thief, create
from tests.attacks.play import BID, DEPOSIT, MODEL, SALT, Game, Story, Town, tell


def attack() -> Story:
    town = Town(token=lambda devnet: create(devnet, "CallbackToken"))
    round_ = Game(town).enter(town.alice, town.bob)
    token, escrow, market = (
        Contract("TestToken", town.deployment.token),
        Contract("Escrow", town.deployment.escrow),
        Contract("Market", town.deployment.market),
    )
    thief = Thief(town.devnet, town.newcomer())
    read = town.alice.endpoint.read
    town.alice.endpoint.send(token("mint", thief.address, 4 * DEPOSIT), town.devnet.accounts[0])
    thief.act(token("approve", escrow.address, 4 * DEPOSIT))
    thief.act(market("setEncryptionKey", b"\1" * 32))
    thief.act(escrow("fund", DEPOSIT))

    sealed = seal_bid(market.address, town.alice.chain_id, round_.number, thief.address, BID, SALT)
    commit = market("commit", round_.number, sealed, (MODEL.cid, MODEL.root), DEPOSIT)
    others = town.wealth()
    tries = {
        "fund, and withdraw on the way": (escrow("fund", DEPOSIT), escrow("withdraw", DEPOSIT)),
        "fund, and fund on the way": (escrow("fund", DEPOSIT), escrow("fund", DEPOSIT)),
        "withdraw, and withdraw on the way": (escrow("withdraw", DEPOSIT), escrow("withdraw", DEPOSIT)),
        "withdraw, and commit the same money on the way": (escrow("withdraw", 2 * DEPOSIT), commit),
    }
    names = []
    for first, second in tries.values():
        thief.arm(second)
        thief.act(first)
        names.append(reverted(thief.answer()).name)
        balance = read(escrow("available", thief.address)) + read(token("balanceOf", thief.address))
        assert balance == 4 * DEPOSIT, "nothing won, nothing lost"
        assert read(token("balanceOf", escrow.address)) == read(escrow("held"))
    assert names == 3 * ["ReentrancyGuardReentrantCall"] + ["NotEnoughAvailable"]
    assert read(token("balanceOf", thief.address)) == 4 * DEPOSIT
    assert town.wealth() == others
    return Story(
        f"{len(tries)} of {len(tries)} calls back are refused (ReentrancyGuardReentrantCall; through the market "
        "NotEnoughAvailable), and no balance changes",
        "gas only; whoever joins a market with such a token risks no more than a market with a plain one",
    )


def test_a_token_that_calls_back_finds_nothing_to_spend_twice():
    attack()


if __name__ == "__main__":
    tell(attack)

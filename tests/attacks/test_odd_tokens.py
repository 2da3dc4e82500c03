"""Fee-on-transfer token, and tokens that take more or lie.

Mallory deploys a market whose token keeps a hundredth of every transfer, or takes a hundredth more than it was asked
to, or says that it moved what it did not. She hopes that balances in the escrow exceed what it holds, so that the
first to leave take the money of the last. The escrow compares its token balance before and after every transfer with
what it asked for. (SECURITY.md, Payments; IEscrow.sol)
"""

from market_node.contracts import Contract
from tests.attacks.odd import create
from tests.attacks.play import Story, Town, refused, tell

AMOUNT = 10_000


def fund(town: Town, name: str, token: Contract, escrow: Contract) -> None:
    """Somebody with tokens moves them in."""
    town.people[name] = person = town.newcomer()
    for call in (
        token("mint", person.account, 2 * AMOUNT),
        token("approve", escrow.address, 2 * AMOUNT),
        escrow("fund", AMOUNT),
    ):
        person.endpoint.send(call, person.signer)


def attack() -> Story:
    found = {}
    for name in ("FeeToken", "SurchargeToken", "LyingToken"):
        town = Town(token=lambda devnet, name=name: create(devnet, name))
        token = Contract("TestToken", town.deployment.token)
        escrow = Contract("Escrow", town.deployment.escrow)
        if name == "SurchargeToken":  # what arrives is right, so both get in, and must not get out at the other's cost
            for who in ("alice", "bob"):
                fund(town, who, token, escrow)
            found[name] = refused(town.people["alice"].withdraw, AMOUNT)
        else:
            found[name] = refused(fund, town, "alice", token, escrow)
        read = town.people["alice"].endpoint.read
        assert read(token("balanceOf", escrow.address)) == read(escrow("held")) == sum(town.wealth().values())
    assert set(found.values()) == {"WrongAmountMoved"}
    return Story(
        "WrongAmountMoved: nobody gets in with a token that moves less; with one that takes more from the escrow "
        "nobody gets out, so that no one leaves at the others' cost",
        "gas only; money in a market whose token turns hostile later is as safe as the token",
    )


def test_no_balance_is_more_than_the_escrow_holds():
    attack()


if __name__ == "__main__":
    tell(attack)

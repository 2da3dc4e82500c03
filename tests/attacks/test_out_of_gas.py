"""Out-of-gas griefing in payOut, and payouts that no longer fit into a transaction.

Mallory calls `payOut` with too little gas, hoping that it stops halfway: participants marked as paid and not
credited, credited and not marked, reputations lost. And as an aggregator she settles the largest round with the rows
that take most to read, hoping that no payout of it fits into a transaction at all. A call does all or nothing, at
every limit; and the dearest payout of one participant takes a third of a transaction. (docs/protocol.md §7; EIP-7825)
"""

from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows
from market_node.contracts import Contract
from market_node.devnet import GAS_CAP
from market_node.records import NOT_SELLING, Bid, Purchase, Settlement
from tests.attacks.play import Game, Story, Town, plain_round, tell
from tests.evm import MALLORY, PHASE, Evm

STEPS = 8
LARGEST, SELLERS = 1024, 8
JUNK = (1 << 96) // 2 + 0x010101010101010101010101
"""A price that no deposit covers, without a zero byte: rows are added up, and taken back."""


def send_with(chain: Chain, call, gas: int) -> bool:
    """Mines a call under a gas limit. Returns whether it went through."""
    eth = chain.endpoint.web3.eth
    fields = {"to": call.to, "data": call.calldata, "gas": gas, "value": 0, "chainId": chain.chain_id, "type": 2}
    fees = {"maxFeePerGas": 10**12, "maxPriorityFeePerGas": 1, "nonce": eth.get_transaction_count(chain.account)}
    sent = eth.send_raw_transaction(chain.signer.sign_transaction(fields | fees).raw_transaction)
    return eth.get_transaction_receipt(sent)["status"] == 1


def halfway() -> tuple[int, int]:
    """How many limits were too low, and the gas that a payout of three takes."""
    town = Town()
    people = [town.alice, town.bob, town.carol]
    game = Game(town).enter(*people).draw().reveal().settle()
    for index, person in enumerate(people):
        person.rate(game.number, index, 100)  # so that reputations change too
    game.close()
    town.mallory.available(town.mallory.account)
    call = Contract("Market", town.deployment.market)(
        "payOut", game.number, *game.posted[:1], list(game.posted[1]), 0, 3
    )

    def all_there_is() -> tuple:
        reputations = [town.alice.reputation(game.aggregator.account, person.account) for person in people]
        paid = [town.alice.is_paid(game.number, index) for index in range(3)]
        return town.wealth(), town.alice.pot(game.number), reputations, paid

    before, failed = all_there_is(), 0
    needed = town.alice.endpoint.web3.eth.estimate_gas(
        {"from": town.mallory.account, "to": call.to, "data": call.calldata}
    )
    for step in range(STEPS):
        if send_with(town.mallory, call, 60_000 + (needed - 60_000) * step // STEPS):
            break
        failed += 1
        assert all_there_is() == before, "nothing of a call that runs out of gas is left"
    else:
        assert send_with(town.mallory, call, needed)
    wealth, pot, reputations, paid = all_there_is()
    assert (pot, paid) == (0, [True] * 3)
    assert min(reputations) > max(before[2]) and wealth != before[0]
    assert town.is_solvent()
    return failed, needed


def dearest() -> tuple[int, int]:
    """The gas of the settlement and of the payout of one participant in the worst of the largest rounds."""
    evm = Evm(LARGEST)
    nothing = Bid(value=0, cost=NOT_SELLING, samples=1, min_reputation=0)
    round_ = evm.play(plain_round(LARGEST, nothing, max_participants=LARGEST, max_sellers=SELLERS))
    rows = tuple(tuple(Purchase((buyer + 1 + i) % LARGEST, JUNK) for i in range(SELLERS)) for buyer in range(LARGEST))
    round_ = evm.settle(round_, Settlement(frozenset(), rows))
    for index in range(LARGEST):
        evm.rate(round_, index, 0)
    evm.warp(PHASE)
    market, words = Contract("Market", evm.market), list(encode_excluded((), LARGEST))
    posted = encode_rows(rows)
    with evm.undone():
        one = evm.send(MALLORY, market("payOut", round_.number, posted, words, 0, 1))
    with evm.undone():
        many = evm.send(MALLORY, market("payOut", round_.number, posted, words, 0, 200))  # a node's batch
    for start in range(0, LARGEST, 200):
        evm.send(MALLORY, market("payOut", round_.number, posted, words, start, min(LARGEST, start + 200)))
    assert evm.pot(round_.number) == 0
    assert many < GAS_CAP
    return one, many


def attack() -> Story:
    failed, needed = halfway()
    one, many = dearest()
    return Story(
        f"{failed} payouts with too little gas leave nothing behind, the next pays all; in the largest round with the "
        f"worst rows one participant takes {one / 1e6:.1f}M gas, 200 {many / 1e6:.1f}M of {GAS_CAP / 1e6:.1f}M",
        f"gas (a payout of three: {needed:,})",
    )


def test_a_payout_does_all_or_nothing():
    failed, needed = halfway()
    assert failed > STEPS // 2
    assert needed < GAS_CAP


def test_the_worst_rows_of_the_largest_round_can_be_paid():
    one, many = dearest()
    assert one < many < GAS_CAP


if __name__ == "__main__":
    tell(attack)

"""Double payOut.

Mallory asks for her payment again: the same span, spans that overlap, one after the other and in any order, and after
everybody was paid. She hopes to be credited twice, or that the last one finds the pot empty. Each participant is paid
once, by a flag of its own, and the round's pot is all that the round can spend. (docs/protocol.md §7; IMarket.payOut)
"""

from dataclasses import replace

from market_node.codec import encode_excluded, encode_rows
from market_node.contracts import Contract
from market_node.records import Round
from market_node.settlement import payout, settle
from tests.attacks.play import Story, plain_round, refused, tell
from tests.evm import MALLORY, OPERATOR, PHASE, Evm, account

N = 4
SPANS = ((2, 4), (2, 4), (0, 3), (3, 4), (0, 4), (0, 4), (1, 2))


def start() -> tuple[Evm, Round, list[int]]:
    evm = Evm(N)
    round_ = evm.play(plain_round(N))
    return evm, round_, [evm.available(account(index)) for index in range(N)]


def gains(evm: Evm, before: list[int]) -> list[int]:
    return [evm.available(account(index)) - was for index, was in enumerate(before)]


def pay(evm: Evm, round_: Round, *spans: tuple[int, int]) -> list[int]:
    """Payouts by Mallory of spans of a settled round. Returns the gas of each."""
    market, rows = Contract("Market", evm.market), encode_rows(round_.settlement.rows)
    words = list(encode_excluded(round_.settlement.excluded, N))
    return [evm.send(MALLORY, market("payOut", round_.number, rows, words, *span)) for span in spans]


def attack() -> Story:
    evm, round_, before = start()
    bank = evm.available(OPERATOR)
    due = payout(round_, settle(round_, frozenset()))
    round_ = evm.settle(round_, settle(round_, frozenset()))
    evm.warp(PHASE)
    gas = pay(evm, round_, *SPANS)
    assert gains(evm, before) == list(due.credits)
    assert evm.available(OPERATOR) - bank == due.aggregator
    assert evm.pot(round_.number) == 0

    # Nor does a void round return a deposit twice, or pay what a payout pays.
    evm, round_, before = start()
    market = Contract("Market", evm.market)
    evm.warp(PHASE)  # nobody has settled
    for span in ((1, 2), (1, 2), (0, 3), (3, 4), (0, 4), (0, 0), (0, 4)):
        evm.send(MALLORY, market("refund", round_.number, *span))
    share = round_.terms.bond // 4 // N
    assert gains(evm, before) == [each.deposit + share for each in round_.participants]
    assert evm.pot(round_.number) == 0
    round_ = replace(round_, settlement=settle(round_, frozenset()))
    assert refused(pay, evm, round_, (0, 4)) == "WrongPhase"
    return Story(
        f"{len(SPANS)} payouts in spans that overlap leave every balance as one payment does; refunds too",
        f"{gas[-1]:,} gas for a call that pays nobody",
    )


def test_everybody_is_paid_once():
    attack()


if __name__ == "__main__":
    tell(attack)

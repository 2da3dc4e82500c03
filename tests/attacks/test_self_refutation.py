"""False challenges that their maker refutes itself.

Mallory challenges a right settlement in the last second, so that the payout has to wait, and takes the challenge back
by refuting it herself before anybody else does: her bond returns, she has paid gas only. She hopes to delay payouts,
and to make others spend gas on refutations that come too late. The round waits at most for `refuteTime`, whoever
refutes; but the bond deters only those who are not first. (SECURITY.md, Payments)
"""

from market_node.chain import Phase
from market_node.judge import refutation
from tests.attacks.play import PHASE, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob).draw().reveal().settle()
    before = town.wealth("operator", "alice", "bob", "mallory", "victor")
    end = town.alice.phase_ends(game.number)
    town.devnet.warp(PHASE - 1)
    gas = game.challenge(town.mallory, 0, listed=()).gas
    answer = refutation(game.round, game.round.challenges[0].claim)
    town.devnet.warp(PHASE)
    assert town.alice.phase(game.number) == Phase.REFUTE
    gas += town.mallory.refute(game.number, 0, answer).gas
    late = refused(town.victor.refute, game.number, 0, answer)
    assert late == "WrongPhase"  # the payout has begun
    assert town.gains(before) == {}, "neither she nor Victor has won or lost a token"
    assert town.alice.phase(game.number) == Phase.PAYOUT
    delay = town.devnet.now() - end
    assert delay < game.terms.refute_time
    game.pay_out()
    return Story(
        f"a delay of {delay} s, at most refuteTime ({game.terms.refute_time} s); a second refuter gets {late} and "
        "no reward",
        f"{gas:,} gas for both calls and no token: whoever refutes itself first gets its bond back",
    )


def test_a_challenge_taken_back_delays_a_payout_and_changes_nothing_else():
    attack()


if __name__ == "__main__":
    tell(attack)

"""Calls in the last second of a phase and the first of the next.

Mallory looks for a second that belongs to two phases: a commit when the seed's block is known, a reveal after the
settlement, a challenge when the payout has begun, a payout while a challenge is open, a refund and a payout of one
round. A phase includes its first second and excludes its last; every instant belongs to exactly one.
(docs/protocol.md §2)
"""

from market_node.chain import Phase
from market_node.judge import refutation
from tests.attacks.play import PHASE, Game, Story, Town, refused, tell


def attack() -> Story:
    town = Town()
    game = Game(town).enter(town.alice, town.bob)
    tried: list[str] = []
    people = iter(f"sybil{i}" for i in range(9))

    def late(action, *arguments):
        tried.append(refused(action, *arguments))

    def commit():
        return game.commit(getattr(town, next(people)))

    town.devnet.warp(PHASE - 1)
    late(town.mallory.draw_seed, game.number)
    commit()
    town.devnet.warp(1)
    late(commit)
    town.mallory.draw_seed(game.number)
    town.devnet.warp(PHASE - 1)
    town.mallory.draw_seed(game.number)  # in the last second of the draw, and the reveal phase starts now
    late(town.mallory.draw_seed, game.number)

    game.reveal_one(0)
    town.devnet.warp(PHASE - 1)
    late(game.settle)
    game.reveal_one(1)
    town.devnet.warp(1)
    late(game.reveal_one, 2)
    town.devnet.warp(PHASE - 1)
    game.settle()
    late(game.settle)

    town.devnet.warp(PHASE - 1)
    late(game.pay_out)
    town.alice.rate(game.number, 0, 75)
    game.challenge(town.mallory, 0, listed=())
    town.devnet.warp(1)
    late(town.bob.rate, game.number, 1, 75)
    late(game.challenge, town.mallory, 0, ())
    late(game.pay_out)
    late(town.mallory.refund, game.number, 0, 2)
    answer = refutation(game.round, game.round.challenges[0].claim)
    town.devnet.warp(PHASE - 1)
    late(game.pay_out)
    town.victor.refute(game.number, 0, answer)
    assert town.alice.phase(game.number) == Phase.PAYOUT
    late(town.mallory.refund, game.number, 0, 2)
    late(town.mallory.refund_challenge, game.number, 0)
    late(town.victor.refute, game.number, 0, answer)
    game.pay_out()
    late(town.mallory.refund, game.number, 0, 2)
    assert town.alice.pot(game.number) == 0

    # And the other way out: one second too late for a refutation.
    void = Game(town).enter(town.alice, town.bob).draw().reveal().settle()
    void.challenge(town.mallory, 0, listed=())
    answer = refutation(void.round, void.round.challenges[0].claim)
    town.devnet.warp(2 * PHASE)
    assert town.alice.phase(void.number) == Phase.VOID
    late(town.victor.refute, void.number, 0, answer)
    late(void.pay_out)
    town.mallory.refund_challenge(void.number, 0)
    late(town.mallory.refund_challenge, void.number, 0)
    void.refund()
    assert town.alice.pot(void.number) == 0
    assert tried.pop() == "ChallengeNotOpen"
    assert set(tried) == {"WrongPhase", "SeedAlreadyDrawn"}
    assert town.is_solvent()
    return Story(
        f"{len(tried) + 1} of {len(tried) + 1} calls a second too early or too late are refused by name; each works a "
        "second away",
        "gas only",
    )


def test_every_second_belongs_to_one_phase():
    attack()


if __name__ == "__main__":
    tell(attack)

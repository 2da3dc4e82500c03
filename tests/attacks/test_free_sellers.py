"""32 sellers of one sample at cost 0.

Mallory enters 32 accounts that each give one sample away. Were candidates the cheapest per sample, they would be all
that a buyer sees, and every row would be worth nothing. Candidates are those of largest merit, so they only get in
where there is room. (docs/protocol.md §5)
"""

from random import Random

from market_node.mechanism import Offer, candidates, choose, gain, row
from tests.attacks.play import Story, tell

VALUE, SAMPLES, SELLERS, HONEST, MARKETS = 10**9, 100, 32, 12, 200


def market(rng: Random) -> list[Offer]:
    sizes = [rng.randint(20, 100) for _ in range(HONEST)]
    return [Offer(i, int(gain(VALUE, SAMPLES, size) * rng.uniform(0, 0.5)), size) for i, size in enumerate(sizes)]


def welfare(chosen: list[Offer]) -> int:
    return gain(VALUE, SAMPLES, sum(offer.size for offer in chosen)) - sum(offer.cost for offer in chosen)


def income(honest: list[Offer], dust: list[Offer]) -> int:
    """What the dust is paid."""
    return sum(each.price for each in row(VALUE, SAMPLES, honest + dust, SELLERS) if each.seller >= 100)


def attack() -> Story:
    rng = Random(5)
    dust = [Offer(100 + i, 0, 1) for i in range(SELLERS)]
    before = after = by_density = dust_income = fitting_income = 0
    for _ in range(MARKETS):
        honest = market(rng)
        everybody = honest + dust
        looked_at, _ = candidates(VALUE, SAMPLES, everybody, SELLERS)
        assert {offer.seller for offer in honest} <= {offer.seller for offer in looked_at}
        alone, attacked = (welfare(choose(VALUE, SAMPLES, offers)) for offers in (honest, looked_at))
        assert attacked >= alone
        before, after = before + alone, after + attacked
        cheapest = sorted(everybody, key=lambda offer: (offer.cost / offer.size, offer.seller))[:SELLERS]
        by_density += welfare(choose(VALUE, SAMPLES, cheapest))
        dust_income += income(honest, dust)
        fitting_income += income(honest, dust[: SELLERS - HONEST])  # no more than fit, so that they do not compete
    assert by_density < before // 2, "the foil: a cap by density"
    each = fitting_income / (MARKETS * (SELLERS - HONEST) * VALUE)
    assert dust_income < fitting_income
    assert each < 0.001
    return Story(
        f"welfare {after / before:.1%} of what it is without them (a cap by density: {by_density / before:.0%})",
        f"a fee each, for an income of {each:.4%} of the buyer's value where no more come than fit, and "
        f"{dust_income / (MARKETS * SELLERS * VALUE):.4%} where all do: the fee decides whether it pays",
    )


def test_free_dust_takes_no_candidates_place():
    attack()


if __name__ == "__main__":
    tell(attack)

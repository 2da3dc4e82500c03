"""Reward designs: what each promises, on random rounds; and what none may do."""

from dataclasses import replace
from random import Random

import oracle
import pytest
from rounds import random_exclusions, random_round

from market_node.mechanism import Offer, gain
from market_node.settlement import settle
from market_node.simulation.designs import DESIGNS
from market_node.simulation.designs.buyer import Buyer, buyers
from market_node.simulation.designs.free import free_rule
from market_node.simulation.designs.market import market_rule
from market_node.simulation.designs.paper import paper_rule, threshold
from market_node.simulation.designs.posted import best_price, posted_rule
from market_node.simulation.designs.proportional import PAID, proportional_rule
from market_node.simulation.designs.shapley import shapley_rule, values
from market_node.simulation.designs.vcg import ENUMERATED, vcg_rule
from market_node.simulation.optimum import welfare

TOKEN = 10**18
PAYING = ["market", "paper", "posted", "proportional", "shapley", "vcg"]
RULES = {
    "market": market_rule,
    "paper": paper_rule,
    "posted": posted_rule(TOKEN << 4),
    "proportional": proportional_rule,
    "shapley": shapley_rule,
    "vcg": vcg_rule,
    "free": free_rule,
}


@pytest.fixture(scope="module")
def rounds():
    """Of 2 to 12 participants, some excluded; ties, zeros, who does not sell and who asks for a name among them."""
    rng = Random(1)
    tried = [random_round(rng, rng.randint(2, 12)) for _ in range(50)]
    return [(round, random_exclusions(rng, round)) for round in tried]


def random_buyer(rng, n=7, max_sellers=8):
    """100 tokens for a perfect model, costs of 0 to 1.1 of what each brings alone."""
    samples = rng.randint(200, 5_000)
    sizes = [rng.randint(50, 3_000) for _ in range(n)]
    costs = [gain(100 * TOKEN, samples, size) * rng.randrange(110) // 100 for size in sizes]
    offers = tuple(Offer(*each) for each in zip(range(n), costs, sizes, strict=True))
    return Buyer(n, 100 * TOKEN, samples, offers, max_sellers, rng.randbytes(32))


def random_buyers(seed, count=60, **changes):
    rng = Random(seed)
    return [random_buyer(rng, **changes) for _ in range(count)]


def bought(buyer, row):
    sellers = {purchase.seller for purchase in row}
    return [offer for offer in buyer.offers if offer.seller in sellers]


# --- all of them ---


@pytest.mark.parametrize("name", DESIGNS)
def test_rows_hold_only_sellers_that_the_buyer_may_buy_from(name, rounds):
    sold = 0
    for round, excluded in rounds:
        offered = {b.index: {offer.seller for offer in b.offers} for b in buyers(round, excluded)}
        rows = DESIGNS[name](round, excluded).rows
        assert len(rows) == len(round.participants)
        for index, row in enumerate(rows):
            sellers = [purchase.seller for purchase in row]
            assert len(set(sellers)) == len(sellers) <= round.terms.max_sellers
            assert set(sellers) <= offered.get(index, set())
            sold += len(row)
    assert sold > 50


@pytest.mark.parametrize("name", DESIGNS)
def test_the_same_round_is_cleared_the_same(name, rounds):
    for round, excluded in rounds[:10]:
        assert DESIGNS[name](round, excluded) == DESIGNS[name](round, excluded)


@pytest.mark.parametrize("name", PAYING)
def test_no_seller_is_paid_less_than_its_cost(name, rounds):
    for round, excluded in rounds:
        for row in DESIGNS[name](round, excluded).rows:
            for purchase in row:
                assert purchase.price >= round.participants[purchase.seller].reveal.bid.cost


@pytest.mark.parametrize("name", DESIGNS)
def test_no_buyer_pays_more_than_it_gains_and_a_unit_per_seller(name, rounds):
    for round, excluded in rounds:
        clearing = DESIGNS[name](round, excluded)
        for buyer in buyers(round, excluded):
            row = clearing.rows[buyer.index]
            paid = sum(purchase.price for purchase in row) - clearing.subsidies.get(buyer.index, 0)
            assert paid <= buyer.gain(sum(offer.size for offer in bought(buyer, row))) + len(row)


@pytest.mark.parametrize("name", sorted(set(DESIGNS) - {"vcg"}))
def test_all_but_vcg_are_balanced(name, rounds):
    assert not any(DESIGNS[name](round, excluded).subsidies for round, excluded in rounds)


@pytest.mark.parametrize("name", sorted(set(RULES) - {"posted"}))
def test_a_round_is_cleared_as_its_buyers_are_one_by_one(name, rounds):
    """Also where a design looks at a shortlist of sellers only. (A posted price is the round's.)"""
    for round, excluded in rounds:
        rows = DESIGNS[name](round, excluded).rows
        for buyer in buyers(round, excluded):
            assert RULES[name](buyer).row == rows[buyer.index]


# --- the market's ---


def test_ours_is_what_the_node_settles(rounds):
    for round, excluded in rounds:
        right = settle(round, excluded).rows
        assert DESIGNS["market"](round, excluded).rows == right
        for buyer in buyers(round, excluded):
            assert market_rule(buyer).row == right[buyer.index]


# --- the paper's ---


def test_the_paper_pays_what_each_adds_to_the_rest_held_fixed():
    for buyer in random_buyers(2):
        row = paper_rule(buyer).row
        total = sum(offer.size for offer in bought(buyer, row))
        for purchase in row:
            size = buyer.offers[purchase.seller].size
            assert purchase.price == buyer.gain(total) - buyer.gain(total - size)


def test_the_papers_threshold_is_where_a_seller_just_adds_its_cost():
    for buyer in random_buyers(3):
        for offer in buyer.offers:
            if 0 < offer.cost <= buyer.gain(offer.size):
                before = int(threshold(buyer, offer)) - offer.size
                assert buyer.gain(before + offer.size) - buyer.gain(before) >= offer.cost
                assert buyer.gain(before + 1 + offer.size) - buyer.gain(before + 1) < offer.cost


def test_the_paper_takes_sellers_of_one_size_by_cost_as_we_do():
    """Then the order of thresholds is that of costs per sample, and the oracle's payments are the paper's."""
    rng = Random(4)
    for _ in range(40):
        offers = tuple(Offer(i, rng.randrange(8 * TOKEN), 900) for i in range(6))
        buyer = Buyer(9, 100 * TOKEN, 2_000, offers, 32, bytes(32))
        assert {p.seller: p.price for p in paper_rule(buyer).row} == oracle.marginal_payments(
            buyer.value, 2_000, offers
        )


def test_under_the_paper_a_seller_gains_by_claiming_less_and_under_ours_it_does_not():
    """DESIGN's example: costs of 0.5, 1.0 and 1.2; the third claims 0.6 and earns 0.475 by it."""
    offers = tuple(Offer(i, cost * TOKEN // 10, 3_000) for i, cost in enumerate([5, 10, 12]))
    honest = Buyer(3, 12_909_944_487_358_056_283, 3_000, offers, 32, bytes(32))
    lying = replace(honest, offers=(*offers[:2], Offer(2, 6 * TOKEN // 10, 3_000)))

    def profit(rule, buyer):
        return sum(p.price - offers[2].cost for p in rule(buyer).row if p.seller == 2)

    assert profit(paper_rule, honest) == 0
    assert profit(paper_rule, lying) * 1_000 // TOKEN == 475
    assert profit(market_rule, lying) <= profit(market_rule, honest) == 0


# --- a posted price ---


def test_a_posted_price_is_the_same_per_sample_for_everybody(rounds):
    for buyer in random_buyers(5):
        price = TOKEN << 3
        for purchase in posted_rule(price)(buyer).row:
            assert purchase.price == price * buyer.offers[purchase.seller].size >> 16


def test_under_a_price_from_elsewhere_no_lie_about_a_cost_pays():
    rng = Random(6)
    for buyer in random_buyers(6):
        rule = posted_rule(rng.choice([TOKEN << 9, TOKEN << 10]))
        truth = {p.seller: p.price for p in rule(buyer).row}
        for offer in buyer.offers:
            earned = truth[offer.seller] - offer.cost if offer.seller in truth else 0
            for lie in (0, offer.cost // 2, offer.cost * 2, truth.get(offer.seller, 0)):
                offers = tuple(replace(o, cost=lie) if o is offer else o for o in buyer.offers)
                got = {p.seller: p.price for p in rule(replace(buyer, offers=offers)).row}
                assert (got[offer.seller] - offer.cost if offer.seller in got else 0) <= earned


def test_the_best_price_is_better_than_its_half_and_its_double():
    def reached(price, everybody):
        rows = ((buyer, bought(buyer, posted_rule(price)(buyer).row)) for buyer in everybody)
        return sum(welfare(buyer.value, buyer.samples, chosen) for buyer, chosen in rows)

    for seed in range(5):
        everybody = random_buyers(seed, 12)
        price = best_price(everybody)
        assert reached(price, everybody) >= max(reached(price // 2, everybody), reached(2 * price, everybody))


def test_where_nobody_offers_there_is_no_price_and_no_trade():
    assert best_price([]) == 0
    assert posted_rule(0)(Buyer(0, TOKEN, 10, (), 8, bytes(32))).row == ()


# --- proportional share ---


def test_proportional_shares_are_the_stated_part_of_the_gain_by_samples():
    for buyer in random_buyers(7):
        row = proportional_rule(buyer).row
        total = sum(offer.size for offer in bought(buyer, row))
        pool = buyer.gain(total) * PAID >> 16
        assert pool - len(row) <= sum(p.price for p in row) <= pool
        assert all(p.price == pool * buyer.offers[p.seller].size // total for p in row)


def test_a_proportional_share_keeps_every_seller_that_could_be_kept():
    """Nobody who left would stay with the others as they are."""
    for buyer in random_buyers(8, max_sellers=32):
        stayed = bought(buyer, proportional_rule(buyer).row)
        for left in set(buyer.offers) - set(stayed):
            total = sum(offer.size for offer in stayed) + left.size
            assert (buyer.gain(total) * PAID >> 16) * left.size // total < left.cost


# --- Shapley values ---


def test_values_and_what_is_left_to_the_buyer_add_up_to_the_gain():
    for buyer in random_buyers(9, 20):
        total = buyer.gain(sum(offer.size for offer in buyer.offers))
        shares = values(buyer, list(buyer.offers))
        assert 0 < sum(shares.values()) < total
        assert all(share >= 0 for share in shares.values())


def test_buyer_and_one_seller_share_evenly():
    buyer = Buyer(1, 100 * TOKEN, 1_000, (Offer(0, 0, 500),), 8, bytes(32))
    assert values(buyer, list(buyer.offers)) == {0: buyer.gain(500) // 2}


def test_sampled_values_are_near_the_exact_ones():
    """Of two sellers of one size, with the buyer: G(s)/6 + (G(2s) − G(s))/3 each, over all six orders."""
    buyer = Buyer(2, 100 * TOKEN, 1_000, (Offer(0, 0, 500), Offer(1, 0, 500)), 8, bytes(range(32)))
    exact = buyer.gain(500) / 6 + (buyer.gain(1_000) - buyer.gain(500)) / 3
    for value in values(buyer, list(buyer.offers)).values():
        assert value == pytest.approx(exact, rel=0.2)


def test_shapley_drops_whom_its_share_does_not_cover():
    dear = Buyer(1, 100 * TOKEN, 1_000, (Offer(0, 0, 500), Offer(2, 10 * TOKEN, 500)), 8, bytes(32))
    assert [purchase.seller for purchase in shapley_rule(dear).row] == [0]


# --- VCG ---


def test_vcg_chooses_the_best_and_pays_what_is_lost_without_each():
    for buyer in random_buyers(10, 25, n=6, max_sellers=4):
        deal = vcg_rule(buyer)
        market = buyer.value, buyer.samples
        best = oracle.greatest_welfare(*market, buyer.offers, 4)
        assert welfare(*market, bought(buyer, deal.row)) == best
        for purchase in deal.row:
            others = [offer for offer in buyer.offers if offer.seller != purchase.seller]
            lost = best - oracle.greatest_welfare(*market, others, 4)
            assert purchase.price == buyer.offers[purchase.seller].cost + lost


def test_under_vcg_no_lie_about_a_cost_pays():
    rng = Random(11)
    for buyer in random_buyers(11, 25, n=6, max_sellers=3):
        truth = {p.seller: p.price for p in vcg_rule(buyer).row}
        for offer in buyer.offers:
            earned = truth[offer.seller] - offer.cost if offer.seller in truth else 0
            for lie in (0, offer.cost // 2, offer.cost * 2, rng.randrange(40 * TOKEN)):
                offers = tuple(replace(o, cost=lie) if o is offer else o for o in buyer.offers)
                got = {p.seller: p.price for p in vcg_rule(replace(buyer, offers=offers)).row}
                assert (got[offer.seller] - offer.cost if offer.seller in got else 0) <= earned


def test_vcg_pays_sellers_more_than_buyers_and_the_rest_is_the_subsidy():
    deals = [(buyer, vcg_rule(buyer)) for buyer in random_buyers(12)]
    for buyer, deal in deals:
        costs = sum(offer.cost for offer in bought(buyer, deal.row))
        assert sum(purchase.price for purchase in deal.row) - deal.subsidy == costs
    assert sum(deal.subsidy for _, deal in deals) > 60 * TOKEN


def test_among_many_vcg_chooses_as_we_do():
    for buyer in random_buyers(13, 10, n=3 * ENUMERATED):
        ours = {purchase.seller for purchase in market_rule(buyer).row}
        assert {purchase.seller for purchase in vcg_rule(buyer).row} == ours


# --- free ---


def test_free_takes_the_largest_whatever_they_cost():
    offers = (Offer(0, 50 * TOKEN, 900), Offer(1, 0, 300), Offer(2, TOKEN, 600))
    row = free_rule(Buyer(3, 100 * TOKEN, 1_000, offers, 2, bytes(32))).row
    assert [(purchase.seller, purchase.price) for purchase in row] == [(0, 0), (2, 0)]


@pytest.mark.parametrize("name", DESIGNS)
def test_where_nobody_has_a_use_for_a_model_nobody_buys(name):
    round = random_round(Random(14), 6)
    idle = tuple(
        replace(p, reveal=p.reveal and replace(p.reveal, bid=replace(p.reveal.bid, value=0)))
        for p in round.participants
    )
    assert not any(DESIGNS[name](replace(round, participants=idle), frozenset()).rows)

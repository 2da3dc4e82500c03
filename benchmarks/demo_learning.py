"""The demo without a chain: what its participants learn and earn, for as many seeds as asked.

    python benchmarks/demo_learning.py --seeds 0-9 --dataset digits

This is how the demo's settings were chosen. Everything but the chain is real: pictures, training, sketches,
settlement, payout, ratings, reputations and personal models.
"""

import argparse
import hashlib
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from market_node.adoption import adopt
from market_node.aggregate import limited, personal_model, squared_lengths
from market_node.fixed import update_of
from market_node.learning import OwnTraining, Weights, accuracy, fine_tune, weights_of
from market_node.records import LEAST_REPUTATION, ONE, Model, Participant, Reveal, Round, Settlement, Terms
from market_node.scenario import TOKEN, Actor, Scenario, demo_scenario, noise
from market_node.settlement import counted_rows, payout, reputations, row_weights, settle
from market_node.sketch import sketch
from market_node.weights import Manifest, flatten, manifest_of, unflatten

UNUSED = bytes(32)


@dataclass
class Account:
    """What one actor has gathered so far."""

    actor: Actor
    training: OwnTraining
    alone: Weights
    offer: Weights
    """What it trains on from and offers."""
    model: Weights
    """What it uses."""
    reputation: int = LEAST_REPUTATION
    bought: int = 0
    sold: int = 0
    earned: int = 0
    paid: int = 0
    credit: int = 0
    """Of all rounds, less the deposits."""
    ratings: tuple[int, ...] = ()


def terms_of(scenario: Scenario) -> Terms:
    """The rounds' terms; nothing here reads the clock."""
    return Terms(
        UNUSED,
        scenario.fee,
        scenario.reveal_bond,
        scenario.bond,
        scenario.max_samples,
        scenario.similarity_floor,
        scenario.max_sellers,
        len(scenario.actors),
        *(1, 1, 1, 1, 1, 1),
    )


def play(scenario: Scenario) -> tuple[list[Account], list[Round]]:
    """Runs all rounds. Returns the accounts and the settled rounds."""
    owners = scenario.owners()
    trainings = scenario.trainings(owners)
    base = weights_of(trainings[0].build_model())
    manifest = manifest_of(base)
    accounts = []
    for actor, training in zip(scenario.actors, trainings, strict=True):
        first = fine_tune(training, base, seed=0)
        accounts.append(Account(actor, training, alone=first, offer=first, model=first))
    rounds = []
    for number in range(1, scenario.rounds + 1):
        round_ = play_round(scenario, number, accounts, base, manifest)
        rounds.append(round_)
        for account in accounts:
            account.alone = fine_tune(account.training, account.alone, seed=number)
    return accounts, rounds


def play_round(scenario: Scenario, number: int, accounts: list[Account], base: Weights, manifest: Manifest) -> Round:
    """One round, from offers to reputations."""
    seed = hashlib.sha256(f"{scenario.dataset} {scenario.seed} {number}".encode()).digest()
    fixed = flatten(base, manifest)
    updates = [
        update_of(flatten(offered(account, base, scenario.seed, number), manifest), fixed) for account in accounts
    ]
    participants = tuple(
        Participant(
            account.actor.name,
            deposit=16 * scenario.reveal_bond,
            reveal=Reveal(account.actor.bid, account.reputation, Model(UNUSED, UNUSED), sketch(update, seed)),
        )
        for account, update in zip(accounts, updates, strict=True)
    )
    order = tuple(range(len(accounts)))
    round_ = Round(number, "aggregator", terms_of(scenario), participants=participants, seed=seed, reveal_order=order)
    settlement = settle(round_, frozenset())
    rows = row_weights(round_, settlement)
    shares = limited(rows, squared_lengths(rows, dict(enumerate(updates))))
    rated = []
    for index, account in enumerate(accounts):
        rating = None
        if index in shares:
            used = {seller: updates[seller] for seller in shares[index]}
            delivered = unflatten(personal_model(fixed, used, shares[index]), manifest)
            adoption = adopt(account.training, base, account.offer, delivered, len(used), seed=number)
            account.offer, account.model, rating = adoption.offer, adoption.model, adoption.rating
        else:
            account.offer = account.model = fine_tune(account.training, account.offer, seed=number)
        account.ratings += () if rating is None else (rating,)
        rated.append(replace(participants[index], rating=rating))
    round_ = replace(round_, participants=tuple(rated), settlement=settlement)
    book(round_, settlement, accounts)
    return round_


def offered(account: Account, base: Weights, seed: int, number: int) -> Weights:
    """The weights that an actor commits to."""
    return noise(base, account.offer, seed * 100 + number) if account.actor.offers_noise else account.offer


def book(round_: Round, settlement: Settlement, accounts: list[Account]) -> None:
    """Writes down what a round brought everybody."""
    for account, buys in zip(accounts, counted_rows(round_, settlement), strict=True):
        account.bought += len(buys)
        for purchase in buys:
            account.paid += purchase.price
            accounts[purchase.seller].sold += 1
            accounts[purchase.seller].earned += purchase.price
    credits = payout(round_, settlement).credits
    after = reputations(round_, settlement, [account.reputation for account in accounts])
    for account, participant, credit, reputation in zip(accounts, round_.participants, credits, after, strict=True):
        account.credit += credit - participant.deposit
        account.reputation = reputation


@dataclass(frozen=True, slots=True)
class Result:
    """One seed."""

    seed: int
    accounts: list[Account]
    rounds: list[Round]
    alone: Tensor
    """Accuracy of each account, percent."""
    after: Tensor
    trained: Tensor
    """Who offered what it trained, a mask: all but the free-rider."""
    buyers: Tensor
    """Those of them that buy."""
    seconds: float


def evaluate(seed: int, dataset: str) -> Result:
    """Plays one seed and measures everybody."""
    start = time.perf_counter()
    accounts, rounds = play(demo_scenario(seed, dataset))
    trained = torch.tensor([not account.actor.offers_noise for account in accounts])
    return Result(
        seed,
        accounts,
        rounds,
        alone=torch.tensor([measure(account, account.alone) for account in accounts]),
        after=torch.tensor([measure(account, account.model) for account in accounts]),
        trained=trained,
        buyers=torch.tensor([account.actor.is_buyer for account in accounts]) & trained,
        seconds=time.perf_counter() - start,
    )


def measure(account: Account, weights: Weights) -> float:
    """Accuracy, percent, on the test pictures, weighted with the owner's own mix of labels."""
    model = account.training.build_model()
    model.load_state_dict(weights)
    return 100 * accuracy(model, account.training.shares.test, account.training.shares.label_mix)


def table(result: Result) -> str:
    """What each participant learned, traded and earned; amounts in tokens."""
    head = ("", "role", "alone", "after", "gain", "bought", "sold", "paid", "earned", "net", "reputation", "ratings")
    shape = "{:6} {:48} {:>6} {:>6} {:>6} {:>6} {:>4} {:>7} {:>7} {:>7} {:>10}  {}"
    lines = [shape.format(*head)]
    for account, alone, after in zip(result.accounts, result.alone.tolist(), result.after.tolist(), strict=True):
        lines.append(
            shape.format(
                account.actor.name,
                account.actor.role,
                *(f"{alone:.1f}", f"{after:.1f}", f"{after - alone:+.1f}"),
                *(account.bought, account.sold),
                *(f"{amount / TOKEN:.2f}" for amount in (account.paid, account.earned, account.credit)),
                f"{account.reputation / ONE:.3f}",
                " ".join(map(str, account.ratings)),
            )
        )
    return "\n".join(lines)


def summary(result: Result) -> str:
    """One line: whether the seed shows what the demo is to show."""
    gain = result.after - result.alone
    earned = [account.earned for account in result.accounts if account.actor.is_honest and account.sold]
    noise_earned = max(account.earned for account in result.accounts if account.actor.offers_noise)
    idle = [
        account.actor.name
        for account, buys in zip(result.accounts, result.buyers.tolist(), strict=True)
        if buys and not account.bought
    ]
    return (
        f"seed {result.seed:2}: {result.alone[result.trained].mean():.2f} -> {result.after[result.trained].mean():.2f} "
        f"({gain[result.trained].mean():+.2f}); buyers {gain[result.buyers].mean():+.2f}, "
        f"{int((gain[result.buyers] < 0).sum())} of {int(result.buyers.sum())} lose, "
        f"{', '.join(idle) or 'none'} bought nothing; "
        f"honest sellers earn {min(earned) / TOKEN:.0f} to {max(earned) / TOKEN:.0f}, noise {noise_earned / TOKEN:g}; "
        f"{lie(result)}; {result.seconds:.1f} s"
    )


def lie(result: Result) -> str:
    """What misstating its cost brought each liar, all else equal, in all rounds."""
    from market_node.demo import profit  # not above: it brings a chain along

    told = []
    for index, account in enumerate(result.accounts):
        actor = account.actor
        if actor.asks != actor.cost:
            lied, true = (
                sum(profit(round_, index, bid, actor.cost) for round_ in result.rounds)
                for bid in (actor.asks, actor.cost)
            )
            told.append(f"{actor.name} makes {lied / TOKEN:.1f}, with its true cost {true / TOKEN:.1f}")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-4", help="first-last, or one")
    parser.add_argument("--dataset", default="digits")
    parser.add_argument("--tables", action="store_true", help="a table for each seed")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    first, _, last = options.seeds.partition("-")
    gains = []
    for seed in range(int(first), int(last or first) + 1):
        result = evaluate(seed, options.dataset)
        if options.tables:
            print(f"\n{table(result)}")
        print(summary(result), flush=True)
        gains.append(float((result.after - result.alone)[result.trained].mean()))
    print(f"gain over {len(gains)} seeds: mean {sum(gains) / len(gains):+.2f}, least {min(gains):+.2f} points")


if __name__ == "__main__":
    main()

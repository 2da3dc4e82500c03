"""Anyone can read what the cards of a round say, before it is settled and without a key."""

import json
from collections.abc import Callable
from pathlib import Path

from shell import BID, PHASES, Node


def test_cards_show_what_is_claimed_of_privacy_and_what_is_not(
    join: Callable[[int], Node], task: str, models: Path, tmp_path: Path
) -> None:
    aggregator, amber, basil = (join(200) for _ in range(3))
    opened = aggregator("round open", task, "--commit", "10m", "--reveal-bond", 10, *PHASES, "--json")
    number = opened.document["round"]
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"privacy": {"epsilon": 2.97, "delta": 0.003, "unit": "sample"}, "licence": "mine"}))
    assert amber("commit", number, models / "amber", *BID, "--card", card).code == 0
    assert basil("commit", number, models / "basil", *BID).code == 0

    shown = aggregator("cards", number)
    assert "ε = 2.97, δ = 0.003, of one sample" in " ".join(shown.out.split())
    assert "licence: mine" in " ".join(shown.out.split())
    first, second = aggregator("cards", number, "--json").document["cards"]
    assert first["card"]["privacy"]["epsilon"] == 2.97
    assert "privacy" not in second["card"]


def test_a_claim_of_nonsense_is_not_committed(
    join: Callable[[int], Node], task: str, models: Path, tmp_path: Path
) -> None:
    aggregator = join(200)
    opened = aggregator("round open", task, "--commit", "10m", "--reveal-bond", 10, *PHASES, "--json")
    card = tmp_path / "card.json"
    card.write_text(json.dumps({"privacy": {"epsilon": -1, "delta": 0.003, "unit": "sample"}}))
    refused = join(200)("commit", opened.document["round"], models / "amber", *BID, "--card", card)
    assert "epsilon of a privacy claim is above 0" in refused.complaint

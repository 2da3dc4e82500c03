"""A round on the command line, from its opening to the last payment."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from shell import BID, PHASES, Node

if TYPE_CHECKING:
    from market_node.devnet import Devnet


@dataclass(frozen=True)
class Played:
    """A settled round in its challenge phase: Amber and Basil bought from each other, Coral's model was never there."""

    number: int
    aggregator: Node
    amber: Node
    basil: Node
    coral: Node
    settled: Any


@pytest.fixture(scope="module")
def played(join: Callable[[int], Node], node: Node, task: str, models: Path, devnet: "Devnet") -> Played:
    aggregator, *players = (join(200) for _ in range(4))
    number = aggregator("round open", task, "--commit", "10m", "--reveal-bond", 10, *PHASES, "--json").document["round"]
    blocks = Path(tomllib.loads((node.home / "config.toml").read_text())["store"])
    for name, player in zip(("amber", "basil", "coral"), players, strict=True):
        before = set(blocks.iterdir())
        assert player("commit", number, models / name, *BID).code == 0
        lost = set(blocks.iterdir()) - before
    devnet.warp(600)
    assert aggregator("draw", number, "--once", "--json").document["seed"] is None
    seed = aggregator("draw", number, "--json").document["seed"]
    assert aggregator("draw", number, "--json").document["seed"] == seed is not None
    for player in players:
        assert player("reveal", number).code == 0
    for block in lost:
        block.unlink()
    devnet.warp(600)
    settled = aggregator("settle", number, "--json").document
    return Played(number, aggregator, *players, settled)


def test_a_model_that_is_missing_is_excluded_and_the_reason_explained(played: Played) -> None:
    assert played.settled["excluded"] == [2]
    explained = played.amber("explain", played.number, "--json")
    assert explained.document["participants"][2]["excluded"].startswith("the sealed file could not be fetched")
    assert "excluded: the sealed file could not be fetched" in explained.err


def test_an_explained_account_adds_up_to_its_credit(played: Played) -> None:
    explained = played.amber("explain", played.number, "--participant", 0, "--json")
    (amber,) = explained.document["participants"]
    assert sum(int(line["amount"]) for line in amber["lines"]) == int(amber["credit"])
    assert [each["reason"] for each in amber["verdicts"]] == ["bought, number 1 by cost per sample", "excluded"]
    by_account = played.basil("explain", played.number, "-p", amber["account"].lower(), "--json")
    assert by_account.document["participants"] == [amber]
    assert "it has 0 … 2" in played.basil("explain", played.number, "-p", 3).complaint


def test_status_says_what_a_settled_round_waits_for(played: Played) -> None:
    def waits_for(player: Node) -> str:
        (round_,) = player("status", "--json").document["rounds"]
        return str(round_["to_do"])

    assert waits_for(played.basil) == f"fetch {played.number}, then rate {played.number}"
    assert waits_for(played.coral) == f"audit --round {played.number}"


def test_the_personal_model_is_a_file_that_fits_the_task(played: Played, task: str, tmp_path: Path) -> None:
    fetched = played.basil("fetch", played.number, tmp_path / "personal.safetensors", "--json").document
    assert fetched["bytes"] == (tmp_path / "personal.safetensors").stat().st_size
    assert played.basil("task check", task, "--model", tmp_path / "personal.safetensors").code == 0


def test_fetch_replaces_a_file_only_when_told_to(played: Played, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("weeks of training")
    assert "--force" in played.basil("fetch", played.number, mine).complaint
    assert mine.read_text() == "weeks of training"
    assert played.basil("fetch", played.number, mine, "--force").code == 0


def test_who_bought_nothing_is_told_so(played: Played, tmp_path: Path) -> None:
    refused = played.coral("fetch", played.number, tmp_path / "personal.safetensors")
    assert refused.code == 4
    assert "its row is empty" in refused.complaint


def test_rejecting_asks_first(played: Played) -> None:
    refused = played.basil("reject", played.number)
    assert "nothing was rejected: --yes answers the question" in refused.complaint


def test_a_delivery_is_rated_once(played: Played) -> None:
    assert played.amber("rate", played.number, 75).code == 0
    again = played.amber("rate", played.number, 100)
    assert again.code == 5
    assert "this account has rated or rejected its delivery already" in again.complaint


def test_a_round_is_settled_once(played: Played) -> None:
    again = played.aggregator("settle", played.number)
    assert again.code == 3
    assert "Settle ended" in again.complaint


def test_a_device_that_is_not_there(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device in ("cuda", "tpu"):
        refused = played.aggregator("settle", played.number, "--device", device)
        assert refused.code == 2
        assert f"torch has no '{device}' here" in refused.complaint


@pytest.fixture
def paid(played: Played, devnet: "Devnet") -> Played:
    devnet.warp(600)
    return played


def test_a_payout_pays_once_and_an_audit_agrees(paid: Played) -> None:
    first = paid.coral("payout", paid.number, "--json").document
    assert len(first["transactions"]) == 1
    again = paid.coral("payout", paid.number, "--json").document
    assert again == {**first, "transactions": []}
    audited = paid.coral("audit", "--round", paid.number, "--json").document
    assert audited["ok"]
    assert audited["rounds"][0]["credits"] == 3

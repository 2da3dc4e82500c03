"""A wrong settlement on the command line: found, challenged, defended in vain, void and refunded."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from shell import BID, PASSWORD, PHASES, TOKEN, Node, Run, market_node

from market_node.cli.app import FINDINGS

if TYPE_CHECKING:
    from market_node.chain import Chain
    from market_node.devnet import Devnet

BOND = 160 * TOKEN
CHALLENGE_BOND = BOND // 32


@dataclass(frozen=True)
class Wrong:
    """A round in which participant 0 pays one unit too much. Erin audits, Mallory lies."""

    number: int
    aggregator: Node
    erin: Node
    mallory: Node

    def seen(self) -> Any:
        from market_node.history import History

        history = History(chain_of(self.erin))
        history.refresh()
        return history.round(self.number)


def chain_of(node: Node) -> "Chain":
    from market_node.chain import Chain
    from market_node.config import load_config
    from market_node.keys import load_account

    config = load_config(node.home)
    return Chain(config.rpc, config.market, load_account(node.home / "keys", PASSWORD))


@pytest.fixture(scope="module")
def wrong(join: Callable[[int], Node], task: str, models: Path, devnet: "Devnet") -> Wrong:
    from market_node.codec import encode_rows
    from market_node.settlement import reveals_hash, settle

    aggregator, amber, basil, erin, mallory = (join(200) for _ in range(5))
    number = aggregator("round open", task, "--commit", "10m", "--reveal-bond", 10, *PHASES, "--json").document["round"]
    for name, player in (("amber", amber), ("basil", basil)):
        assert player("commit", number, models / name, *BID).code == 0
    devnet.warp(600)
    assert aggregator("draw", number).code == 0
    for player in (amber, basil):
        assert player("reveal", number).code == 0
    devnet.warp(600)
    played = Wrong(number, aggregator, erin, mallory)
    round_ = played.seen()
    (first,), *others = settle(round_, frozenset()).rows
    rows = encode_rows([(replace(first, price=first.price + 1),), *others])
    chain_of(aggregator).settle(number, reveals_hash(round_), [0], rows, bytes(32))
    return played


def said(run: Run, code: int) -> Any:
    """The document of a command that ends with another code than 0."""
    assert run.code == code, run.err
    return json.loads(run.out)


# --- found ---


def test_a_challenge_needs_a_round(wrong: Wrong) -> None:
    refused = wrong.erin("audit", "--challenge")
    assert refused.code == 2
    assert "say which round, with --round" in refused.complaint


def test_a_challenge_needs_a_key_and_an_audit_does_not(wrong: Wrong, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text((wrong.erin.home / "config.toml").read_text())
    assert market_node("audit", "--round", wrong.number, "--home", tmp_path).code == FINDINGS
    for command in (("audit", "--round", wrong.number, "--challenge"), ("auditor", "run", "--once")):
        refused = market_node(*command, "--home", tmp_path)
        assert refused.code == 2
        assert "holds no account: make one with `market-node init`" in refused.complaint


def test_who_cannot_cover_the_bond_is_told_so_in_tokens(wrong: Wrong, join: Callable[[int], Node]) -> None:
    poor = join(4)
    refused = poor("audit", "--round", wrong.number, "--challenge")
    assert refused.code == 2
    assert "a challenge locks 5 TEST and 4 TEST are available: fund the account" in refused.err
    once = poor("auditor run", "--once", "--json")
    assert "a challenge locks 5 TEST" in said(once, FINDINGS)["failed"][0]
    assert "warning: " in once.err


def test_an_interval_of_nothing_is_refused(wrong: Wrong) -> None:
    assert "--interval: must be at least 1s" in wrong.erin("auditor run", "--interval", "0s").complaint


# --- challenged ---


@pytest.fixture(scope="module")
def challenged(wrong: Wrong) -> Wrong:
    """Erin's auditor has looked once."""
    document = said(wrong.erin("auditor run", "--once", "--json"), FINDINGS)
    (report,) = [each for each in document["rounds"] if each["round"] == wrong.number]
    assert report["verdict"] == "wrong"
    assert [(each["doing"], each["of"], each["outcome"]) for each in report["actions"]] == [("challenging", 0, "done")]
    assert (Path(document["folder"]) / f"round-{wrong.number}.json").exists()
    return wrong


def test_a_second_look_challenges_nothing_again(challenged: Wrong, tmp_path: Path) -> None:
    assert said(challenged.erin("auditor run", "--once", "--json"), FINDINGS)["failed"] == []
    elsewhere = challenged.erin("auditor run", "--once", "--report", tmp_path / "mine", "--json")
    assert said(elsewhere, FINDINGS)["folder"] == str(tmp_path / "mine")
    assert (tmp_path / "mine" / f"round-{challenged.number}.json").exists()
    assert len(challenged.seen().challenges) == 1


def test_status_shows_an_open_challenge_and_what_it_locks(challenged: Wrong) -> None:
    shown = challenged.erin("status", challenged.number, "--json")
    (challenge,) = shown.document["challenges"]
    address = challenged.erin("status", "--json").document["account"]
    assert (challenge["challenger"], challenge["participant"], challenge["refuter"]) == (address, 0, None)
    assert shown.document["locked"] == str(CHALLENGE_BOND)
    assert "open" in shown.err
    assert (
        challenged.aggregator("status", challenged.number, "--json").document["to_do"] == f"refute {challenged.number}"
    )


def test_an_explanation_says_whose_row_is_challenged(challenged: Wrong) -> None:
    noted = [line for line in challenged.mallory("explain", challenged.number).out.splitlines() if "challenged" in line]
    (line,) = noted
    assert line.split()[0] == "0"
    assert line.endswith("its row is challenged")


def test_an_audit_says_which_challenges_stand(challenged: Wrong) -> None:
    audited = said(challenged.mallory("audit", "--round", challenged.number, "--json"), FINDINGS)
    assert audited["rounds"][0]["standing"] == [0]


def test_one_true_challenge_is_enough(challenged: Wrong) -> None:
    refused = challenged.mallory("audit", "--round", challenged.number, "--challenge")
    assert refused.code == 2
    assert "a true challenge stands already" in refused.err


def test_the_aggregator_refutes_what_is_false_and_not_what_is_true(challenged: Wrong) -> None:
    from market_node.judge import proof

    chain_of(challenged.mallory).challenge(challenged.number, replace(proof(challenged.seen(), 1), listed=()))
    refuted = challenged.aggregator("refute", challenged.number, "--json")
    assert len(refuted.document["transactions"]) == 1
    assert refuted.document["open"] == [0]
    assert "1 challenges refuted" in refuted.err
    assert challenged.aggregator("refute", challenged.number, "--json").document["transactions"] == []
    shown = challenged.erin("status", challenged.number, "--json")
    assert [each["refuter"] is None for each in shown.document["challenges"]] == [True, False]
    assert "refuted by" in shown.err


# --- void ---


@pytest.fixture(scope="module")
def void(challenged: Wrong, devnet: "Devnet") -> Wrong:
    devnet.warp(1200)
    return challenged


def test_a_round_that_was_challenged_explains_its_refunds(void: Wrong) -> None:
    explained = void.erin("explain", void.number, "--json")
    assert [int(each["refund"]) - int(each["deposit"]) for each in explained.document["participants"]] == [
        BOND // 8,
        BOND // 8,
    ]
    assert "its settlement was challenged and nobody refuted it" in explained.err
    assert "45 TEST to each challenger" in explained.err


def test_nothing_can_be_refuted_any_more(void: Wrong) -> None:
    refused = void.aggregator("refute", void.number)
    assert refused.code == 3
    assert "is in Void" in refused.complaint


def test_a_refund_gives_the_challenger_its_reward_too(void: Wrong) -> None:
    assert void.erin("status", void.number, "--json").document["to_do"] == f"refund {void.number}"
    refunded = void.mallory("refund", void.number, "--json")
    (challenger,) = refunded.document["challengers"]
    assert challenger["credit"] == str(CHALLENGE_BOND + BOND // 4)
    assert len(refunded.document["transactions"]) == 2
    assert void.mallory("refund", void.number, "--json").document["transactions"] == []
    assert void.erin("status", "--json").document["available"] == str(200 * TOKEN + BOND // 4)
    audited = said(void.erin("audit", "--round", void.number, "--json"), FINDINGS)
    assert [each["kind"] for each in audited["rounds"][0]["findings"]] == ["wrong-price"]
    assert "stood: paid 45 TEST" in void.erin("status", void.number).out

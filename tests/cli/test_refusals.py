"""Whatever goes wrong is one line and an exit code, and costs nothing."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from shell import BID, PASSWORD, TOKEN, Node, market_node, password_file

from market_node.errors import BadInput


@pytest.mark.usefixtures("untouched")
def test_a_wrong_password(node: Node, tmp_path: Path) -> None:
    refused = replace(node, password=password_file(tmp_path / "wrong", "battery staple"))("withdraw")
    assert refused.code == 2
    assert "does not open with this password" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_apassword_file_that_others_may_read(node: Node, tmp_path: Path) -> None:
    known = password_file(tmp_path / "known", PASSWORD)
    known.chmod(0o644)
    assert "chmod 600" in replace(node, password=known)("withdraw").complaint


@pytest.mark.parametrize(
    ("pattern", "replacement", "code", "complaint"),
    [
        (r"^chain_id = .*", "chain_id = 1", 5, "serves chain 31337, not 1"),
        (r"^market = .*", f'market = "0x{7:040x}"', 5, f"no contract stands at 0x{7:040x}"),
        (r"^market = .*\n", "", 2, "names no 'market'"),
        (r"^chain_id = .*\n", "", 2, "config.toml: 'chain_id' is missing"),
        (r"^chain_id", "chainid", 2, "config.toml: unknown key 'chainid'"),
        (r"^rpc = .*", 'rpc = "http://127.0.0.1:9"', 5, "http://127.0.0.1:9 does not answer"),
        (r"^rpc = .*", "rpc = ", 2, "is not TOML"),
    ],
)
@pytest.mark.parametrize("command", ["status", "withdraw", "audit"])
def test_a_configuration_that_cannot_be_used(
    node: Node, tmp_path: Path, command: str, pattern: str, replacement: str, code: int, complaint: str
) -> None:
    refused = node.reconfigured(tmp_path / "home", pattern, replacement)(command)
    assert refused.code == code
    assert complaint in refused.complaint


def test_init_at_a_node_that_does_not_answer_leaves_nothing_behind(node: Node, tmp_path: Path) -> None:
    refused = replace(node, home=tmp_path / "home")("init", "--rpc", "http://127.0.0.1:9")
    assert refused.code == 5
    assert "does not answer" in refused.complaint
    assert not (tmp_path / "home").exists()


def test_a_home_that_is_none(tmp_path: Path) -> None:
    refused = market_node("status", "--home", tmp_path / "nowhere")
    assert refused.code == 2
    assert "make it with `market-node init`" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_more_than_there_is(node: Node) -> None:
    assert "100 TEST are available, not 100.5 TEST" in node("withdraw", "100.5").complaint
    assert "holds 0 TEST, not 1 TEST" in node("fund", "1").complaint
    assert "has more decimals than TEST" in node("withdraw", "0.0000000000000000001").complaint


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("step", "phase"),
    {
        "draw": "Draw",
        "reveal": "Reveal",
        "settle": "Settle",
        "rate": "Challenge",
        "refute": "Refute",
        "payout": "Payout",
        "refund": "Void",
    }.items(),
)
def test_a_step_in_the_wrong_phase_says_which_phase_it_is_and_when_the_right_one_starts(
    node: Node, open_round: int, step: str, phase: str
) -> None:
    refused = node(step, open_round, *([100] if step == "rate" else []))
    assert refused.code == 3
    assert f"round {open_round} is in Commit until" in refused.complaint
    assert f"{phase} starts" in refused.complaint


def test_the_time_of_the_next_phase_is_told_where_it_is_known(node: Node, open_round: int) -> None:
    told = node("draw", open_round).complaint
    assert re.search(r"Draw starts \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(in \d+ days\)", told)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (
            (*BID, "--deposit", "14.9"),
            "14.9 TEST is too small; this bid in this round needs 15.000000000000000008 TEST",
        ),
        ((*BID, "--deposit", "64.1"), "64.1 TEST is too large; this bid in this round needs"),
        ((*BID, "--deposit", "-1"), "'-1' is not an amount"),
        (("--value", 60, "--samples", 1), "cover at most 58.999999999999999992 TEST, not 60 TEST"),
        (("--samples", 1), "neither buys nor sells"),
        (("--value", "0.000000000000000001", "--samples", 1), "a value of 1 does not fit"),
        ((*BID, "--min-reputation", "2"), "'2' is not a share"),
        ((*BID, "--card", "nowhere.json"), "cannot read nowhere.json as JSON"),
    ],
)
def test_a_bid_that_the_terms_do_not_allow(
    node: Node, open_round: int, models: Path, options: tuple[object, ...], complaint: str
) -> None:
    refused = node("commit", open_round, models / "amber", *options)
    assert refused.code == 2
    assert complaint in refused.complaint


def test_a_deposit_larger_than_the_balance(fresh: Node, open_round: int, models: Path) -> None:
    fresh("withdraw", 89)
    refused = fresh("commit", open_round, models / "amber", *BID, "--deposit", 20)
    assert "the deposit is 20 TEST and 11 TEST are available" in refused.complaint
    assert fresh("status", "--json").document["available"] == str(11 * TOKEN)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_model_that_does_not_fit_the_task(node: Node, open_round: int, models: Path, options: tuple[str]) -> None:
    refused = node("commit", open_round, models / "pickle", *BID, *options)
    assert refused.code == 6
    assert "not a safetensors file" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_files_that_are_not_there(node: Node, open_round: int, models: Path) -> None:
    for refused in (
        node("commit", open_round, models / "nothing", *BID),
        node("task create", models / "nothing", "--name", "x"),
        node("task check", "nothing"),
    ):
        assert refused.code == 2
        assert "nothing" in refused.complaint


def test_a_file_that_cannot_be_written(node: Node, models: Path) -> None:
    refused = node("task create", models / "base", "--name", "tiny", "--out", models / "no" / "spec.json")
    assert refused.code == 4
    assert "spec.json: No such file or directory" in refused.complaint


def test_a_round_that_is_none(node: Node) -> None:
    for command in ("draw", "payout", "explain", "status"):
        assert "there is no" in node(command, 10**6).complaint


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--commit", "5s"), "--commit: this market's phases take 60 s … 30 days, not 5 s"),
        (("--refute", "31d"), "--refute: this market's phases take"),
        (("--bond", "1"), "--bond: must be at least 16 reveal bonds, 320 TEST"),
        (("--reveal-bond", "0"), "--reveal-bond: must be above 0"),
        (("--floor", "1"), "--floor: must be below 1"),
        (("--size", "huge"), "the size of a market is small, middle, large, not 'huge'"),
        (("--max-sellers", "32", "--max-participants", "1024"), "8192 at most"),
        ((), "the bond is 320 TEST and 100 TEST are available"),
    ],
)
def test_terms_that_the_market_does_not_allow(node: Node, task: str, options: tuple[str, ...], complaint: str) -> None:
    refused = node("round open", task, *options)
    assert refused.code == 2
    assert complaint in refused.complaint


def test_a_task_that_no_store_has(node: Node) -> None:
    assert "no store here has the task" in node("round open", "00" * 32).complaint
    assert "no digest of 64 hex digits and no CID" in node("round open", "digits").complaint


@pytest.mark.parametrize("arguments", ["drow 1", "draw", "draw one", "draw 0", "draw 1 --nope", "rate 1 101"])
def test_a_command_line_that_is_none(arguments: str) -> None:
    refused = market_node(*arguments.split())
    assert refused.code == 2
    assert refused.complaint


def test_a_bug_is_one_line_and_shows_its_place_on_request(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug\nin two lines")

    monkeypatch.setattr("market_node.history.History.refresh", broken)
    refused = node("status")
    assert refused.code == 1
    assert refused.complaint == "error: RuntimeError: a bug in two lines (unexpected; --debug shows where)\n"
    assert "Traceback" in node("status", "--debug").err


def test_a_stranger_s_words_do_not_reach_the_terminal_as_commands(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def rude(*_: object) -> None:
        raise BadInput("\x1b[2Jcleared\r\nyour screen\x07")

    monkeypatch.setattr("market_node.history.History.refresh", rude)
    assert node("status").complaint == "error: [2Jcleared your screen\n"

"""The command line: what it accepts, what it prints where, and that everything wrong is one line and costs nothing."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_node.cli.amounts import Money, duration, parse_duration, parse_fraction
from market_node.cli.app import FINDINGS, run
from market_node.cli.root import app
from market_node.errors import BadInput
from market_node.records import NOT_SELLING, ONE

TOKEN = 10**18
PASSWORD = "correct horse"

EURO = Money("EUR", 2)


# --- amounts ---


@given(st.integers(0, 30), st.integers(0, NOT_SELLING - 1))
def test_an_amount_that_is_written_is_read_as_the_same_amount(decimals: int, units: int) -> None:
    money = Money("X", decimals)
    assert money.units(money.text(units).removesuffix(" X"), "it") == units


@pytest.mark.parametrize("text", ["", "-1", "+1", "1e3", "NaN", "inf", "1.", ".5", "1,5", "1_000", "0x10", "１", " 1"])
def test_what_is_no_decimal_is_no_amount(text: str) -> None:
    with pytest.raises(BadInput, match="is not an amount"):
        EURO.units(text, "it")


def test_an_amount_finer_than_the_token_is_refused_and_not_rounded() -> None:
    assert EURO.units("0.10", "it") == EURO.units("0.1000", "it") == 10
    with pytest.raises(BadInput, match="more decimals than EUR, which has 2"):
        EURO.units("0.101", "it")


def test_an_amount_that_no_market_can_hold_is_refused() -> None:
    assert Money("X", 0).units(str(NOT_SELLING - 1), "it") == NOT_SELLING - 1
    for text in (str(NOT_SELLING), "9" * 400):
        with pytest.raises(BadInput, match="more than a market can hold"):
            Money("X", 0).units(text, "it")


def test_negative_amounts_are_shown_with_their_sign() -> None:
    assert EURO.text(-5) == "-0.05 EUR"
    assert EURO.short(-12345) == "-123.45"


def test_a_short_amount_is_cut_and_never_rounded_up() -> None:
    assert Money("X", 18).short(TOKEN - 1) == "0.999999"


@given(st.integers(0, 10**9 - 1))
def test_a_duration_is_read_back_from_its_parts(seconds: int) -> None:
    hours, rest = divmod(seconds, 3600)
    assert parse_duration(f"{hours}h{rest // 60}m{rest % 60}s", "it") == seconds
    assert parse_duration(str(seconds), "it") == seconds


@pytest.mark.parametrize("text", ["", "m", "1 h", "1x", "-1m", "1.5h", "5m1h", "٣m", "٣", "9" * 10])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a duration"):
        parse_duration(text, "it")


def test_a_duration_is_said_in_two_units() -> None:
    assert [duration(s) for s in (0, 59, 5400, 90_061)] == ["0s", "59s", "1h 30m", "1d 1h"]


def test_a_share_has_2_to_the_16_as_one() -> None:
    assert parse_fraction("1", "it") == ONE
    assert parse_fraction("0.1", "it") == 6554
    for text in ("1.01", "-0", "a half"):
        with pytest.raises(BadInput, match="is not a share"):
            parse_fraction(text, "it")


# --- running it ---


@dataclass(frozen=True)
class Run:
    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        """The one JSON document on standard output."""
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: ")
        assert self.out == ""
        return self.err


MarketNode = Callable[..., Run]


@pytest.fixture
def market_node(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> MarketNode:
    monkeypatch.delenv("MARKET_NODE_HOME", raising=False)
    monkeypatch.delenv("MARKET_NODE_PASSWORD_FILE", raising=False)

    def market_node(*arguments: object) -> Run:
        capsys.readouterr()
        code = run(app, [str(each) for each in arguments])
        return Run(code, *capsys.readouterr())

    return market_node


@pytest.fixture(scope="module")
def url(devnet) -> Iterator[str]:
    from market_node.jsonrpc import serve

    with serve(devnet, port=0) as server:
        yield server.url


@pytest.fixture
def password(tmp_path: Path) -> Path:
    return _password_file(tmp_path / "password", PASSWORD)


def _password_file(path: Path, password: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(password + "\n")
    return path


@pytest.fixture
def home(tmp_path: Path, market_node: MarketNode, url: str, deployment, password: Path) -> Path:
    """A node with 100 tokens in the market."""
    home = tmp_path / "home"
    made = market_node(
        "init", "--home", home, "--rpc", url, "--market", deployment.market, "--password-file", password, "--light-kdf"
    )
    assert made.code == 0, made.err
    assert market_node("fund", 100, "--mint", "--home", home, "--password-file", password).code == 0
    return home


@pytest.fixture
def node(market_node: MarketNode, home: Path, password: Path) -> MarketNode:
    """The command line of that node."""
    return lambda command, *arguments: market_node(
        *command.split(), *arguments, "--home", home, "--password-file", password
    )


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return _model(tmp_path / "model.safetensors", 2.0)


def _model(path: Path, weight: float) -> Path:
    import torch
    from safetensors.torch import save_file

    save_file({"w": torch.full((40,), weight)}, path)
    return path


@pytest.fixture
def task(node: MarketNode, tmp_path: Path) -> str:
    """A task of 40 weights."""
    made = node("task create", _model(tmp_path / "base.safetensors", 1.0), "--name", "tiny", "--json")
    return str(made.document["task"])


SHORT = [each for name in ("draw", "reveal", "settle", "challenge", "refute") for each in (f"--{name}", "10m")]


@pytest.fixture
def round_(node: MarketNode, task: str) -> int:
    """A round that takes commits for another ten minutes; its reveal bond is 4 tokens."""
    opened = node("round open", task, "--reveal-bond", 4, "--fee", 1, "--commit", "10m", *SHORT, "--json")
    assert opened.code == 0, opened.err
    return int(str(opened.document["round"]))


@pytest.fixture
def untouched(node: MarketNode, home: Path) -> Iterator[None]:
    """Whatever the test does, it changes neither a file of the home nor the account's money."""

    def everything() -> tuple[object, ...]:
        files = {path: path.read_bytes() for path in sorted(home.rglob("*")) if path.is_file()}
        status = node("status", "--json").document
        return files, status["available"], status["locked"], status["held"]

    before = everything()
    yield
    assert everything() == before


# --- a home ---


def test_init_makes_files_that_only_their_owner_reads(home: Path) -> None:
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert {path.name for path in kept} >= {"config.toml", "account.json", "encryption-1.json"}
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}


def test_init_keeps_the_password_and_the_key_out_of_every_file(home: Path) -> None:
    from market_node.keys import load_account

    secret = load_account(home / "keys", PASSWORD).key.hex()
    for path in home.rglob("*"):
        if path.is_file():
            text = path.read_text()
            assert PASSWORD not in text
            assert secret.removeprefix("0x") not in text


def test_no_command_takes_a_password_as_an_argument(market_node: MarketNode) -> None:
    refused = market_node("init", "--password", "x")
    assert refused.code == 2
    assert "No such option: --password" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_init_twice_changes_nothing(node: MarketNode, url: str) -> None:
    again = node("init", "--rpc", url)
    assert again.code == 2
    assert "is there already" in again.complaint


def test_init_goes_on_where_it_was_interrupted(
    market_node: MarketNode, tmp_path: Path, url: str, password: Path
) -> None:
    from market_node.keys import create_account

    address = create_account(tmp_path / "home" / "keys", PASSWORD, cost=4096).address
    made = market_node(
        "init", "--home", tmp_path / "home", "--rpc", url, "--password-file", password, "--json", "--light-kdf"
    )
    assert made.document["account"] == address
    assert (tmp_path / "home" / "keys" / "encryption-1.json").exists()


def test_without_a_terminal_nobody_is_asked_for_a_password(
    market_node: MarketNode, tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", open(os.devnull))  # noqa: SIM115
    refused = market_node("init", "--home", tmp_path / "home", "--rpc", url)
    assert refused.code == 2
    assert "--password-file" in refused.complaint
    assert not (tmp_path / "home").exists()


def test_the_home_and_the_password_file_may_come_from_the_environment(
    market_node: MarketNode, home: Path, password: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKET_NODE_HOME", str(home))
    monkeypatch.setenv("MARKET_NODE_PASSWORD_FILE", str(password))
    assert market_node("withdraw", "0.5", "--json").document["held"] == str(TOKEN // 2)


def test_options_that_stand_everywhere_may_stand_before_the_command(market_node: MarketNode, home: Path) -> None:
    assert market_node("--home", home, "--json", "status").document["available"] == str(100 * TOKEN)


# --- what goes wrong ---


@pytest.mark.usefixtures("untouched")
def test_a_wrong_password(market_node: MarketNode, home: Path, tmp_path: Path) -> None:
    wrong = _password_file(tmp_path / "wrong", "battery staple")
    refused = market_node("withdraw", "--home", home, "--password-file", wrong)
    assert refused.code == 2
    assert "does not open with this password" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_a_password_file_that_others_may_read(node: MarketNode, password: Path) -> None:
    password.chmod(0o644)
    assert "chmod 600" in node("withdraw").complaint
    password.chmod(0o600)


def _reconfigure(home: Path, pattern: str, replacement: str) -> None:
    path = home / "config.toml"
    changed, count = re.subn(pattern, replacement, path.read_text(), flags=re.M)
    assert count == 1
    path.write_text(changed)


def test_another_chain_than_the_configured_one(node: MarketNode, home: Path) -> None:
    _reconfigure(home, r"^chain_id = .*", "chain_id = 1")
    refused = node("status")
    assert refused.code == 5
    assert "serves chain 31337, not 1" in refused.complaint


def test_an_address_without_a_market(node: MarketNode, home: Path) -> None:
    _reconfigure(home, r"^market = .*", f'market = "0x{7:040x}"')
    refused = node("status")
    assert refused.code == 5
    assert f"no contract stands at 0x{7:040x}" in refused.complaint


def test_no_market_yet(node: MarketNode, home: Path) -> None:
    _reconfigure(home, r"^market = .*\n", "")
    refused = node("status")
    assert refused.code == 2
    assert "names no 'market'" in refused.complaint


def test_a_missing_setting_is_named_with_its_file(node: MarketNode, home: Path) -> None:
    _reconfigure(home, r"^chain_id = .*\n", "")
    refused = node("status")
    assert refused.code == 2
    assert "'chain_id' is missing" in refused.complaint
    assert "config.toml" in refused.complaint


def test_a_node_that_does_not_answer(node: MarketNode, home: Path) -> None:
    _reconfigure(home, r"^rpc = .*", 'rpc = "http://127.0.0.1:9"')
    refused = node("status")
    assert refused.code == 5
    assert "does not answer" in refused.complaint


def test_init_at_a_node_that_does_not_answer_leaves_nothing_behind(
    market_node: MarketNode, tmp_path: Path, password: Path
) -> None:
    refused = market_node("init", "--home", tmp_path / "x", "--rpc", "http://127.0.0.1:9", "--password-file", password)
    assert refused.code == 5
    assert "does not answer" in refused.complaint
    assert not (tmp_path / "x").exists()


def test_a_home_that_is_none(market_node: MarketNode, tmp_path: Path) -> None:
    refused = market_node("status", "--home", tmp_path / "nowhere")
    assert refused.code == 2
    assert "make it with `market-node init`" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_more_than_there_is(node: MarketNode) -> None:
    assert "100 TEST are available, not 100.5 TEST" in node("withdraw", "100.5").complaint
    assert "holds 0 TEST, not 1 TEST" in node("fund", "1").complaint
    assert "has more decimals than TEST" in node("withdraw", "0.0000000000000000001").complaint


BID = ("--value", 10, "--cost", 1, "--samples", 100)


def test_a_step_in_the_wrong_phase_says_which_phase_it_is_and_when_the_right_one_starts(
    node: MarketNode, round_: int, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("untouched")
    for step, phase in {"draw": "Draw", "reveal": "Reveal", "settle": "Settle", "payout": "Payout"}.items():
        refused = node(step, round_)
        assert refused.code == 3
        assert f"round {round_} is in Commit until" in refused.complaint
        assert f"{phase} starts" in refused.complaint
    assert re.search(r"Draw starts \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \(in \d+ min\)", node("draw", round_).complaint)


@pytest.mark.parametrize(
    ("deposit", "complaint"),
    [
        (
            "14.9",
            "--deposit: 14.9 TEST is too small; this bid in this round needs 15.000000000000000002 TEST … 64 TEST",
        ),
        ("64.1", "--deposit: 64.1 TEST is too large"),
        ("0", "too small"),
        ("-1", "is not an amount"),
    ],
)
def test_a_deposit_outside_what_the_terms_allow(
    node: MarketNode, round_: int, model: Path, deposit: str, complaint: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("untouched")
    refused = node("commit", round_, model, *BID, "--deposit", deposit)
    assert refused.code == 2
    assert complaint in refused.complaint


def test_a_value_that_no_deposit_of_the_round_covers(
    node: MarketNode, round_: int, model: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("untouched")
    refused = node("commit", round_, model, "--value", 60, "--samples", 1)
    assert "cover at most 58.999999999999999998 TEST, not 60 TEST" in refused.complaint


def test_a_deposit_larger_than_the_balance(
    node: MarketNode, round_: int, model: Path, request: pytest.FixtureRequest
) -> None:
    node("withdraw", 25)
    request.getfixturevalue("untouched")
    refused = node("commit", round_, model, *BID, "--deposit", 20)  # 100 - 25 - a bond of 64 are left
    assert "the deposit is 20 TEST and 11 TEST are available" in refused.complaint


def test_a_bid_that_neither_buys_nor_sells(
    node: MarketNode, round_: int, model: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("untouched")
    assert "neither buys nor sells" in node("commit", round_, model, "--samples", 1).complaint


@pytest.mark.parametrize("command", ["commit", "commit --dry-run"])
def test_a_model_that_does_not_fit_the_task(
    node: MarketNode, round_: int, tmp_path: Path, command: str, request: pytest.FixtureRequest
) -> None:
    node("task check", node("status", round_, "--json").document["task"])  # the task is fetched
    request.getfixturevalue("untouched")
    (tmp_path / "bad").write_bytes(b"pickle" * 100)
    name, *options = command.split()
    refused = node(name, round_, tmp_path / "bad", *BID, *options)
    assert refused.code == 6
    assert "safetensors" in refused.complaint


def test_a_model_that_is_not_there(node: MarketNode, round_: int, tmp_path: Path) -> None:
    refused = node("commit", round_, tmp_path / "nothing", *BID)
    assert refused.code == 2
    assert "does not exist" in refused.complaint


def test_a_file_that_cannot_be_written(node: MarketNode, tmp_path: Path) -> None:
    refused = node("task create", _model(tmp_path / "base", 1.0), "--name", "x", "--out", tmp_path / "no" / "spec.json")
    assert refused.code == 4
    assert "spec.json: No such file or directory" in refused.complaint


def test_a_round_that_is_none(node: MarketNode) -> None:
    refused = node("draw", 10**6)
    assert refused.code == 5
    assert "there is no such round" in refused.complaint


def test_terms_that_the_market_does_not_allow(node: MarketNode, task: str, request: pytest.FixtureRequest) -> None:
    request.getfixturevalue("untouched")
    for options, complaint in {
        ("--commit", "5s"): "--commit: this market's phases take 60 s … 30 days, not 5 s",
        ("--refute", "31d"): "--refute: this market's phases take",
        ("--bond", "1"): "--bond: must be at least 16 reveal bonds, 160 TEST",
        ("--reveal-bond", "0"): "--reveal-bond: must be above 0",
        ("--floor", "1"): "--floor: must be below 1",
        ("--max-sellers", "32", "--max-participants", "1024"): "8192 at most",
        (): "the bond is 160 TEST and 100 TEST are available",
    }.items():
        refused = node("round open", task, *options)
        assert refused.code == 2
        assert complaint in refused.complaint


def test_a_task_that_no_store_has(node: MarketNode) -> None:
    assert "no store here has the task" in node("round open", "00" * 32).complaint
    assert "no digest of 64 hex digits and no CID" in node("round open", "digits").complaint


@pytest.mark.parametrize(
    "arguments", [["drow", "1"], ["draw"], ["draw", "one"], ["draw", "1", "--nope"], ["rate", "1", "101"]]
)
def test_a_command_line_that_is_none(market_node: MarketNode, arguments: list[str]) -> None:
    refused = market_node(*arguments)
    assert refused.code == 2
    assert refused.complaint


def test_a_bug_is_one_line_and_shows_its_place_on_request(node: MarketNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug\nin two lines")

    monkeypatch.setattr("market_node.chain.Chain.round_count", broken)
    monkeypatch.setattr("market_node.history.History.refresh", broken)
    refused = node("status")
    assert refused.code == 1
    assert refused.complaint == "error: RuntimeError: a bug in two lines (unexpected; --debug shows where)\n"
    assert "Traceback" in node("status", "--debug").err


def test_a_stranger_s_words_do_not_reach_the_terminal_as_commands(
    node: MarketNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rude(*_: object) -> None:
        raise BadInput("\x1b[2Jcleared\r\nyour screen\x07")

    monkeypatch.setattr("market_node.history.History.refresh", rude)
    assert node("status").complaint == "error: [2Jcleared your screen\n"


# --- what goes right ---


def test_a_dry_run_says_what_is_at_stake_and_changes_nothing(
    node: MarketNode, round_: int, model: Path, request: pytest.FixtureRequest
) -> None:
    node("commit", round_, model, *BID, "--dry-run", "--deposit", 20)  # fetches the task
    request.getfixturevalue("untouched")
    shown = node("commit", round_, model, *BID, "--dry-run", "--deposit", 20, "--json")
    stake = shown.document
    assert stake["index"] is None
    assert stake["deposit"] == stake["lost_at_most"] == str(20 * TOKEN)
    assert stake["lost_without_reveal"] == str(4 * TOKEN)
    assert stake["lost_at_most_when_audited"] == str(11 * TOKEN + 2)  # fee, value, a unit per seller
    assert "would lock" in shown.err
    assert "20 TEST" in shown.err


def test_a_dry_run_needs_no_password(market_node: MarketNode, home: Path, round_: int, model: Path) -> None:
    assert market_node("commit", round_, model, *BID, "--dry-run", "--home", home).code == 0


def test_a_commit_locks_what_its_dry_run_says(node: MarketNode, round_: int, model: Path) -> None:
    said = node("commit", round_, model, *BID, "--dry-run", "--json").document
    done = node("commit", round_, model, *BID, "--json").document
    assert done == {**said, "dry_run": False, "index": 0}
    status = node("status", "--json").document
    assert status["locked"] == str(int(str(said["deposit"])) + 64 * TOKEN)  # and the bond of the round
    again = node("commit", round_, model, *BID)
    assert again.code == 2
    assert f"has committed to round {round_} already" in again.complaint


def test_json_is_one_document_and_people_read_standard_error(node: MarketNode, round_: int) -> None:
    for command in ("status", f"status {round_}", "audit", "withdraw 1"):
        shown = node(command, "--json")
        assert shown.code == 0, shown.err
        assert isinstance(shown.document, dict)
        assert shown.err


def test_amounts_in_json_are_base_units_as_text(node: MarketNode) -> None:
    status = node("status", "--json").document
    assert status["available"] == "100000000000000000000"


def test_status_says_what_a_round_waits_for(node: MarketNode, round_: int, model: Path, devnet) -> None:
    def waits_for() -> str:
        rounds = node("status", "--json").document["rounds"]
        return next(each["to_do"] for each in rounds if each["round"] == round_)

    node("commit", round_, model, *BID)
    assert waits_for() == ""
    devnet.warp(601)
    assert waits_for() == f"refund {round_}"  # nobody else committed
    assert node("refund", round_).code == 0
    assert waits_for() == ""
    assert node("status", "--json").document["available"] == str(100 * TOKEN)


def test_a_void_round_is_explained(node: MarketNode, round_: int, model: Path, devnet) -> None:
    node("commit", round_, model, *BID)
    assert node("explain", round_).code == 3
    devnet.warp(601)
    explained = node("explain", round_, "--json")
    (alone,) = explained.document["participants"]
    assert alone["refund"] == alone["deposit"]
    assert "fewer than two revealed" in explained.err


def test_the_devnet_s_clock_and_faucet(market_node: MarketNode, url: str, devnet) -> None:
    before, stranger = devnet.now(), f"0x{0xFACE:040x}"
    assert market_node("devnet", "warp", "1h30m", "--rpc", url, "--json").document["now"] == before + 5400
    assert market_node("devnet", "faucet", stranger, "--rpc", url, "--json").document["wei"] == str(100 * TOKEN)
    assert "is not an address" in market_node("devnet", "faucet", "me", "--rpc", url).complaint


def test_a_task_is_checked_by_file_and_by_digest(node: MarketNode, task: str, model: Path, tmp_path: Path) -> None:
    node("task create", tmp_path / "base.safetensors", "--name", "tiny", "--out", tmp_path / "spec.json")
    for named in (task, tmp_path / "spec.json"):
        checked = node("task check", named, "--model", model, "--json")
        assert checked.document["task"] == task
        assert checked.document["weights"] == 40


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [(b"{", "cannot be read"), (b"[]", "task file"), (b"\x80", "cannot be read"), (b" " * (2 << 20), "at most")],
)
def test_a_task_file_that_is_none_is_refused(node: MarketNode, tmp_path: Path, spec: bytes, complaint: str) -> None:
    (tmp_path / "spec.json").write_bytes(spec)
    refused = node("task check", tmp_path / "spec.json")
    assert refused.code == 2
    assert complaint in refused.complaint


# --- help, and what it costs ---


def _commands() -> Iterator[list[str]]:
    import typer.main

    def walk(command: object, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, each in getattr(command, "commands", {}).items():
            yield from walk(each, [*path, name])

    yield from walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("command", list(_commands()), ids=" ".join)
def test_every_command_has_help_with_the_exit_codes(market_node: MarketNode, command: list[str]) -> None:
    shown = market_node(*command, "--help")
    assert shown.code == 0
    assert f"{FINDINGS} the audit" in " ".join(shown.out.split())


def test_help_loads_neither_torch_nor_web3() -> None:
    script = """
import sys
from market_node.cli.app import run
from market_node.cli.root import app
run(app, ["--help"])
print({"torch", "web3", "eth_account", "eth_abi", "numpy"} & set(sys.modules))
"""
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines()[-1] == "set()"


def test_python_runs_the_package_as_the_command() -> None:
    shown = subprocess.run([sys.executable, "-m", "market_node", "nope"], capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (2, "error: No such command 'nope'.\n")

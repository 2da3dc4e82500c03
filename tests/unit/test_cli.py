"""The command line: what it accepts, what it prints where, and that everything wrong is one line and costs nothing."""

import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_node.cli.amounts import Money, duration, parse_duration, parse_fraction
from market_node.cli.app import FINDINGS, run
from market_node.cli.root import app
from market_node.errors import BadInput
from market_node.records import NOT_SELLING, ONE

if TYPE_CHECKING:
    from market_node.deploy import Deployment
    from market_node.devnet import Devnet

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
    def document(self) -> Any:
        """The one JSON document on standard output."""
        assert self.code == 0, self.err
        return json.loads(self.out)

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert self.code != 0
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("error: ")
        assert self.out == ""
        return self.err


def market_node(*arguments: object) -> Run:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        code = run(app, [str(each) for each in arguments])
    return Run(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Node:
    """The command line of one account."""

    home: Path
    password: Path

    def __call__(self, command: str, *arguments: object) -> Run:
        return market_node(*command.split(), *arguments, "--home", self.home, "--password-file", self.password)

    def reconfigured(self, home: Path, pattern: str, replacement: str) -> "Node":
        """The same account in another home, where one line of the configuration is another."""
        shutil.copytree(self.home, home)
        text, count = re.subn(pattern, replacement, (home / "config.toml").read_text(), flags=re.M)
        assert count == 1
        (home / "config.toml").write_text(text)
        return replace(self, home=home)


@pytest.fixture(autouse=True)
def _no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKET_NODE_HOME", raising=False)
    monkeypatch.delenv("MARKET_NODE_PASSWORD_FILE", raising=False)


@pytest.fixture(scope="module")
def url(devnet: "Devnet") -> Iterator[str]:
    from market_node.jsonrpc import serve

    with serve(devnet, port=0) as server:
        yield server.url


@pytest.fixture(scope="module")
def join(tmp_path_factory: pytest.TempPathFactory, url: str, deployment: "Deployment") -> Callable[[int], Node]:
    """Makes a node with so many tokens in the market. All share one store."""
    blocks = tmp_path_factory.mktemp("store") / "blocks"

    def join(tokens: int) -> Node:
        folder = tmp_path_factory.mktemp("node")
        node = Node(folder / "home", _password_file(folder / "password", PASSWORD))
        made = node("init", "--rpc", url, "--market", deployment.market, "--store", blocks, "--light-kdf")
        assert made.code == 0, made.err
        if tokens:
            assert node("fund", tokens, "--mint").code == 0
        return node

    return join


def _password_file(path: Path, password: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(password + "\n")
    return path


@pytest.fixture(scope="module")
def node(join: Callable[[int], Node]) -> Node:
    """A node that has opened a round, and has 100 tokens left."""
    return join(164)


@pytest.fixture
def fresh(join: Callable[[int], Node]) -> Node:
    """A node with 100 tokens that no other test uses."""
    return join(100)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base checkpoint of 40 weights, three models that are alike, and a file that is none."""
    import torch
    from safetensors.torch import save_file

    folder, draw = tmp_path_factory.mktemp("models"), torch.Generator().manual_seed(0)
    common = torch.randn(40, generator=draw)
    save_file({"w": torch.zeros(40)}, folder / "base")
    for name in ("amber", "basil", "coral"):
        save_file({"w": common + 0.3 * torch.randn(40, generator=draw)}, folder / name)
    (folder / "pickle").write_bytes(b"pickle" * 100)
    return folder


@pytest.fixture(scope="module")
def task(node: Node, models: Path) -> str:
    return str(node("task create", models / "base", "--name", "tiny", "--json").document["task"])


PHASES = [each for name in ("draw", "reveal", "settle", "challenge", "refute") for each in (f"--{name}", "10m")]


@pytest.fixture(scope="module")
def open_round(node: Node, task: str) -> int:
    """A round that takes commits for as long as the tests take. Its reveal bond is 4 tokens, its bond 64."""
    opened = node("round open", task, "--reveal-bond", 4, "--fee", 1, "--commit", "30d", *PHASES, "--json")
    return int(opened.document["round"])


@pytest.fixture
def untouched(node: Node, open_round: int) -> Iterator[None]:
    """Whatever the test does, it changes neither a file of the node's home nor its money."""

    def everything() -> tuple[object, ...]:
        files = {path: path.read_bytes() for path in sorted(node.home.rglob("*")) if path.is_file()}
        status = node("status", "--json").document
        return files, status["available"], status["locked"], status["held"]

    node("task check", node("status", open_round, "--json").document["task"])  # fetches the task: that is no change
    before = everything()
    yield
    assert everything() == before


# --- a home ---


def test_init_makes_files_that_only_their_owner_reads(node: Node) -> None:
    kept = [path for path in node.home.rglob("*") if path.is_file() and "tasks" not in path.parts]
    assert {path.name for path in kept} >= {"config.toml", "account.json", "encryption-1.json"}
    assert {path.stat().st_mode & 0o077 for path in kept} == {0}


def test_init_keeps_the_password_and_the_key_out_of_every_file(fresh: Node) -> None:
    from market_node.keys import load_account

    secret = load_account(fresh.home / "keys", PASSWORD).key
    for path in fresh.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PASSWORD.encode() not in content
            assert secret not in content
            assert secret.hex().removeprefix("0x").encode() not in content


def test_no_command_takes_a_password_as_an_argument() -> None:
    assert "No such option: --password" in market_node("init", "--password", "x").complaint


@pytest.mark.usefixtures("untouched")
def test_init_twice_changes_nothing(node: Node, url: str) -> None:
    again = node("init", "--rpc", url)
    assert again.code == 2
    assert "is there already" in again.complaint


def test_init_goes_on_where_it_was_interrupted(tmp_path: Path, url: str) -> None:
    from market_node.keys import create_account

    address = create_account(tmp_path / "home" / "keys", PASSWORD, cost=4096).address
    node = Node(tmp_path / "home", _password_file(tmp_path / "password", PASSWORD))
    assert node("init", "--rpc", url, "--json", "--light-kdf").document["account"] == address
    assert (tmp_path / "home" / "keys" / "encryption-1.json").exists()


def test_init_gives_ether_on_a_development_chain(fresh: Node) -> None:
    assert int(fresh("status", "--json").document["wei"]) > 99 * TOKEN


def test_without_a_terminal_nobody_is_asked_for_a_password(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(PASSWORD))
    refused = market_node("init", "--home", tmp_path / "home", "--rpc", url)
    assert refused.code == 2
    assert "--password-file" in refused.complaint
    assert not (tmp_path / "home").exists()


def test_the_home_and_the_password_file_may_come_from_the_environment(
    fresh: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MARKET_NODE_HOME", str(fresh.home))
    monkeypatch.setenv("MARKET_NODE_PASSWORD_FILE", str(fresh.password))
    assert market_node("withdraw", "0.5", "--json").document["held"] == str(TOKEN // 2)


def test_options_that_stand_everywhere_may_stand_before_the_command(fresh: Node) -> None:
    assert market_node("--home", fresh.home, "--json", "status").document["available"] == str(100 * TOKEN)


def test_deploy_writes_the_market_into_the_configuration(node: Node, task: str, tmp_path: Path) -> None:
    without = node.reconfigured(tmp_path / "home", r"^market = .*\n", "")
    deployed = without("deploy", "--min-phase", "5m", "--json").document
    assert without("status", "--json").document["market"] == deployed["market"]
    assert "--draw: this market's phases take 300 s … 30 days" in without("round open", task, "--draw", "4m").complaint


# --- what goes wrong ---


@pytest.mark.usefixtures("untouched")
def test_a_wrong_password(node: Node, tmp_path: Path) -> None:
    refused = replace(node, password=_password_file(tmp_path / "wrong", "battery staple"))("withdraw")
    assert refused.code == 2
    assert "does not open with this password" in refused.complaint


@pytest.mark.usefixtures("untouched")
def test_a_password_file_that_others_may_read(node: Node, tmp_path: Path) -> None:
    known = _password_file(tmp_path / "known", PASSWORD)
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


BID = ("--value", 10, "--cost", 1, "--samples", 100)


@pytest.mark.usefixtures("untouched")
@pytest.mark.parametrize(
    ("step", "phase"),
    {
        "draw": "Draw",
        "reveal": "Reveal",
        "settle": "Settle",
        "rate": "Challenge",
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
            "14.9 TEST is too small; this bid in this round needs 15.000000000000000002 TEST",
        ),
        ((*BID, "--deposit", "64.1"), "64.1 TEST is too large; this bid in this round needs"),
        ((*BID, "--deposit", "-1"), "'-1' is not an amount"),
        (("--value", 60, "--samples", 1), "cover at most 58.999999999999999998 TEST, not 60 TEST"),
        (("--samples", 1), "neither buys nor sells"),
        (("--value", "0.000000000000000001", "--samples", 1), "value"),
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
        (("--bond", "1"), "--bond: must be at least 16 reveal bonds, 160 TEST"),
        (("--reveal-bond", "0"), "--reveal-bond: must be above 0"),
        (("--floor", "1"), "--floor: must be below 1"),
        (("--max-sellers", "32", "--max-participants", "1024"), "8192 at most"),
        ((), "the bond is 160 TEST and 100 TEST are available"),
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


# --- what goes right ---


@pytest.mark.usefixtures("untouched")
def test_a_dry_run_says_what_is_at_stake_and_changes_nothing(node: Node, open_round: int, models: Path) -> None:
    shown = node("commit", open_round, models / "amber", *BID, "--dry-run", "--deposit", 20, "--json")
    stake = shown.document
    assert stake["index"] is None
    assert stake["deposit"] == stake["lost_at_most"] == str(20 * TOKEN)
    assert stake["lost_without_reveal"] == str(4 * TOKEN)
    assert stake["lost_at_most_when_audited"] == str(11 * TOKEN + 2)  # fee, value, a unit per seller
    assert "would lock" in shown.err
    assert "20 TEST" in shown.err


def test_a_dry_run_needs_no_password(node: Node, open_round: int, models: Path) -> None:
    dry = market_node("commit", open_round, models / "amber", *BID, "--dry-run", "--home", node.home)
    assert dry.code == 0, dry.err


def test_a_commit_locks_what_its_dry_run_says_and_happens_once(fresh: Node, open_round: int, models: Path) -> None:
    command = ("commit", open_round, models / "amber", *BID)
    said = fresh(*command, "--dry-run", "--json").document
    done = fresh(*command, "--json").document
    assert done == {**said, "dry_run": False, "index": done["index"]}
    before = fresh("status", "--json").document
    assert before["locked"] == said["deposit"]
    again = fresh(*command)
    assert again.code == 2
    assert f"has committed to round {open_round} already" in again.complaint
    assert fresh("status", "--json").document == before


@pytest.mark.parametrize("command", ["status", "status --all", "status 1", "audit", "withdraw 1", "fund 1"])
def test_json_is_one_document_and_people_read_standard_error(fresh: Node, open_round: int, command: str) -> None:
    fresh("withdraw", 2)
    shown = fresh(command, "--json")
    assert isinstance(shown.document, dict)
    assert shown.err
    assert fresh("status").err == ""


def test_a_round_with_one_bid_is_void_and_gives_everything_back(
    join: Callable[[int], Node], task: str, models: Path, devnet: "Devnet"
) -> None:
    alone = join(200)
    number = alone("round open", task, "--commit", "10m", *PHASES, "--json").document["round"]

    def waits_for() -> str:
        return next(each["to_do"] for each in alone("status", "--json").document["rounds"] if each["round"] == number)

    assert alone("commit", number, models / "amber", *BID).code == 0
    assert waits_for() == ""
    assert alone("explain", number).code == 3
    devnet.warp(601)
    assert waits_for() == f"refund {number}"
    explained = alone("explain", number, "--json")
    (only,) = explained.document["participants"]
    assert only["refund"] == only["deposit"]
    assert "fewer than two revealed" in explained.err
    assert alone("refund", number).code == 0
    assert waits_for() == ""
    assert alone("status", "--json").document["available"] == str(200 * TOKEN)


def test_the_devnet_s_clock_and_faucet(url: str, devnet: "Devnet") -> None:
    before, stranger = devnet.now(), f"0x{0xFACE:040x}"
    assert market_node("devnet", "warp", "1h30m", "--rpc", url, "--json").document["now"] == before + 5400
    assert market_node("devnet", "faucet", stranger, "--rpc", url, "--json").document["wei"] == str(100 * TOKEN)
    assert "is not an address" in market_node("devnet", "faucet", "me", "--rpc", url).complaint


def test_a_task_is_checked_by_file_and_by_digest(node: Node, task: str, models: Path, tmp_path: Path) -> None:
    node("task create", models / "base", "--name", "tiny", "--out", tmp_path / "spec.json")
    for named in (task, tmp_path / "spec.json"):
        checked = node("task check", named, "--model", models / "amber", "--json").document
        assert checked["task"] == task
        assert checked["weights"] == 40


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [(b"{", "cannot be read"), (b"[]", "task file"), (b"\x80", "cannot be read"), (b" " * (2 << 20), "at most")],
)
def test_a_task_file_that_is_none_is_refused(node: Node, tmp_path: Path, spec: bytes, complaint: str) -> None:
    (tmp_path / "spec.json").write_bytes(spec)
    refused = node("task check", tmp_path / "spec.json")
    assert refused.code == 2
    assert complaint in refused.complaint


# --- a round, from its opening to the last payment ---


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
    number = aggregator("round open", task, "--commit", "10m", *PHASES, "--json").document["round"]
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


# --- help, and what it costs ---


def _commands() -> Iterator[list[str]]:
    import typer.main

    def walk(command: object, path: list[str]) -> Iterator[list[str]]:
        yield path
        for name, each in getattr(command, "commands", {}).items():
            yield from walk(each, [*path, name])

    yield from walk(typer.main.get_command(app), [])


@pytest.mark.parametrize("command", list(_commands()), ids=" ".join)
def test_every_command_has_help_with_the_exit_codes(command: list[str]) -> None:
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

"""A home and what it is used for outside of rounds; help, and what it costs."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shell import BID, PASSWORD, PHASES, TOKEN, Node, market_node, password_file

from market_node.cli.app import FINDINGS
from market_node.cli.root import app

if TYPE_CHECKING:
    from market_node.devnet import Devnet


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
    node = Node(tmp_path / "home", password_file(tmp_path / "password", PASSWORD))
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


def test_the_home_and_thepassword_file_may_come_from_the_environment(
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


@pytest.mark.usefixtures("untouched")
def test_a_dry_run_says_what_is_at_stake_and_changes_nothing(node: Node, open_round: int, models: Path) -> None:
    shown = node("commit", open_round, models / "amber", *BID, "--dry-run", "--deposit", 20, "--json")
    stake = shown.document
    assert stake["index"] is None
    assert stake["deposit"] == stake["lost_at_most"] == str(20 * TOKEN)
    assert stake["lost_without_reveal"] == str(4 * TOKEN)
    assert stake["lost_at_most_when_audited"] == str(11 * TOKEN + 8)  # fee, value, a unit per seller
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
    number = alone("round open", task, "--commit", "10m", "--reveal-bond", 10, *PHASES, "--json").document["round"]

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

"""`doctor` finds what is wrong, each with what to do; and what it says is well, is."""

import json
import shutil
from pathlib import Path

import pytest
from shell import PASSWORD, PHASES, Node, password_file

WELL = ["chain", "clock", "contracts", "keys", "published", "gas", "balance", "store", "disk", "state", "rounds"]


def lines(node: Node) -> dict[str, tuple[str, str, str]]:
    run = node("doctor", "--json")
    document = json.loads(run.out)
    assert run.code == (0 if document["ok"] else 9)
    assert document["ok"] == all(each["verdict"] != "fail" for each in document["checks"])
    return {each["name"]: (each["verdict"], each["text"], each["todo"]) for each in document["checks"]}


@pytest.fixture
def healthy(fresh: Node) -> Node:
    assert fresh("keys publish").code == 0
    return fresh


@pytest.fixture
def in_step(devnet, monkeypatch):
    """The machine's clock is the chain's, give or take some seconds."""

    def set_clock(behind: int = 0) -> None:
        devnet.mine()
        monkeypatch.setattr("market_node.cli.doctor.clock", lambda: devnet.now() - behind)

    set_clock()
    return set_clock


def test_of_a_healthy_node_every_line_is_ok(healthy, in_step):
    found = lines(healthy)
    assert list(found) == WELL
    assert {name: each for name, each in found.items() if each[0] != "ok" or each[2]} == {}
    assert healthy("doctor").code == 0


def test_each_line_that_is_not_well_says_what_to_do(healthy):
    shutil.rmtree(healthy.home / "keys")
    run = healthy("doctor")
    assert run.code == 2 and "market-node init" in run.err  # without an account there is nothing to look at


def test_a_chain_that_does_not_answer_is_found(healthy, tmp_path):
    found = lines(healthy.reconfigured(tmp_path / "home", "^rpc = .*", 'rpc = "http://127.0.0.1:9"'))
    assert found["chain"][0] == "fail" and "'rpc'" in found["chain"][2]
    assert found["disk"][0] == "ok"


def test_a_chain_that_stands_still_is_said(healthy, in_step):
    in_step(behind=-3600)
    verdict, text, _ = lines(healthy)["chain"]
    assert (verdict, "60 min old" in text) == ("warn", True)


def test_a_clock_that_is_behind_the_chains_is_said(healthy, in_step):
    in_step(behind=3600)
    verdict, text, _ = lines(healthy)["clock"]
    assert (verdict, "60 min behind" in text) == ("warn", True)


def test_another_chain_is_found(healthy, tmp_path):
    found = lines(healthy.reconfigured(tmp_path / "home", "^chain_id = .*", "chain_id = 5"))
    assert found["chain"][0] == "fail" and "not 5" in found["chain"][1]


def test_a_market_that_is_no_market_is_found(healthy, tmp_path, deployment):
    other = healthy.reconfigured(tmp_path / "home", "^market = .*", f'market = "{deployment.token}"')
    assert lines(other)["contracts"][0] == "fail"


def test_a_wrong_password_is_found(healthy, tmp_path):
    wrong = Node(healthy.home, password_file(tmp_path / "password", PASSWORD + "!"))
    verdict, text, todo = lines(wrong)["keys"]
    assert (verdict, "does not open" in text, "password" in todo) == ("fail", True, True)


def test_keys_that_others_may_read_are_found(healthy):
    (healthy.home / "keys" / "account.json").chmod(0o644)
    verdict, text, todo = lines(healthy)["keys"]
    assert (verdict, "account.json" in text, todo.startswith("chmod 600")) == ("warn", True, True)


def test_an_encryption_key_that_is_not_on_chain_is_found(fresh):
    assert fresh("doctor").code == 0
    assert lines(fresh)["published"][0] == "warn"


def test_a_key_folder_that_is_older_than_the_chain_is_found(healthy):
    assert healthy("keys rotate").code == 0
    (healthy.home / "keys" / "encryption-2.json").unlink()
    verdict, text, todo = lines(healthy)["published"]
    assert (verdict, "is not in" in text, "newest backup" in todo) == ("fail", True, True)


def test_no_tokens_are_said(join):
    verdict, _, todo = lines(join(0))["balance"]
    assert (verdict, "fund" in todo) == ("warn", True)


def test_a_store_that_cannot_keep_is_found(healthy, tmp_path):
    (tmp_path / "file").write_text("no folder")
    other = healthy.reconfigured(tmp_path / "home", "^store = .*", f'store = "{tmp_path / "file"}"')
    assert lines(other)["store"][0] == "fail"


def test_a_damaged_state_is_found(healthy):
    for path in healthy.home.glob("state.db*"):
        path.unlink()
    (healthy.home / "state.db").write_bytes(b"no database" * 1000)
    verdict, text, _ = lines(healthy)["state"]
    assert (verdict, "damaged" in text) == ("fail", True)


def test_the_state_of_another_account_is_found(healthy, join, tmp_path):
    other = join(0)
    other("keys publish")
    for path in healthy.home.glob("state.db*"):
        path.unlink()
    for path in other.home.glob("state.db*"):
        shutil.copy(path, healthy.home / path.name)
    assert lines(healthy)["state"][0] == "fail"


def test_a_bid_that_a_restored_state_lacks_is_said(healthy, task, models, node, tmp_path):
    opened = node("round open", task, "--reveal-bond", 4, "--commit", "30d", *PHASES, "--json")
    number = opened.document["round"]
    healthy("commit", number, models / "amber", "--value", 10, "--cost", 1, "--samples", 100)
    assert lines(healthy)["rounds"][0] == "ok"
    for path in healthy.home.glob("state.db*"):
        path.unlink()
    verdict, text, todo = lines(healthy)["rounds"]
    assert (verdict, f"round {number}" in text, "looks for them with the keys" in todo) == ("warn", True, True)
    assert Path(healthy.home / "state.db").exists()


def test_a_lost_encryption_key_of_an_open_round_is_said(healthy, task, models, node):
    number = node("round open", task, "--reveal-bond", 4, "--commit", "30d", *PHASES, "--json").document["round"]
    assert healthy("keys rotate").code == 0
    healthy("commit", number, models / "amber", "--value", 10, "--cost", 1, "--samples", 100)
    (healthy.home / "keys" / "encryption-2.json").unlink()
    verdict, text, _ = lines(healthy)["rounds"]
    assert verdict == "fail" and f"round {number}: its personal model" in text


def test_rotation_makes_a_new_key_and_keeps_the_old_one(healthy):
    before = healthy("keys publish", "--json").document
    after = healthy("keys rotate", "--json").document
    assert (before["version"], after["version"]) == (1, 2)
    assert before["encryption_key"] != after["encryption_key"]
    assert lines(healthy)["published"][0] == "ok"

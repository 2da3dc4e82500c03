"""A home whose account's key is kept by a signer: it has an encryption key and no account file."""

from pathlib import Path

import pytest
from eth_account import Account
from shell import PASSWORD, Node, market_node, password_file

from tests.clef import Clef, over_http

DANA = Account.from_key(b"\x0d" * 32)


@pytest.fixture
def clef():
    return Clef(DANA)


@pytest.fixture
def dana(clef, url, deployment, tmp_path):
    with over_http(clef.reply) as place:
        node = Node(tmp_path / "home", password_file(tmp_path / "password", PASSWORD))
        made = node(
            *("init", "--rpc", url, "--market", deployment.market, "--light-kdf"),
            *("--signer", place, "--account", DANA.address),
        )
        assert made.code == 0, made.err
        yield node


def test_it_funds_itself_and_publishes_its_key(dana, clef):
    assert dana("fund", 5, "--mint").code == 0
    assert dana("keys publish").code == 0
    assert dana("status", "--json").document["account"] == DANA.address
    assert "account_signTypedData" in clef.asked


def test_no_key_of_the_account_is_in_the_home(dana):
    names = [path.name for path in Path(dana.home / "keys").iterdir()]
    assert names == ["encryption-1.json"]


def test_the_doctor_asks_the_signer_for_no_signature(dana, clef):
    dana("doctor", "--json")
    assert set(clef.asked) == {"account_version"}


@pytest.mark.parametrize("alone", [("--signer", "http://127.0.0.1:9"), ("--account", DANA.address)])
def test_a_signer_and_its_account_go_together(url, tmp_path, alone):
    run = market_node("init", "--home", tmp_path / "home", "--rpc", url, *alone)
    assert run.code == 2 and "go together" in run.complaint
    assert not (tmp_path / "home" / "keys").exists()

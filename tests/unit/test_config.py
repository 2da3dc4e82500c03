"""A node's settings: what is not understood is refused, by file and key."""

import stat
from dataclasses import fields
from pathlib import Path

import pytest

from market_node.config import Config, load_config, write_config
from market_node.errors import ConfigError

MARKET = "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512"
LEAST = 'rpc = "http://127.0.0.1:8545"\nchain_id = 31337\n'


def written(home: Path, text: str) -> Path:
    (home / "config.toml").write_text(text)
    return home


def test_what_is_left_out_has_its_default(tmp_path):
    config = load_config(written(tmp_path, LEAST))
    assert config == Config(tmp_path, "http://127.0.0.1:8545", 31337)
    assert (config.market, config.confirmations, config.timeout) == (None, 1, 120.0)
    assert (config.keys, config.stores, config.password_file) == (tmp_path / "keys", ("blocks",), None)


def test_a_config_comes_back_as_it_was_written(tmp_path):
    config = Config(
        tmp_path / "home",
        ('https://node.example/v3/"key"', "http://127.0.0.1:8545"),
        11155111,
        MARKET,
        from_block=7,
        store=("https://kubo.example:5001", "gateway+https://gateway.example", "blocks"),
        store_timeout=12.5,
        state="postgresql://alice@db.example/state?passfile=/run/secrets/pg",
        keys=Path("/elsewhere/keys"),
        signer="unix:/run/clef/clef.ipc",
        account=MARKET,
        password_file=Path("secrets/password"),
        confirmations=12,
        timeout=30.5,
        max_fee=12.5,
        mixing=50,
    )
    path = write_config(config)
    assert load_config(config.home) == config
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {each.name for each in fields(config)} - {"home"} == {
        line.split(" = ")[0] for line in path.read_text().splitlines() if " = " in line
    }


def test_only_what_differs_from_its_default_is_written(tmp_path):
    text = write_config(Config(tmp_path, "http://127.0.0.1:8545", 31337)).read_text()
    assert [line for line in text.splitlines() if not line.startswith("#")] == LEAST.splitlines()


def test_paths_start_at_the_home_unless_they_are_absolute(tmp_path):
    config = load_config(written(tmp_path, LEAST + 'keys = "k"\npassword_file = "/run/secrets/p"\n'))
    assert (config.keys, config.password_file) == (tmp_path / "k", Path("/run/secrets/p"))


def test_the_tilde_is_the_persons_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/alice")
    assert load_config(written(tmp_path, LEAST + 'keys = "~/keys"')).keys == Path("/home/alice/keys")


@pytest.mark.parametrize(
    ("written_as", "stores"),
    [
        ('"http://127.0.0.1:5001"', ("http://127.0.0.1:5001",)),
        ('["blocks", "gateway+https://a.example"]', ("blocks", "gateway+https://a.example")),
    ],
)
def test_a_store_is_one_place_or_several(tmp_path, written_as, stores):
    assert load_config(written(tmp_path, LEAST + f"store = {written_as}")).stores == stores


def test_there_may_be_several_rpc_endpoints(tmp_path):
    assert load_config(written(tmp_path, LEAST)).rpcs == ("http://127.0.0.1:8545",)
    several = 'rpc = ["https://one.example", "http://127.0.0.1:8545"]\nchain_id = 1\n'
    assert load_config(written(tmp_path, several)).rpcs == ("https://one.example", "http://127.0.0.1:8545")


def test_an_address_gets_its_checksum(tmp_path):
    assert load_config(written(tmp_path, LEAST + f'market = "{MARKET.lower()}"')).market == MARKET


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (LEAST + "colour = 1", "unknown key 'colour'; known are rpc, chain_id, market"),
        (LEAST + 'home = "/"', "unknown key 'home'"),
        (LEAST + "[rounds]", "unknown key 'rounds'"),
        ("chain_id = 1", "'rpc' is missing"),
        ('rpc = "http://a"', "'chain_id' is missing"),
        ('rpc = "http://a"\nchain_id = "1"', "'chain_id' must be a whole number, not '1'"),
        ('rpc = "http://a"\nchain_id = true', "'chain_id' must be a whole number, not True"),
        ('rpc = "http://a"\nchain_id = 1.0', "'chain_id' must be a whole number"),
        ('rpc = "http://a"\nchain_id = 0', "'chain_id' is below 1"),
        ("rpc = 7\nchain_id = 1", "'rpc' must be a text"),
        ('rpc = "ws://a"\nchain_id = 1', "'rpc' is not an http or https address"),
        ('rpc = "http://"\nchain_id = 1', "'rpc' is not an http"),
        ("rpc = []\nchain_id = 1", "'rpc' is empty"),
        ('rpc = ["http://a", "ws://a"]\nchain_id = 1', "'rpc' is not an http"),
        ('rpc = ["http://a", 7]\nchain_id = 1', "'rpc' must be a text or a list of texts"),
        (LEAST + 'state = ""', "'state' is empty"),
        (LEAST + 'state = "mysql://a/b"', "'state' is a file or begins with postgresql://, not mysql://"),
        (LEAST + 'state = "postgresql://a:b@c/d"', "'state' holds a password: put it into a file"),
        (LEAST + "state = [1]", "'state' must be a text"),
        (LEAST + "max_fee = 0", "'max_fee' is not between"),
        (LEAST + "max_fee = nan", "'max_fee' is not between"),
        (LEAST + 'market = "0x12"', "'market' is not an address"),
        (LEAST + 'market = ""', "'market' is not an address"),
        (LEAST + "from_block = -1", "'from_block' is below 0"),
        (LEAST + 'store = ""', "'store' is empty"),
        (LEAST + "store = []", "'store' is empty"),
        (LEAST + 'store = ["blocks", ""]', "'store' is empty"),
        (LEAST + 'store = ["blocks", 7]', "'store' must be a text or a list of texts"),
        (LEAST + 'store = "ftp://a"', "'store' has ftp://, which is none of http, https"),
        (LEAST + 'store = "http://"', "'store' has 'http://', which is no address"),
        (LEAST + 'store = "http://a:b"', "'store' has 'http://a:b', which is no address"),
        (LEAST + 'store = "gateway+https://a"', "'store' begins with a gateway"),
        (LEAST + "store_timeout = 0", "'store_timeout' is not between"),
        (LEAST + "keys = 7", "'keys' must be a text"),
        (LEAST + "password_file = false", "'password_file' must be a text"),
        (LEAST + "confirmations = 0", "'confirmations' is below 1"),
        (LEAST + "timeout = 0", "'timeout' is not between"),
        (LEAST + "timeout = nan", "'timeout' is not between"),
        (LEAST + 'timeout = "1"', "'timeout' must be a number"),
        (LEAST + "mixing = -1", "'mixing' is below 0"),
        (LEAST + "rpc = ", "is not TOML"),
        (LEAST + LEAST, "is not TOML"),
    ],
)
def test_what_does_not_fit_is_refused_by_file_and_key(tmp_path, text, complaint):
    with pytest.raises(ConfigError) as caught:
        load_config(written(tmp_path, text))
    assert str(tmp_path / "config.toml") in str(caught.value)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_text_is_refused(tmp_path):
    (tmp_path / "config.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_config(tmp_path)


def test_a_missing_file_says_how_to_make_it(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no .*config\.toml: make it with"):
        load_config(tmp_path)


def test_a_whole_number_is_a_length_of_time(tmp_path):
    assert load_config(written(tmp_path, LEAST + "timeout = 5")).timeout == 5

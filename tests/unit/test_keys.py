"""An account's secrets: they open with their password alone, are their owner's alone, and are never overwritten."""

import json
import stat

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from eth_account import Account

from market_node.errors import BadInput, WrongPassword
from market_node.keys import (
    EncryptionKeys,
    account_address,
    create_account,
    create_encryption_key,
    load_account,
    load_encryption_keys,
    read_password,
)

COST = 2
"""Work to try a password: none, since these guard nothing."""

PASSWORD = "correct horse, battery staple é"


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "keys"


def public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


# --- the account ---


def test_an_account_comes_back_under_its_password(folder):
    made = create_account(folder, PASSWORD, cost=COST)
    assert load_account(folder, PASSWORD).key == made.key
    assert account_address(folder) == made.address


def test_an_account_can_be_brought_along(folder):
    assert create_account(folder, PASSWORD, key=b"\1" * 32, cost=COST).address == Account.from_key(b"\1" * 32).address
    with pytest.raises(BadInput, match="32 bytes"):
        create_account(folder / "other", PASSWORD, key=b"\1" * 31, cost=COST)


def test_any_wallet_can_read_the_keystore(folder):
    made = create_account(folder, PASSWORD, cost=COST)
    keystore = json.loads((folder / "account.json").read_text())
    assert keystore["version"] == 3
    assert Account.decrypt(keystore, PASSWORD) == made.key


def test_every_account_is_another(folder):
    accounts = {create_account(folder / str(i), PASSWORD, cost=COST).address for i in range(3)}
    assert len(accounts) == 3


@pytest.mark.parametrize("wrong", ["", "correct horse, battery staple e", PASSWORD + " "])
def test_a_wrong_password_opens_nothing_and_says_so_in_one_line(folder, wrong):
    create_account(folder, PASSWORD, cost=COST)
    create_encryption_key(folder, PASSWORD, cost=COST)
    for load in (load_account, load_encryption_keys):
        with pytest.raises(WrongPassword, match="does not open with this password") as caught:
            load(folder, wrong)
        assert "\n" not in str(caught.value) and PASSWORD not in str(caught.value)


def test_keys_are_never_overwritten(folder):
    made = create_account(folder, PASSWORD, cost=COST)
    with pytest.raises(BadInput, match="never overwritten"):
        create_account(folder, "another", cost=COST)
    assert load_account(folder, PASSWORD).key == made.key


def test_nobody_else_may_read_the_files(folder):
    create_account(folder, PASSWORD, cost=COST)
    create_encryption_key(folder, PASSWORD, cost=COST)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert len([*folder.iterdir()]) == 2


def test_no_file_shows_a_secret(folder):
    account = create_account(folder, PASSWORD, cost=COST)
    key = create_encryption_key(folder, PASSWORD, cost=COST)
    private = load_encryption_keys(folder, PASSWORD).private(key)
    files = b"".join(path.read_bytes() for path in folder.iterdir())
    assert account.key.hex().removeprefix("0x").encode() not in files
    assert private.hex().encode() not in files
    assert private.hex() not in repr(load_encryption_keys(folder, PASSWORD))


def test_a_folder_without_an_account_is_said_so(folder):
    assert account_address(folder) is None
    with pytest.raises(BadInput, match=r"there is no .*account\.json"):
        load_account(folder, PASSWORD)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"crypto": 1}', b"{" * 9999, b" " * (1 << 17)])
def test_a_damaged_keystore_is_no_traceback(folder, content):
    folder.mkdir()
    (folder / "account.json").write_bytes(content)
    with pytest.raises(BadInput, match=r"account\.json"):
        load_account(folder, PASSWORD)
    with pytest.raises(BadInput, match=r"account\.json"):
        account_address(folder)


# --- encryption keys ---


def test_an_encryption_key_comes_back_under_its_password(folder):
    key = create_encryption_key(folder, PASSWORD, cost=COST)
    keys = load_encryption_keys(folder, PASSWORD)
    assert keys.public == key == public(keys.private(key))


def test_a_rotated_key_still_opens_what_was_sealed_to_it(folder):
    made = [create_encryption_key(folder, PASSWORD, cost=COST) for _ in range(3)]
    keys = load_encryption_keys(folder, PASSWORD)
    assert keys.public == made[-1]
    assert [public(keys.private(each)) for each in made] == made
    assert len(set(made)) == 3


def test_the_tenth_version_comes_after_the_ninth(folder):
    made = [create_encryption_key(folder, PASSWORD, cost=COST) for _ in range(11)]
    assert load_encryption_keys(folder, PASSWORD).public == made[-1]


def test_one_folder_has_one_password(folder):
    create_encryption_key(folder, PASSWORD, cost=COST)
    with pytest.raises(WrongPassword):
        create_encryption_key(folder, "another", cost=COST)


def test_a_key_that_is_not_here_is_said_so(folder):
    create_encryption_key(folder, PASSWORD, cost=COST)
    with pytest.raises(BadInput, match="no key here belongs to the encryption key 0101"):
        load_encryption_keys(folder, PASSWORD).private(b"\1" * 32)


def test_a_folder_without_encryption_keys_is_said_so(folder):
    with pytest.raises(BadInput, match="no encryption key was made"):
        load_encryption_keys(folder, PASSWORD)
    with pytest.raises(BadInput, match="no encryption key was made"):
        EncryptionKeys([])


@pytest.mark.parametrize("field", ["version", "public", "cost", "salt", "nonce", "sealed"])
def test_a_sealed_key_that_was_altered_does_not_open(folder, field):
    create_encryption_key(folder, PASSWORD, cost=COST)
    path = folder / "encryption-1.json"
    content = json.loads(path.read_text())
    before = content[field]
    content[field] = 2 * before if isinstance(before, int) else ("f" if before[0] != "f" else "0") + before[1:]
    path.write_text(json.dumps(content))
    with pytest.raises(BadInput, match=r"encryption-1\.json"):  # damaged, or WrongPassword
        load_encryption_keys(folder, PASSWORD)


def test_an_old_version_does_not_pass_for_a_new_one(folder):
    create_encryption_key(folder, PASSWORD, cost=COST)
    create_encryption_key(folder, PASSWORD, cost=COST)
    (folder / "encryption-2.json").write_bytes((folder / "encryption-1.json").read_bytes())
    with pytest.raises(BadInput, match=r"encryption-2\.json is damaged"):
        load_encryption_keys(folder, PASSWORD)


def test_a_file_cannot_ask_for_more_work_than_a_keystore_may(folder):
    create_encryption_key(folder, PASSWORD, cost=COST)
    path = folder / "encryption-1.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "cost": 1 << 40}))
    with pytest.raises(BadInput, match="damaged"):
        load_encryption_keys(folder, PASSWORD)


def test_leftovers_of_a_crash_are_no_keys(folder):
    made = create_encryption_key(folder, PASSWORD, cost=COST)
    for name in (".0123.part", "encryption-2.json.tmp", "encryption-x.json", "encryption-02.json"):
        (folder / name).write_bytes(b"{")
    assert load_encryption_keys(folder, PASSWORD).public == made


# --- passwords ---


def test_a_password_comes_from_a_file_without_its_line_end(tmp_path):
    path = tmp_path / "password"
    for content, password in [(b"s3cret\n", "s3cret"), (b"s3cret\r\n", "s3cret"), (b" a b \n\n", " a b \n")]:
        path.write_bytes(content)
        path.chmod(0o600)
        assert read_password(path) == password


def test_a_password_comes_from_whoever_is_asked():
    assert read_password(lambda: PASSWORD) == PASSWORD


def test_a_password_file_is_its_owners_alone(tmp_path):
    path = tmp_path / "password"
    path.write_text("s3cret")
    path.chmod(0o644)
    with pytest.raises(BadInput, match="chmod 600") as caught:
        read_password(path)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * (1 << 17)])
def test_what_is_no_password_is_refused(tmp_path, content):
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(BadInput):
        read_password(path)


def test_a_missing_password_file_is_said_so(tmp_path):
    with pytest.raises(BadInput, match="cannot read the password"):
        read_password(tmp_path / "none")

"""An account's secrets on disk: its Ethereum key and its encryption keys, in one folder that is one backup.

    account.json         keystore v3, as every Ethereum wallet reads it
    encryption-1.json    X25519 key, version 1, sealed under the same password; rotation adds -2, -3, …

Old encryption keys stay: what was sealed to them must open. Files are for their owner alone (0600), and no file is ever
overwritten. An encryption key is random, not derived from the Ethereum key: one may leak without the other.

The secrets of a commit are derived from an encryption key (`recovery`), so whoever has one reads the bids and models
that were committed under it: rotate it where it may have leaked.
"""

import json
import os
import re
import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from eth_account import Account
from eth_account.signers.local import LocalAccount

from .errors import BadInput, WrongPassword
from .files import replacing

SCRYPT_COST = 1 << 18
"""Work to try one password: about a second and 256 MiB. The keystore's own default. Lower it in tests only."""

MOST_COST = 1 << 20
"""What a file may ask for."""

MOST_BYTES = 1 << 16
"""Of a key file or password file."""

_VERSION = re.compile(r"encryption-([1-9][0-9]{0,5})\.json")


# --- the account ---


def create_account(folder: Path, password: str, *, key: bytes | None = None, cost: int = SCRYPT_COST) -> LocalAccount:
    """Makes an account, or keeps the one of `key`, 32 bytes, sealed under a password.

    Raises:
        BadInput: the folder has an account already, or the key is none.
    """
    try:
        account: LocalAccount = Account.from_key(secrets.token_bytes(32) if key is None else key)
    except ValueError as error:
        raise BadInput("that is not an Ethereum private key: 32 bytes") from error
    _write(folder / "account.json", Account.encrypt(account.key, password, kdf="scrypt", iterations=cost))
    return account


def load_account(folder: Path, password: str) -> LocalAccount:
    """Opens the account.

    Raises:
        WrongPassword, BadInput: there is none, or its file is damaged.
    """
    keystore = _read(folder / "account.json")
    try:
        account: LocalAccount = Account.from_key(Account.decrypt(keystore, password))
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{folder / 'account.json'} is not a keystore") from error
    except ValueError as error:
        raise WrongPassword(f"{folder / 'account.json'} does not open with this password") from error
    return account


def account_address(folder: Path) -> str | None:
    """The account's address, which needs no password; None where the folder has no account."""
    if not (folder / "account.json").exists():
        return None
    address = _read(folder / "account.json").get("address")
    if not isinstance(address, str) or not re.fullmatch(r"(0x)?[0-9a-fA-F]{40}", address):
        raise BadInput(f"{folder / 'account.json'} is not a keystore")
    from .contracts import checksum  # which loads web3's part of the package

    return checksum("0x" + address.removeprefix("0x").lower())


# --- encryption ---


class EncryptionKeys:
    """An account's X25519 keys, oldest first: the last one is published, all of them open.

    Args:
        privates: 32 bytes each; at least one.
    """

    def __init__(self, privates: Iterable[bytes]) -> None:
        self._privates = {_public(private): private for private in privates}
        if not self._privates:
            raise BadInput("no encryption key was made yet")

    @property
    def public(self) -> bytes:
        """The newest key, 32 bytes, to be published with `Chain.set_encryption_key`."""
        return self.publics[-1]

    @property
    def publics(self) -> tuple[bytes, ...]:
        """Of all versions, oldest first."""
        return tuple(self._privates)

    def private(self, public: bytes) -> bytes:
        """The key that opens what was sealed to `public`.

        Raises:
            BadInput: it is not one of these keys.
        """
        try:
            return self._privates[bytes(public)]
        except KeyError:
            raise BadInput(f"no key here belongs to the encryption key {bytes(public).hex()}") from None

    def derive(self, public: bytes, nonce: bytes, purpose: bytes) -> bytes:
        """A secret, 32 bytes, that only who has the key of `public` can derive again.

        Args:
            nonce: 32 bytes; another one gives another secret.
            purpose: what it is for; another one gives another secret.

        Raises:
            BadInput: it is not one of these keys.
        """
        return HKDF(SHA256(), 32, nonce, b"market-node derive 1\0" + purpose).derive(self.private(public))

    def __repr__(self) -> str:
        return f"EncryptionKeys({', '.join(public.hex()[:8] for public in self._privates)})"


def create_encryption_key(folder: Path, password: str, *, cost: int = SCRYPT_COST) -> bytes:
    """Makes the next version of the encryption key. Returns its public half.

    The password should be the account's; where there are older versions, it must be theirs.

    Raises:
        WrongPassword: an older version does not open with it.
    """
    versions = _versions(folder)
    if versions:
        _open(folder, versions[-1], password)
    private = secrets.token_bytes(32)
    version = versions[-1] + 1 if versions else 1
    salt, nonce = secrets.token_bytes(16), secrets.token_bytes(12)
    head = {"version": version, "public": _public(private).hex(), "kdf": "scrypt", "cost": cost, "salt": salt.hex()}
    sealed = AESGCM(_derive(password, salt, cost)).encrypt(nonce, private, _bound(head))
    _write(_file(folder, version), {**head, "cipher": "aes-256-gcm", "nonce": nonce.hex(), "sealed": sealed.hex()})
    return _public(private)


def load_encryption_keys(folder: Path, password: str) -> EncryptionKeys:
    """Opens every version.

    Raises:
        WrongPassword, BadInput: there is none, or a file is damaged.
    """
    return EncryptionKeys([_open(folder, version, password) for version in _versions(folder)])


def newest_cost(folder: Path) -> int | None:
    """The work to try a password that the newest version was made with; None where there is none."""
    versions = _versions(folder)
    cost = _read(_file(folder, versions[-1])).get("cost") if versions else None
    return cost if type(cost) is int and 2 <= cost <= MOST_COST else None


def _versions(folder: Path) -> list[int]:
    matches = (_VERSION.fullmatch(path.name) for path in folder.glob("encryption-*.json"))
    return sorted(int(match[1]) for match in matches if match)


def _file(folder: Path, version: int) -> Path:
    return folder / f"encryption-{version}.json"


def _open(folder: Path, version: int, password: str) -> bytes:
    path = _file(folder, version)
    sealed = _read(path)
    try:
        salt, nonce, text = (bytes.fromhex(sealed[key]) for key in ("salt", "nonce", "sealed"))
        head = {key: sealed[key] for key in ("version", "public", "kdf", "cost", "salt")}
        if not 2 <= sealed["cost"] <= MOST_COST or head["version"] != version or len(nonce) != 12:
            raise ValueError
        key = _derive(password, salt, sealed["cost"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadInput(f"{path} is damaged") from error
    try:
        return AESGCM(key).decrypt(nonce, text, _bound(head))
    except InvalidTag:
        raise WrongPassword(f"{path} does not open with this password") from None


def _bound(head: dict[str, Any]) -> bytes:
    """What the seal covers besides the key: nobody can pass an old version off as a new one."""
    return json.dumps(head, sort_keys=True).encode()


def _derive(password: str, salt: bytes, cost: int) -> bytes:
    return Scrypt(salt=salt, length=32, n=cost, r=8, p=1).derive(password.encode())


def _public(private: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


# --- passwords and files ---


def read_password(source: Path | Callable[[], str]) -> str:
    """A password from a file, without its line end, or from whoever `source` asks. Never from an argument.

    Raises:
        BadInput: there is no such file, it is not text, or others may read it.
    """
    if not isinstance(source, Path):
        password = source()
    else:
        try:
            if os.name == "posix" and source.stat().st_mode & 0o077:
                raise BadInput(f"others may read the password in {source}: chmod 600 it")
            password = _bounded(source).decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise BadInput(f"the password in {source} is not text") from None
        except OSError as error:
            raise BadInput(f"cannot read the password in {source}: {error.strerror}") from error
    if not password:
        raise BadInput("the password is empty")
    return password


def _bounded(path: Path) -> bytes:
    with open(path, "rb") as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise BadInput(f"{path} is too long to be what it should")
    return content


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_bounded(path))
    except FileNotFoundError:
        raise BadInput(f"there is no {path}: was the account made here?") from None
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise BadInput(f"{path} is damaged")
    return content


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        raise BadInput(f"{path} is there already, and keys are never overwritten")
    with replacing(path, 0o600) as file:
        file.write(json.dumps(content, indent=2).encode() + b"\n")

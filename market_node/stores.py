"""Which stores a node uses: one of several kinds, or some of them, one after the other."""

import logging
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from .errors import ConfigError, DigestMismatch, Misshapen, NotFound, StorageError, TooLarge
from .store import BlockStore, Digest, Store

log = logging.getLogger(__name__)

KINDS = ("http", "https", "httpx+http", "httpx+https", "gateway+http", "gateway+https")
"""Schemes of the places that are no folders: a Kubo node's RPC API, by ipfshttpclient or by httpx, and a gateway."""


def check_places(places: Sequence[str]) -> None:
    """Raises ConfigError where these cannot be a node's stores. Opens none of them."""
    if not places or not all(places):
        raise ConfigError("'store' is empty")
    for place in places:
        scheme, separator, rest = place.partition("://")
        if separator and scheme not in KINDS:
            raise ConfigError(f"'store' has {scheme}://, which is none of {', '.join(KINDS)}, nor a folder")
        try:
            host = urlsplit(place).hostname and urlsplit(place).port != 0
        except ValueError:
            host = False
        if separator and not (rest and host):
            raise ConfigError(f"'store' has {place!r}, which is no address")
    if places[0].startswith("gateway+"):
        raise ConfigError("'store' begins with a gateway, which keeps nothing: put a folder or a Kubo node first")


def open_store(places: Sequence[str], home: Path, patience: float) -> Store:
    """The store at these places: folders, from `home` on, and addresses of the `KINDS`.

    Args:
        patience: seconds that a node or gateway may take for one block, and see `store.fetch`.

    Raises:
        ConfigError: see `check_places`.
    """
    check_places(places)
    opened = [_open(place, home, patience) for place in places]
    return opened[0] if len(opened) == 1 else Stores(opened)


def _open(place: str, home: Path, patience: float) -> Store:
    kind, _, rest = place.rpartition("+")
    if "://" not in place:
        return BlockStore(home / Path(place).expanduser())
    if kind == "gateway":
        from .gateway import GatewayStore

        return GatewayStore(rest, patience)
    from .kubo import KuboStore

    if kind == "httpx":
        from .ipfs_http import HttpxApi

        return KuboStore(HttpxApi(rest), patience)
    from .ipfs_client import IpfsClientApi

    return KuboStore(IpfsClientApi(place), patience)


class Stores:
    """Several stores as one: files go to the first, and come from the first that has them."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self.stores = tuple(stores)

    def put(self, path: Path) -> Digest:
        """See `Store.put`. The other stores are not tried: others would not know to look there."""
        try:
            return self.stores[0].put(path)
        except StorageError as error:
            raise type(error)(f"{error} (files go to the first store alone, and this one was not kept)") from None

    def get(self, digest: Digest, path: Path, limit: int) -> None:
        """See `Store.get`. A store that fails or gives wrong bytes is passed over, with a warning.

        Raises:
            NotFound: no store has it. Where one could not say, it is that store's StorageError.
        """
        failures: list[StorageError] = []
        for store in self.stores:
            try:
                return store.get(digest, path, limit)
            except (TooLarge, Misshapen):  # the right bytes, so no other store has better ones
                raise
            except StorageError as error:
                if not isinstance(error, NotFound):
                    log.warning("%s", error)
                failures.append(error)
        raise _together(failures)

    def has(self, digest: Digest) -> bool:
        """See `Store.has`. One store has all of it, or it counts as missing."""
        failure: StorageError | None = None
        for store in self.stores:
            try:
                if store.has(digest):
                    return True
            except StorageError as error:
                log.warning("%s", error)
                failure = error
        if failure is not None:
            raise failure
        return False


def _together(failures: Sequence[StorageError]) -> StorageError:
    """What failed, in one line. That a file is nowhere is only said where every store has said so of itself."""
    text = "; ".join(map(str, failures))
    for kind in (StorageError, DigestMismatch):
        if any(type(each) is kind for each in failures):
            return kind(text)
    return NotFound(text)

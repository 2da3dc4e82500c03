"""Kubo's RPC API by ipfshttpclient 0.7, the client that Python has known for IPFS since its beginnings.

What is used of it works with today's nodes, and the rest is avoided: `connect()` refuses their versions, `cat()` keeps
a whole file in memory, and what is passed in `opts` under the name of an argument is overwritten.
"""

import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ipfshttpclient
import requests
import urllib3
from ipfshttpclient import exceptions

from .blocks import CHUNK, WIDTH
from .ipfs_http import ANSWER_LIMIT, MARGIN, SLOWEST
from .kubo import Refused, broken_off, refused, shown, silent, unreachable

warnings.filterwarnings("ignore", "The 'strict' parameter is no longer needed", FutureWarning)  # its, of every session


class IpfsClientApi:
    """See `kubo.NodeApi`. Threads may share one: each has a session of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.name = shown(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 80)
        self._address = f"/{_kind(parts.hostname or '')}/{parts.hostname}/tcp/{port}/{parts.scheme}"
        self._base = f"{parts.path.strip('/')}/api/v0".strip("/")
        self._auth = (parts.username, parts.password or "") if parts.username else None
        self._sessions = threading.local()

    @property
    def _client(self) -> Any:
        if not hasattr(self._sessions, "client"):
            # Its own chunks of 8 KiB cost half of the rate. No compression: what it unfolds to has no bound.
            client = ipfshttpclient.Client(
                self._address,
                self._base,
                session=True,
                chunk_size=CHUNK,
                auth=self._auth,
                headers={"Accept-Encoding": "identity"},
            )
            client._client._session.hooks["response"].append(_in_parts)
            client._client._session.trust_env = False  # no proxy: see `HttpxApi`
            self._sessions.client = client
        return self._sessions.client

    def add(self, path: Path, patience: float) -> str:
        """See `NodeApi.add`."""
        answer_time = patience + path.stat().st_size / SLOWEST
        with open(path, "rb") as file, _spoken(answer_time):
            answer = self._client.add(
                file,
                cid_version=1,
                raw_leaves=True,
                chunker=f"size-{CHUNK}",
                pin=True,
                opts={"max-file-links": str(WIDTH), "hash": "sha2-256", "inline": "false"},
                timeout=(patience, answer_time),
            )
        return str(answer["Hash"])

    def block(self, cid: str, most: int, patience: float) -> bytes:
        """See `NodeApi.block`."""
        read, end = bytearray(), time.monotonic() + patience + MARGIN
        with _spoken(patience), self._within(patience, self._client.block.get, cid, stream=True) as parts:
            for part in parts:
                read += part[: most - len(read)]
                if len(read) >= most:
                    break
                if time.monotonic() > end:  # a drop now and then is no answer
                    raise silent(patience)
        return bytes(read)

    def has_block(self, cid: str, patience: float) -> None:
        """See `NodeApi.has_block`."""
        with _spoken(patience):
            self._within(patience, self._client.block.stat, cid)

    def pin(self, cid: str, patience: float) -> None:
        """See `NodeApi.pin`."""
        with _spoken(patience):
            self._within(patience, self._client.pin.add, cid)

    def unpin(self, cid: str, patience: float) -> None:
        """See `NodeApi.unpin`."""
        with _spoken(patience):
            self._within(patience, self._client.pin.rm, cid)

    def pins(self, cid: str | None, patience: float) -> list[str]:
        """See `NodeApi.pins`."""
        with _spoken(patience):
            answer = self._within(patience, self._client.pin.ls, *([cid] if cid else []), type="recursive")
        return list(answer.as_json().get("Keys") or {})

    def _within(self, patience: float, call: Callable[..., Any], *arguments: str, **named: Any) -> Any:
        """A call with a time for the node's peers, and a little more for the node itself."""
        options = {"timeout": f"{patience * 1000:.0f}ms"}
        return call(*arguments, opts=options, timeout=(patience, patience + MARGIN), **named)


def _in_parts(response: requests.Response, **_: object) -> None:
    """It asks for whatever comes in one piece, which may have no end. So it is given pieces, and not for ever."""

    def parts(*_: object, **__: object) -> Iterator[bytes]:
        read = 0
        for part in response.raw.stream(1 << 16, decode_content=False):
            read += len(part)
            if read > ANSWER_LIMIT:
                raise requests.RequestException("an answer without end")
            yield part

    response.iter_content = parts  # type: ignore[method-assign]


def _kind(host: str) -> str:
    if ":" in host:
        return "ip6"
    return "ip4" if host.replace(".", "").isdigit() else "dns"


@contextmanager
def _spoken(patience: float) -> Iterator[None]:
    """What it raises, as a store says it. While a body streams, that is what requests and urllib3 raise."""
    try:
        yield
    except exceptions.ErrorResponse as error:
        raise refused(500, str(error)) from None
    except exceptions.StatusError as error:
        status = getattr(getattr(error.original, "response", None), "status_code", 0)
        raise refused(status, str(error.original)) from None
    except (exceptions.TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError):
        raise silent(patience) from None
    except exceptions.ConnectionError as error:
        raise unreachable(type(error.original).__name__) from None
    except (exceptions.CommunicationError, requests.RequestException, urllib3.exceptions.HTTPError) as error:
        raise broken_off(type(error).__name__) from None
    except (exceptions.Error, KeyError, ValueError, TypeError, AttributeError) as error:
        raise Refused(f"what it answers is none of Kubo's answers ({type(error).__name__})") from None

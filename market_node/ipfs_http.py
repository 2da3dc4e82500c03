"""Kubo's RPC API by plain httpx: everything streamed, bounded, and given up in time."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from .kubo import PROFILE, Refused, broken_off, refused, shown, silent, unreachable

ANSWER_LIMIT = 16 << 20
"""Bytes of an answer that is no block: more than a hundred thousand pins."""

SLOWEST = 10_000_000
"""Bytes per second that a node has to take in at least, once it has them all."""

MARGIN = 5.0
"""Seconds more than the node was given, before it counts as silent."""


class HttpxApi:
    """See `kubo.NodeApi`. Threads may share one."""

    def __init__(self, url: str) -> None:
        self.name = shown(url)
        # No proxy of the environment: the API is an administrator's, and on this machine or a private network.
        # No compression: what a small answer can unfold to has no bound. As many connections as there are threads that
        # ask: waiting for one would look as if the node were silent.
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/api/v0/",
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
        )

    def add(self, path: Path, patience: float) -> str:
        """See `NodeApi.add`."""
        with open(path, "rb") as file:
            answer_time = patience + path.stat().st_size / SLOWEST
            timeout = httpx.Timeout(patience, read=answer_time)
            options = {**PROFILE, "pin": "true", "progress": "false"}
            with self._post("add", options, timeout, files={"file": ("file", file)}) as response:
                answer = _read(response, ANSWER_LIMIT, answer_time)
        try:
            return str(json.loads(answer.splitlines()[-1])["Hash"])
        except (ValueError, IndexError, KeyError, TypeError):
            raise Refused(f"what it answers to `add` is none of Kubo's answers: {answer[:80]!r}") from None

    def block(self, cid: str, most: int, patience: float) -> bytes:
        """See `NodeApi.block`."""
        with self._post("block/get", *_within(patience, cid)) as response:
            return _read(response, most, patience + MARGIN)

    def has_block(self, cid: str, patience: float) -> None:
        """See `NodeApi.has_block`."""
        self._json("block/stat", *_within(patience, cid))

    def pin(self, cid: str, patience: float) -> None:
        """See `NodeApi.pin`."""
        self._json("pin/add", *_within(patience, cid))

    def unpin(self, cid: str, patience: float) -> None:
        """See `NodeApi.unpin`."""
        self._json("pin/rm", *_within(patience, cid))

    def pins(self, cid: str | None, patience: float) -> list[str]:
        """See `NodeApi.pins`."""
        options, timeout = _within(patience, cid)
        return list(self._json("pin/ls", {"type": "recursive", **options}, timeout).get("Keys") or {})

    def _json(self, command: str, options: dict[str, str], timeout: httpx.Timeout) -> dict[str, Any]:
        with self._post(command, options, timeout) as response:
            text = _read(response, ANSWER_LIMIT, timeout.read or 0)
        try:
            answer = json.loads(text or b"{}")
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Refused(f"what it answers to `{command}` is none of Kubo's answers: {text[:80]!r}")
        return answer

    @contextmanager
    def _post(
        self, command: str, options: dict[str, str], timeout: httpx.Timeout, **body: Any
    ) -> Iterator[httpx.Response]:
        with spoken(timeout), self._client.stream("POST", command, params=options, timeout=timeout, **body) as response:
            if response.status_code != 200:
                raise refused(response.status_code, _message(_read(response, 1 << 16, timeout.read or 0)))
            yield response


@contextmanager
def spoken(timeout: httpx.Timeout) -> Iterator[None]:
    """What httpx raises, as a store says it."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
        raise unreachable(str(error) or "no connection in time") from None
    except httpx.TimeoutException:
        raise silent(timeout.read or 0) from None
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL) as error:
        raise broken_off(error) from None


def _within(patience: float, cid: str | None) -> tuple[dict[str, str], httpx.Timeout]:
    """The time that the node gets for its peers, and the time that itself gets, a little more."""
    options = {"timeout": f"{patience * 1000:.0f}ms"}
    return {**options, "arg": cid} if cid else options, httpx.Timeout(patience + MARGIN, connect=patience)


def _read(response: httpx.Response, most: int, seconds: float) -> bytes:
    """The answer's first bytes, at most `most`. A drop now and then is no answer: all must come in time."""
    read, end = bytearray(), time.monotonic() + seconds
    for part in response.iter_raw():
        read += part[: most - len(read)]
        if len(read) >= most:
            break
        if time.monotonic() > end:
            raise silent(seconds)
    return bytes(read)


def _message(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["Message"])
    except (ValueError, KeyError, TypeError):
        return answer.decode(errors="replace")

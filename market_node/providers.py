"""Several nodes of one chain as one: the first that can be believed is asked, until it fails.

A node that does not answer, answers nonsense or is busy, serves another chain, or is behind a block that was seen
confirmed, is left for the next one, with one warning. Transactions go to the one that is asked, copies to the others.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from web3 import HTTPProvider
from web3.providers import BaseProvider
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from .errors import ConfigError, Unreachable, WrongChain

ALONE_SECONDS = 30
"""How long one request may take where there is one node."""

REQUEST_SECONDS = 10
"""How long one may take where there are others."""

REST_SECONDS = 60
"""So long a node that was left gets no copies."""

BUSY = ("rate limit", "too many requests", "capacity exceeded", "try again later")
"""How nodes say that it is not the request's fault."""

_log = logging.getLogger(__name__)

Provider = str | BaseProvider


class Http(HTTPProvider):
    """A node at an address, of which errors show the host only: the rest can be somebody's key."""

    def __init__(self, url: str, *, alone: bool = True) -> None:
        address = urlsplit(url)
        if address.scheme not in ("http", "https") or not address.hostname:
            raise ConfigError(f"the RPC endpoint must be an http or https address, not {address.scheme or 'empty'}")
        if alone:
            super().__init__(url, request_kwargs={"timeout": ALONE_SECONDS})
        else:  # the next node is asked, not the same again
            super().__init__(url, request_kwargs={"timeout": REQUEST_SECONDS}, exception_retry_configuration=None)
        self.name = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


def one_of(provider: Provider | Sequence[Provider], confirmations: int, chain_id: int | None) -> BaseProvider:
    """The provider to ask through. Raises ConfigError."""
    given = [provider] if isinstance(provider, str | BaseProvider) else list(provider)
    if not given:
        raise ConfigError("no RPC endpoint is named")
    made = [Http(each, alone=len(given) == 1) if isinstance(each, str) else each for each in given]
    return made[0] if len(made) == 1 else Providers(made, confirmations, chain_id)


@dataclass(frozen=True, slots=True)
class _Identity:
    """Which chain it is."""

    chain_id: int
    genesis: str


class _Behind(Unreachable):
    """A head behind a block that was confirmed."""

    def __init__(self, message: str, head: int) -> None:
        super().__init__(message)
        self.head = head


class _Busy(Exception):
    """An answer that is no answer to the request."""

    def __init__(self, response: Any) -> None:
        super().__init__("is busy")
        self.response = response


class Providers(JSONBaseProvider):
    """Nodes of one chain, in the order in which they are tried.

    Args:
        chain_id: the chain that they must serve; None takes the word of the first that answers.
    """

    def __init__(self, providers: Sequence[BaseProvider], confirmations: int = 1, chain_id: int | None = None) -> None:
        super().__init__()
        self.providers = list(providers)
        self.confirmations = confirmations
        self.chain_id = chain_id
        self.seen = -1
        """The highest block that was seen confirmed."""
        self._identity: _Identity | None = None
        self._asked = 0
        """Position of the one that is asked."""
        self._believed: set[int] = set()
        self._left: dict[int, float] = {}
        """Position → when it was left."""
        self._lock = RLock()

    @property
    def name(self) -> str:
        """The one that is asked."""
        return self._name(self._asked)

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """What the first node says that can be believed; where none can, what is wrong with the last one."""
        failures: dict[int, Exception] = {}
        with self._lock:
            first = self._asked
        for step in range(len(self.providers)):
            position = (first + step) % len(self.providers)
            try:
                response = self._ask(position, method, params)
            except Exception as error:
                failures[position] = error
                with self._lock:
                    self._believed.discard(position)
                    self._left[position] = time.monotonic()
                continue
            if failures:
                self._go_on_with(position, failures)
            if method == "eth_sendRawTransaction" and "error" not in response:
                self._copy(position, params)
            return response
        return self._none(failures, method, params)

    def _ask(self, position: int, method: RPCEndpoint, params: Any) -> RPCResponse:
        if position not in self._believed:
            self._believe(position)
        response = _answer(self.providers[position], method, params)
        if method == "eth_blockNumber" and "error" not in response:
            self._check_head(position, response)
        return response

    def _believe(self, position: int) -> None:
        """Checks a node before it is used, and after it was left."""
        provider = self.providers[position]
        chain_id = int(_answer(provider, RPCEndpoint("eth_chainId"), [])["result"], 16)
        block: Any = _answer(provider, RPCEndpoint("eth_getBlockByNumber"), ["0x0", False])["result"]
        identity = _Identity(chain_id, str(block["hash"]).lower())
        with self._lock:
            if self.chain_id not in (None, chain_id):
                raise WrongChain(f"{self._name(position)} serves chain {chain_id}, not {self.chain_id}")
            if self._identity not in (None, identity):
                raise WrongChain(f"{self._name(position)} serves another chain than the others")
        self._check_head(position, _answer(provider, RPCEndpoint("eth_blockNumber"), []))
        with self._lock:
            self._identity = identity
            self._believed.add(position)

    def _check_head(self, position: int, response: Any) -> None:
        head = int(response["result"], 16)
        with self._lock:
            if head < self.seen:
                raise _Behind(f"{self._name(position)} is at block {head}, behind {self.seen}, which was seen", head)
            self.seen = max(self.seen, head - self.confirmations + 1)

    def _go_on_with(self, position: int, failures: dict[int, Exception]) -> None:
        with self._lock:
            self._asked = position
        reasons = "; ".join(_reason(self._name(each), error) for each, error in failures.items())
        _log.warning("%s: %s is asked instead", reasons, self.name)

    def _none(self, failures: dict[int, Exception], method: RPCEndpoint, params: Any) -> RPCResponse:
        heads = {position: error.head for position, error in failures.items() if isinstance(error, _Behind)}
        if len(heads) == len(self.providers):
            # They cannot all be behind: the chain was reorganised deeper than what counted as confirmed.
            best = max(heads, key=lambda position: heads[position])
            _log.warning("no node has block %d any more: the chain was reorganised to %d", self.seen, heads[best])
            with self._lock:
                self.seen, self._asked = heads[best] - self.confirmations + 1, best
            return self._ask(best, method, params)
        last = failures[max(failures, key=lambda position: (position - self._asked) % len(self.providers))]
        if isinstance(last, _Busy):
            return cast(RPCResponse, last.response)
        raise last

    def _copy(self, position: int, params: Any) -> None:
        """Gives the others a transaction that one has taken; whether they take it does not matter."""
        for other, provider in enumerate(self.providers):
            resting = time.monotonic() - self._left.get(other, -REST_SECONDS) < REST_SECONDS
            if other == position or resting:
                continue
            try:
                if other not in self._believed:
                    self._believe(other)
                provider.make_request(RPCEndpoint("eth_sendRawTransaction"), params)
            except Exception:  # whatever it was, it is not the request's fault
                with self._lock:
                    self._believed.discard(other)
                    self._left[other] = time.monotonic()

    def _name(self, position: int) -> str:
        return str(getattr(self.providers[position], "name", f"node {position + 1}"))


def _answer(provider: BaseProvider, method: RPCEndpoint, params: Any) -> RPCResponse:
    """A response that is one. Raises Unreachable where it is nonsense, _Busy where it is an excuse."""
    response: Any = provider.make_request(method, params)
    if not isinstance(response, dict) or not {"result", "error"} & response.keys():
        raise Unreachable("does not answer as a node does")
    error = response.get("error")
    if isinstance(error, dict):
        code, data, said = error.get("code"), error.get("data"), str(error.get("message", "")).lower()
        if (code == -32603 and data is None) or code == -32002 or any(each in said for each in BUSY):
            raise _Busy(response)
    return cast(RPCResponse, response)


def _reason(name: str, error: Exception) -> str:
    """Why a node was left, without the rest of its address."""
    if isinstance(error, _Behind | WrongChain):
        return str(error)
    if isinstance(error, _Busy):
        return f"{name} is busy"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{name} answers with HTTP status {error.response.status_code}"
    if isinstance(error, requests.RequestException | OSError):
        return f"{name} does not answer ({type(error).__name__})"
    return f"{name} does not answer as a node does"

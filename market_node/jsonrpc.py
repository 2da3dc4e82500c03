"""The devnet as the rest of the world sees an Ethereum node: JSON-RPC, in the process or over HTTP on loopback.

In both cases a request is the same bytes through the same table, so a test in the process tests the wire too.
"""

import contextlib
import ipaddress
import json
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, cast

from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from .devnet import Devnet, Mined, RpcError
from .errors import BadInput
from .rpc_json import Json, as_hex, block_json, header_json, logs_json, receipt_json, transaction_json

MAX_BODY = 4 << 20
"""Bytes of a request. The largest transaction here, a settlement, takes about 0.3 MB in hex."""

IDLE_SECONDS = 60
"""How long a connection may be silent."""

NO_PRIORITY = 10**9
"""What the devnet advises as priority fee, wei per gas."""

# --- what comes in ---


def _bytes(text: Any, size: int | None = None) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise RpcError(f"not hex: {text!r:.80}", -32602)
    try:
        value = bytes.fromhex(text[2:])
    except ValueError:
        raise RpcError(f"not hex: {text!r:.80}", -32602) from None
    if size is not None and len(value) != size:
        raise RpcError(f"{len(value)} bytes where {size} are expected", -32602)
    return value


def _integer(quantity: Any) -> int:
    if isinstance(quantity, int):
        return quantity
    try:
        return int(quantity, 16)
    except (TypeError, ValueError):
        raise RpcError(f"not a quantity: {quantity!r:.80}", -32602) from None


def _number(devnet: Devnet, tag: Any) -> int | None:
    """The block that a tag, a number or an EIP-1898 object names; None: now."""
    if isinstance(tag, dict):
        if "blockHash" in tag:
            return _known(devnet, tag["blockHash"])
        tag = tag.get("blockNumber", "latest")
    if tag in ("latest", "safe", "finalized", "pending", None):
        return None
    number = 0 if tag == "earliest" else _integer(tag)
    if number >= len(devnet.mined):
        raise RpcError(f"block {number} not found")
    return number


def _known(devnet: Devnet, digest: Any) -> int:
    try:
        return devnet.numbers[_bytes(digest, 32)]
    except KeyError:
        raise RpcError("block not found") from None


def _call(devnet: Devnet, parameters: list[Any]) -> tuple[bytes, bytes, bytes, Json]:
    call, *rest = parameters
    sender = _bytes(call.get("from", "0x" + "00" * 20), 20)
    to = _bytes(call["to"], 20) if call.get("to") else b""
    calldata = _bytes(call.get("input", call.get("data", "0x")))
    options: Json = {"value": _integer(call.get("value", 0)), "at": _number(devnet, rest[0] if rest else None)}
    if "gas" in call:
        options["gas"] = _integer(call["gas"])
    return sender, to, calldata, options


def _eth_call(devnet: Devnet, *parameters: Any) -> bytes:
    sender, to, calldata, options = _call(devnet, list(parameters))
    return devnet.call(sender, to, calldata, **options)[0]


def _estimate(devnet: Devnet, *parameters: Any) -> int:
    sender, to, calldata, options = _call(devnet, list(parameters))
    return devnet.estimate(sender, to, calldata, **options)


def _block_by_number(devnet: Devnet, tag: Any, full: bool = False) -> Json | None:
    if tag == "pending":
        nowhere: Json = {"hash": None, "nonce": None, "miner": None, "transactions": []}
        return header_json(devnet.pending()) | nowhere
    number = (
        len(devnet.mined) - 1 if tag in ("latest", "safe", "finalized") else 0 if tag == "earliest" else _integer(tag)
    )
    return block_json(devnet.mined[number], full) if number < len(devnet.mined) else None


def _mined(devnet: Devnet, digest: str) -> Mined | None:
    number = devnet.numbers.get(_bytes(digest, 32))
    return None if number is None else devnet.mined[number]


def _get_logs(devnet: Devnet, criteria: Json) -> list[Json]:
    last = len(devnet.mined) - 1
    if "blockHash" in criteria:
        first = end = _known(devnet, criteria["blockHash"])
    else:
        bounds = []
        for key in ("fromBlock", "toBlock"):
            tag = criteria.get(key, "latest")
            named = {"earliest": 0, "latest": last, "pending": last, "safe": last, "finalized": last}
            bounds.append(named[tag] if tag in named else _integer(tag))
        first, end = bounds
    wanted = criteria.get("address", [])
    addresses = {_bytes(address, 20) for address in ([wanted] if isinstance(wanted, str) else wanted or [])}
    topics = [
        None if topic is None else {_bytes(one, 32) for one in ([topic] if isinstance(topic, str) else topic)}
        for topic in criteria.get("topics", [])
    ]
    return [
        log
        for mined in devnet.mined[first : end + 1]
        for log in logs_json(mined)
        if (not addresses or _bytes(log["address"]) in addresses)
        and len(log["topics"]) >= len(topics)
        and all(one is None or topic in one for topic, one in zip(log["topics"], topics, strict=False))
    ]


def _fee_history(devnet: Devnet, count: Any, newest: Any, percentiles: Any = ()) -> Json:
    last = _number(devnet, newest)
    last = len(devnet.mined) - 1 if last is None else last
    first = max(0, last + 1 - min(_integer(count), 1024))
    headers = [mined.block.header for mined in devnet.mined[first : last + 1]]
    following = devnet.mined[last + 1].block.header if last + 1 < len(devnet.mined) else devnet.pending()
    return {
        "oldestBlock": first,
        "baseFeePerGas": [header.base_fee_per_gas for header in [*headers, following]],
        "gasUsedRatio": [str(header.gas_used / header.gas_limit) for header in headers],
        "reward": [[NO_PRIORITY for _ in percentiles or ()] for _ in headers],
    }


def _mine(devnet: Devnet, *parameters: Any) -> str:
    """`evm_mine`, with Hardhat's and Anvil's optional timestamp."""
    if parameters and parameters[0]:
        given = parameters[0]
        then = _integer(given["timestamp"] if isinstance(given, dict) else given)
        devnet.shift(then - devnet.now())
    devnet.mine()
    return "0x0"


def _shift(devnet: Devnet, seconds: Any) -> int:
    devnet.shift(_integer(seconds))
    return devnet.now()


METHODS: dict[str, Callable[..., Any]] = {
    "web3_clientVersion": lambda devnet: "market-node devnet (py-evm)",
    "net_version": lambda devnet: str(devnet.chain_id),
    "eth_chainId": lambda devnet: devnet.chain_id,
    "eth_syncing": lambda devnet: False,
    "eth_accounts": lambda devnet: [],  # it holds no keys; the accounts of `MNEMONIC` sign for themselves
    "eth_blockNumber": lambda devnet: len(devnet.mined) - 1,
    "eth_gasPrice": lambda devnet: devnet.pending().base_fee_per_gas + NO_PRIORITY,
    "eth_maxPriorityFeePerGas": lambda devnet: NO_PRIORITY,
    "eth_feeHistory": _fee_history,
    "eth_getBlockByNumber": _block_by_number,
    "eth_getBlockByHash": lambda devnet, digest, full=False: (
        block_json(mined, full) if (mined := _mined(devnet, digest)) else None
    ),
    "eth_getTransactionByHash": lambda devnet, digest: (
        transaction_json(mined) if (mined := _mined(devnet, digest)) else None
    ),
    "eth_getTransactionReceipt": lambda devnet, digest: (
        receipt_json(mined) if (mined := _mined(devnet, digest)) else None
    ),
    "eth_getBalance": lambda devnet, address, tag="latest": devnet.state(_number(devnet, tag)).get_balance(
        _bytes(address, 20)
    ),
    "eth_getTransactionCount": lambda devnet, address, tag="latest": devnet.state(_number(devnet, tag)).get_nonce(
        _bytes(address, 20)
    ),
    "eth_getCode": lambda devnet, address, tag="latest": devnet.state(_number(devnet, tag)).get_code(
        _bytes(address, 20)
    ),
    "eth_getStorageAt": lambda devnet, address, slot, tag="latest": (
        devnet.state(_number(devnet, tag)).get_storage(_bytes(address, 20), _integer(slot)).to_bytes(32, "big")
    ),
    "eth_call": _eth_call,
    "eth_estimateGas": _estimate,
    "eth_sendRawTransaction": lambda devnet, raw: devnet.send(_bytes(raw)),
    "eth_getLogs": _get_logs,
    "evm_increaseTime": _shift,
    "evm_mine": _mine,
}


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise RpcError("not JSON", -32700) from None


def answer(devnet: Devnet, body: bytes) -> bytes:
    """The answer to one request. Whatever the request, it is an answer."""
    reply: Json = {"jsonrpc": "2.0", "id": None}
    try:
        request = _parsed(body)
        if not isinstance(request, dict):
            raise RpcError("one request at a time", -32600)
        reply["id"] = request.get("id")
        method = METHODS.get(request.get("method", ""))
        if method is None:
            raise RpcError(f"the method {request.get('method')!r:.80} does not exist", -32601)
        with devnet.lock:
            reply["result"] = as_hex(method(devnet, *request.get("params", [])))
    except RpcError as error:
        reply["error"] = {"code": error.code, "message": error.message}
        if error.data is not None:
            reply["error"]["data"] = as_hex(error.data)
    except Exception as error:  # a stranger's request must not end the server
        reply["error"] = {"code": -32603, "message": f"{type(error).__name__}: {error}"}
    return json.dumps(reply).encode()


class DevnetProvider(JSONBaseProvider):
    """The devnet for a `Web3` in the same process."""

    name = "the devnet"

    def __init__(self, devnet: Devnet) -> None:
        super().__init__()
        self.devnet = devnet

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """See `answer`."""
        return self.decode_rpc_response(answer(self.devnet, self.encode_rpc_request(method, params)))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    # Head and body in one segment: two, and Nagle's algorithm adds 40 ms to every answer.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or len(length) > 9 or int(length) > MAX_BODY:
            self._refuse(413 if length.isdecimal() else 411)
            return
        body = answer(cast("Server", self.server).devnet, self.rfile.read(int(length)))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def _refuse(self, status: int) -> None:
        self.close_connection = True
        self.send_error(status)
        self.wfile.flush()
        # Closing on bytes that were not read resets the connection, and the client may lose the answer.
        self.connection.settimeout(0.2)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            for _ in range(MAX_BODY // 65_536):
                if not self.connection.recv(65_536):
                    break

    def log_message(self, format: str, *arguments: Any) -> None:
        """Silent."""


class Server(ThreadingHTTPServer):
    """A devnet served over HTTP from a thread of its own, until closed."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, devnet: Devnet, host: str, port: int) -> None:
        loopback = host == "localhost"
        with contextlib.suppress(ValueError):
            loopback = loopback or ipaddress.ip_address(host).is_loopback
        if not loopback:
            raise BadInput(f"a devnet is served on loopback only, not on {host}: everybody knows its keys")
        self.devnet = devnet
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise BadInput(f"cannot listen on {host}:{port}: {error.strerror}") from error
        self.url = f"http://{host}:{self.server_address[1]}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nobody's error."""

    def close(self) -> None:
        """Stops serving."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve(devnet: Devnet, host: str = "127.0.0.1", port: int = 8545) -> Server:
    """Serves a devnet on loopback; port 0 takes a free one.

    Give the devnet a clock (`Devnet(clock=time.time)`), so that deadlines pass by themselves.

    Raises:
        BadInput: the host is not loopback, or the port is taken.
    """
    return Server(devnet, host, port)

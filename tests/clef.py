"""A signer that speaks as clef does, over HTTP or a socket, and can be told to misbehave."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eth_account.signers.local import LocalAccount


class Clef:
    """Keeps one account's key.

    Attributes:
        asked: the methods that were called, in order.
        changes: made to a transaction before it is signed.
        answer: given instead of a result, where it is not None.
    """

    def __init__(self, account: LocalAccount) -> None:
        self.account = account
        self.asked: list[str] = []
        self.changes: dict[str, Any] = {}
        self.answer: Any = None
        self.refusal: str | None = None

    def reply(self, request: bytes) -> bytes:
        call = json.loads(request)
        self.asked.append(call["method"])
        if self.refusal is not None:
            said: dict[str, Any] = {"error": {"code": -32000, "message": self.refusal}}
        else:
            said = {"result": self._result(call["method"], call["params"]) if self.answer is None else self.answer}
        return json.dumps({"jsonrpc": "2.0", "id": call["id"], **said}).encode() + b"\n"

    def _result(self, method: str, params: list[Any]) -> Any:
        if method == "account_version":
            return "6.1.0"
        if method == "account_signTypedData":
            return "0x" + self.account.sign_typed_data(full_message=typed(params[1])).signature.hex()
        fields = {name: each for name, each in params[0].items() if name not in ("from", "input")}
        signed = self.account.sign_transaction({**fields, "data": params[0]["input"], **self.changes})
        return {"raw": "0x" + bytes(signed.raw_transaction).hex(), "tx": {}}


def typed(document: dict[str, Any]) -> dict[str, Any]:
    """As clef reads it: numbers may be decimals or 0x… in quotes."""
    kinds = {each["name"]: each["type"] for each in document["types"][document["primaryType"]]}
    message = {
        name: int(each, 0) if kinds[name].startswith("uint") else each for name, each in document["message"].items()
    }
    return {**document, "domain": {**document["domain"], "chainId": int(document["domain"]["chainId"], 0)},
            "message": message}  # fmt: skip


@contextmanager
def over_http(reply: Callable[[bytes], bytes], status: int = 200) -> Iterator[str]:
    """Where it listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            answer = reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def over_socket(reply: Callable[[bytes], bytes], path: Path) -> Iterator[str]:
    """The same as a socket. Answers come in two parts, as they may."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    request = b""
                    while not request.endswith(b"\n"):
                        request += link.recv(1 << 16)
                    answer = reply(request)
                    link.sendall(answer[: len(answer) // 2])
                    link.sendall(answer[len(answer) // 2 :])

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"unix:{path}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()

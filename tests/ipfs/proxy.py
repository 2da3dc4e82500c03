"""What stands between a node and its store, and is not always kind: it stalls, cuts, and changes words."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

Change = Callable[[bytes], bytes]


class Proxy:
    """Passes TCP connections on. `with Proxy(url) as proxy:` and use `proxy.url`.

    Args:
        up: what becomes of each piece of what the client sends.
        down: the same for what the server answers.
        stalls: how many connections stall for good once they carried `after` bytes up and down.
        cuts: how many connections are closed instead.
    """

    def __init__(
        self,
        url: str,
        *,
        up: Change | None = None,
        down: Change | None = None,
        stalls: float = 0,
        cuts: float = 0,
        after: int = 100_000,
    ) -> None:
        address = urlsplit(url)
        self.target = address.hostname, address.port
        self.up, self.down, self.stalls, self.cuts, self.after = up, down, stalls, cuts, after
        self.heads: list[str] = []
        self.over = threading.Event()
        self.open: list[socket.socket] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        for each in [self.listener, *self.open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(self.target)
                self.open += [client, server]
                carried = [0]
                for source, target, change in ((client, server, self._sent), (server, client, self.down)):
                    threading.Thread(target=self._pass, args=(source, target, change, carried), daemon=True).start()

    def _sent(self, data: bytes) -> bytes:
        line = data.split(b"\r\n")[0]
        if line.endswith(b" HTTP/1.1"):
            self.heads.append(line.decode())
        return self.up(data) if self.up else data

    def _pass(self, source: socket.socket, target: socket.socket, change: Change | None, carried: list[int]) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                carried[0] += len(data)
                if carried[0] > self.after:
                    if self.stalls > 0:
                        self.stalls -= 1
                        self.over.wait()
                        return
                    if self.cuts > 0:
                        self.cuts -= 1
                        target.shutdown(socket.SHUT_RDWR)
                        source.shutdown(socket.SHUT_RDWR)
                        return
                target.sendall(change(data) if change else data)
            target.shutdown(socket.SHUT_WR)


class Endless:
    """A server that answers everything with a body that has no end, in one huge piece or without a length."""

    def __init__(self, head: bytes = b"Content-Length: 1099511627776", status: bytes = b"200 OK") -> None:
        self.head = b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n"
        self.sent = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __enter__(self) -> "Endless":
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            client.recv(1 << 16)
            client.sendall(self.head)
            while True:
                self.sent += client.send(bytes(1 << 16))

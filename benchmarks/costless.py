"""A server behind Kubo's RPC paths that costs next to nothing, so that what is measured against it is the client.

It takes files and throws them away, and gives the blocks of one file as the kernel sends them.
"""

import json
import os
import socket
import threading
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from market_node.blocks import build, decode_node
from market_node.codec import DAG_PB, RAW, cid_text
from market_node.errors import Misshapen


class Costless:
    """Serves until its process ends."""

    def __init__(self, path: Path) -> None:
        self.file = os.open(path, os.O_RDONLY)
        self.nodes: dict[str, bytes] = {}
        self.leaves: dict[str, tuple[int, int]] = {}
        self.read = 0
        with open(path, "rb") as file:
            root = build(file, self._keep)
        self.cid = cid_text(root.digest, root.codec)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self._talk, args=(client,), daemon=True).start()

    def _keep(self, digest: bytes, block: bytes) -> None:
        try:
            decode_node(block, digest)
            self.nodes[cid_text(digest, DAG_PB)] = self.nodes[cid_text(digest, RAW)] = block
        except Misshapen:
            self.leaves[cid_text(digest, RAW)] = self.read, len(block)
            self.read += len(block)

    def _talk(self, client: socket.socket) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffer = bytearray(1 << 20)
        with suppress(OSError, ValueError), client:
            rest = b""
            while True:
                while b"\r\n\r\n" not in rest:
                    if not (more := client.recv(1 << 16)):
                        return
                    rest += more
                head, rest = rest.split(b"\r\n\r\n", 1)
                self._swallow(client, head.lower(), rest, buffer)
                self._answer(client, urlsplit(head.split()[1].decode()).query)
                rest = b""

    def _swallow(self, client: socket.socket, head: bytes, rest: bytes, buffer: bytearray) -> None:
        if b"chunked" in head:
            end = rest[-5:]
            while end != b"0\r\n\r\n":
                size = client.recv_into(buffer)
                end = (end + buffer[max(0, size - 5) : size])[-5:]
            return
        left = int(head.partition(b"content-length:")[2].split(b"\r\n")[0] or 0) - len(rest)
        while left > 0:
            left -= client.recv_into(buffer)

    def _answer(self, client: socket.socket, query: str) -> None:
        cid = parse_qs(query).get("arg", [""])[0]
        if (leaf := self.leaves.get(cid)) is not None:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % leaf[1])
            offset, left = leaf
            while left > 0:
                sent = os.sendfile(client.fileno(), self.file, offset, left)
                offset, left = offset + sent, left - sent
            return
        body = self.nodes.get(cid) or json.dumps({"Hash": self.cid, "Name": "file", "Size": "0"}).encode()
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def main(path: Path) -> None:
    server = Costless(path)
    print(server.url, flush=True)
    server.serve()

"""IPFS peers for tests: Helia processes on loopback, or a Kubo of yours where the environment names its RPC API.

    MARKET_NODE_KUBO="http://127.0.0.1:5001 http://127.0.0.1:5002" pytest tests/ipfs

The second address is a peer of the first; without it, what needs two is skipped. MARKET_NODE_GATEWAY is the address of
the first one's gateway.
"""

import json
import os
import select
import shutil
import subprocess
from pathlib import Path

import httpx

ROOT = Path(__file__).parent.parent.parent
SERVICE = ROOT / "tests" / "ipfs" / "service" / "main.js"
START_SECONDS = 60
KUBO = os.environ.get("MARKET_NODE_KUBO", "").split()
GATEWAY = os.environ.get("MARKET_NODE_GATEWAY", "")


def node() -> str | None:
    """Node.js, where it and Helia are installed."""
    folders = [str(ROOT / ".venv" / "bin"), os.environ.get("PATH", "")]
    return shutil.which("node", path=os.pathsep.join(folders)) if (ROOT / "node_modules" / "helia").is_dir() else None


class Peer:
    """One Helia process. It answers once `ready` returns."""

    def __init__(self, folder: Path, most: int | None = None) -> None:
        program = node()
        assert program is not None
        command = [program, str(SERVICE), str(folder), *([str(most)] if most else [])]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.url = self.swarm = ""

    def ready(self) -> "Peer":
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], START_SECONDS)[0]:
            raise TimeoutError("Helia has not started")
        told = json.loads(self.process.stdout.readline())
        self.url, self.swarm = told["rpc"], told["swarm"]
        return self

    def connect(self, other: "Peer") -> None:
        rpc(self.url, "swarm/connect", arg=other.swarm)

    def stop(self) -> None:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()  # it ends with its standard input
        self.process.wait(10)
        self.process.stdout.close()


def rpc(url: str, command: str, **options: str) -> httpx.Response:
    """A call that no store makes."""
    answer = httpx.post(f"{url}/api/v0/{command}", params=options, timeout=30, trust_env=False)
    answer.raise_for_status()
    return answer

"""Nodes with homes of their own, on one devnet that answers over HTTP."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from shell import PASSWORD, PHASES, Node, password_file

if TYPE_CHECKING:
    from market_node.deploy import Deployment
    from market_node.devnet import Devnet


@pytest.fixture(autouse=True)
def _no_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MARKET_NODE_HOME", raising=False)
    monkeypatch.delenv("MARKET_NODE_PASSWORD_FILE", raising=False)


@pytest.fixture(scope="module")
def url(devnet: "Devnet") -> Iterator[str]:
    from market_node.jsonrpc import serve

    with serve(devnet, port=0) as server:
        yield server.url


@pytest.fixture(scope="module")
def join(tmp_path_factory: pytest.TempPathFactory, url: str, deployment: "Deployment") -> Callable[[int], Node]:
    """Makes a node with so many tokens in the market. All share one store."""
    blocks = tmp_path_factory.mktemp("store") / "blocks"

    def join(tokens: int) -> Node:
        folder = tmp_path_factory.mktemp("node")
        node = Node(folder / "home", password_file(folder / "password", PASSWORD))
        made = node("init", "--rpc", url, "--market", deployment.market, "--store", blocks, "--light-kdf")
        assert made.code == 0, made.err
        if tokens:
            assert node("fund", tokens, "--mint").code == 0
        return node

    return join


@pytest.fixture(scope="module")
def node(join: Callable[[int], Node]) -> Node:
    """A node that has opened a round, and has 100 tokens left."""
    return join(164)


@pytest.fixture
def fresh(join: Callable[[int], Node]) -> Node:
    """A node with 100 tokens that no other test uses."""
    return join(100)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base checkpoint of 40 weights, three models that are alike, and a file that is none."""
    import torch
    from safetensors.torch import save_file

    folder, draw = tmp_path_factory.mktemp("models"), torch.Generator().manual_seed(0)
    common = torch.randn(40, generator=draw)
    save_file({"w": torch.zeros(40)}, folder / "base")
    for name in ("amber", "basil", "coral"):
        save_file({"w": common + 0.3 * torch.randn(40, generator=draw)}, folder / name)
    (folder / "pickle").write_bytes(b"pickle" * 100)
    return folder


@pytest.fixture(scope="module")
def task(node: Node, models: Path) -> str:
    return str(node("task create", models / "base", "--name", "tiny", "--json").document["task"])


@pytest.fixture(scope="module")
def open_round(node: Node, task: str) -> int:
    """A round that takes commits for as long as the tests take. Its reveal bond is 4 tokens, its bond 64."""
    opened = node("round open", task, "--reveal-bond", 4, "--fee", 1, "--commit", "30d", *PHASES, "--json")
    return int(opened.document["round"])


@pytest.fixture
def untouched(node: Node, open_round: int) -> Iterator[None]:
    """Whatever the test does, it changes neither a file of the node's home, nor what its state holds, nor its money."""
    from market_node.database import open_database
    from market_node.tables import BIDS, ROUNDS, TRANSACTIONS

    def rows() -> list[tuple[object, ...]]:
        database = open_database(node.home)
        with database.begin() as connection:
            found = [tuple(row) for table in (ROUNDS, BIDS, TRANSACTIONS) for row in connection.execute(table.select())]
        database.close()
        return found

    def everything() -> tuple[object, ...]:
        # The bytes of a database change when it is opened.
        paths = [path for path in sorted(node.home.rglob("*")) if path.is_file() and "state.db" not in path.name]
        status = node("status", "--json").document
        money = status["available"], status["locked"], status["held"]
        return {path: path.read_bytes() for path in paths}, rows(), money

    node("task check", node("status", open_round, "--json").document["task"])  # fetches the task: that is no change
    before = everything()
    yield
    assert everything() == before

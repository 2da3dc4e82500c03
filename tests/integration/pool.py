"""A node with a pool of transactions that wait, and chains that fork."""

from typing import Any

import rlp
from eth_account import Account
from eth_utils.crypto import keccak

from market_node.devnet import Devnet
from tests.integration.stage import Ask, Meddler, result


def refused(message: str) -> dict[str, Any]:
    """A JSON-RPC error."""
    return {"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": message}}


class Pool(Meddler):
    """Keeps what is sent to it until `mine`, by the rules of a node: one per nonce, and a dearer one replaces it.

    Args:
        margin: by how many hundredths the dearer one must be dearer.
    """

    def __init__(self, devnet: Devnet, margin: int = 10) -> None:
        super().__init__(devnet, eth_sendRawTransaction=self._take, eth_getTransactionCount=self._count)
        self.devnet = devnet
        self.margin = margin
        self.waiting: dict[tuple[str, int], bytes] = {}
        """(Sender, nonce) → as it was sent."""
        self.taken: list[bytes] = []
        """Everything that came and was not refused."""

    def mine(self) -> None:
        """Everything that waits is mined."""
        for key in sorted(self.waiting):
            self.devnet.send(self.waiting.pop(key))

    def _take(self, params: Any, ask: Ask) -> Any:
        raw = bytes.fromhex(params[0][2:])
        sender, (nonce, price) = Account.recover_transaction(raw), priced(raw)
        if nonce < int(ask("eth_getTransactionCount", [sender, "latest"])["result"], 16):
            return refused(f"nonce too low: next nonce is another one, tx nonce {nonce}")
        old = self.waiting.get((sender, nonce))
        if old == raw:
            return refused("already known")
        if old is not None and price * 100 < priced(old)[1] * (100 + self.margin):
            return refused("replacement transaction underpriced")
        self.waiting[sender, nonce] = raw
        self.taken.append(raw)
        return result("0x" + keccak(raw).hex())

    def _count(self, params: Any, ask: Ask) -> Any:
        address, tag = params
        count = int(ask("eth_getTransactionCount", [address, "latest"])["result"], 16)
        while tag == "pending" and (address, count) in self.waiting:
            count += 1
        return result(hex(count))


def priced(raw: bytes) -> tuple[int, int]:
    """Nonce and the most that gas may cost, wei."""
    nonce, price = rlp.decode(raw[1:])[1:4:2] if raw[0] == 2 else rlp.decode(raw)[:2]
    return int.from_bytes(nonce, "big"), int.from_bytes(price, "big")


def fork(devnet: Devnet, blocks: int) -> Devnet:
    """Another chain that begins with the first so many blocks of this one, the genesis not counted."""
    other = Devnet()
    for mined in devnet.mined[1 : blocks + 1]:
        other.shift(mined.block.header.timestamp - other.now())
        if mined.transaction is None:
            other.mine()
        else:
            other.send(mined.transaction.encode())
    assert other.mined[-1].block.hash == devnet.mined[blocks].block.hash
    return other


def rewind(devnet: Devnet, blocks: int) -> None:
    """Undoes the last so many blocks, the clock goes on: what this chain mines next is another branch."""
    for mined in devnet.mined[len(devnet.mined) - blocks :]:
        devnet.numbers.pop(bytes(mined.block.hash), None)
        if mined.transaction is not None:
            devnet.numbers.pop(bytes(mined.transaction.hash), None)
    now = devnet.now()
    del devnet.mined[len(devnet.mined) - blocks :]
    devnet._chain.header = devnet._chain.create_header_from_parent(devnet.mined[-1].block.header)
    devnet.shift(now - devnet.now())

"""What gas is bid for, from what blocks of late have cost."""

from contextlib import suppress
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from web3.exceptions import Web3RPCError
from web3.types import RPCEndpoint

from .errors import ChainError

if TYPE_CHECKING:
    from .endpoint import Endpoint

BLOCKS = 10
"""How many blocks the fee history covers."""

TIP = 10**9
"""Priority fee where neither blocks nor the node advise one, wei per gas."""

GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Fees:
    """Wei per gas."""

    max_fee: int
    tip: int | None
    """None on a chain without EIP-1559: `max_fee` is its gas price."""

    def fields(self) -> dict[str, int]:
        """As a transaction has them."""
        if self.tip is None:
            return {"gasPrice": self.max_fee}
        return {"type": 2, "maxFeePerGas": self.max_fee, "maxPriorityFeePerGas": self.tip}

    def raised(self, now: "Fees", cap: int) -> "Fees | None":
        """Those that replace a transaction of these: an eighth more, which nodes ask for, or what is due now.

        None where the cap does not allow it.
        """
        most = max(self.max_fee + self.max_fee // 8 + 1, now.max_fee)
        if most > cap:
            return None
        if self.tip is None:
            return Fees(most, None)
        return Fees(most, min(most, max(self.tip + self.tip // 8 + 1, now.tip or 0)))


def fees(endpoint: "Endpoint", cap: int) -> Fees:
    """What is enough while the base fee doubles, and never above the cap.

    Raises:
        ChainError: the chain asks for more than the cap.
    """
    with endpoint.reached():
        latest = endpoint.web3.eth.get_block("latest").get("baseFeePerGas")
        if latest is None:
            price = int(endpoint.web3.eth.gas_price)
            return Fees(_capped(endpoint, price, price + price // 4, cap), None)
        base, tips = int(latest), list[int]()
        with suppress(Web3RPCError):  # not every node keeps a history
            history = endpoint.web3.eth.fee_history(BLOCKS, "latest", [50.0])
            base = int(history["baseFeePerGas"][-1])  # the next block's
            if paid := [int(each[0]) for each in history.get("reward") or []]:
                tips.append(int(median(paid)))
        with suppress(Web3RPCError):  # not every node advises
            tips.append(int(endpoint.web3.manager.request_blocking(RPCEndpoint("eth_maxPriorityFeePerGas"), []), 16))
        # The smaller of what was paid and what the node advises: a transaction that waits too long is replaced.
        tip = min(tips, default=TIP)
        return Fees(_capped(endpoint, base + tip, 2 * base + tip, cap), tip)


def _capped(endpoint: "Endpoint", least: int, enough: int, cap: int) -> int:
    if least > cap:
        raise ChainError(
            f"{endpoint.name} asks {least / GWEI:,.2f} gwei per gas, above the cap of {cap / GWEI:,.2f}: wait, "
            "or raise 'max_fee'"
        )
    return min(enough, cap)

"""A chain inside the process, for tests, demos and one machine: eth-tester's py-evm behind a JSON-RPC of our own.

eth-tester's own front end costs O(chain) per look-up and answers a revert with a text; here look-ups are indexed and a
revert carries its bytes, as on every real node (`jsonrpc`). What the devnet promises:

* Prague rules, one transaction per block, mined when it arrives; a transaction may use at most `GAS_CAP` gas (EIP-7825)
  and must offer at least its floor price (EIP-7623). py-evm checks neither.
* `now()` is the timestamp that a transaction sent now would get, and calls see it too, on `latest` as on `pending`.
* Blocks may share a timestamp. (eth-tester adds a second per block, so that a busy chain runs ahead of the clock.)
* The same transactions at the same times give the same hashes and seeds; prevrandao counts blocks.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from threading import RLock
from typing import Any

from eth.abc import (
    BlockAPI,
    BlockHeaderAPI,
    ComputationAPI,
    MiningChainAPI,
    ReceiptAPI,
    SignedTransactionAPI,
    StateAPI,
)
from eth.exceptions import Revert
from eth.vm.forks.prague.constants import STANDARD_TOKEN_COST, TOTAL_COST_FLOOR_PER_TOKEN
from eth.vm.spoof import SpoofTransaction
from eth_account import Account
from eth_account.hdaccount import seed_from_mnemonic
from eth_account.hdaccount.deterministic import HDPath
from eth_account.signers.local import LocalAccount
from eth_tester import PyEVMBackend
from eth_utils.exceptions import ValidationError
from rlp.exceptions import RLPException  # type: ignore[import-untyped]
from web3.providers.base import JSONBaseProvider

# Importing py-evm allows 100,000 frames, and with them a nested JSON text overflows the C stack: a crash, no error.
sys.setrecursionlimit(5_000)

CHAIN_ID = 31337
"""What development chains call themselves."""

MNEMONIC = "test test test test test test test test test test test junk"
"""Hardhat's and Anvil's, so that the same accounts have ether there. Everybody knows these keys."""

GAS_CAP = 1 << 24
"""Gas that one transaction may use."""

GAS_LIMIT = 60_000_000
"""Gas of a block."""

START = 1_750_000_000
"""When a devnet without a clock begins, seconds since the epoch."""

ETHER = 10**18


class RpcError(Exception):
    """What a JSON-RPC answer says instead of a result. `data` is a revert's bytes."""

    def __init__(self, message: str, code: int = -32000, data: bytes | None = None) -> None:
        super().__init__(message)
        self.message, self.code, self.data = message, code, data


@dataclass(frozen=True, slots=True)
class Mined:
    """A block with its transaction, None where it is empty."""

    block: BlockAPI
    transaction: SignedTransactionAPI | None = None
    receipt: ReceiptAPI | None = None
    created: bytes | None = None
    """Address of the contract that the transaction created."""


@cache
def _accounts(count: int) -> tuple[LocalAccount, ...]:
    seed = seed_from_mnemonic(MNEMONIC, "")
    return tuple(Account.from_key(HDPath(f"m/44'/60'/0'/0/{i}").derive(seed)) for i in range(count))


class Devnet:
    """An embedded chain. Threads take `lock` around it.

    Args:
        accounts: how many accounts begin with 10,000 ether.
        clock: seconds since the epoch, such as `time.time`; without one, time stands still between warps.
    """

    def __init__(
        self, accounts: int = 20, *, clock: Callable[[], float] | None = None, chain_id: int = CHAIN_ID
    ) -> None:
        self.accounts = _accounts(accounts)
        self.chain_id = chain_id
        self._clock = clock or (lambda: START)
        self._shift = 0
        self.lock = RLock()
        """Held by `warp` and, request by request, by `jsonrpc.answer`."""
        backend = PyEVMBackend(
            PyEVMBackend.generate_genesis_params({"timestamp": int(self._clock()), "gas_limit": GAS_LIMIT}),
            {
                bytes.fromhex(account.address[2:]): {
                    "balance": 10_000 * ETHER,
                    "nonce": 0,
                    "code": b"",
                    "storage": {},
                }
                for account in self.accounts
            },
        )
        self._chain: MiningChainAPI = backend.chain
        self._chain.chain_id = chain_id
        genesis = self._chain.get_canonical_block_by_number(0)
        self.mined = [Mined(genesis)]
        """By block number."""
        self.numbers = {bytes(genesis.hash): 0}
        """Block number by block hash, and by transaction hash."""

    @property
    def provider(self) -> JSONBaseProvider:
        """For `Web3(…)` and `Chain(…)` in this process."""
        from .jsonrpc import DevnetProvider  # which needs this module

        return DevnetProvider(self)

    # --- the clock ---

    def now(self) -> int:
        """Seconds since the epoch: the timestamp of a transaction sent now."""
        return max(self.mined[-1].block.header.timestamp, int(self._clock()) + self._shift)

    def shift(self, seconds: int) -> None:
        """Sets the clock forward; the next block shows it."""
        if seconds < 0:
            raise RpcError("time does not run backwards")
        self._shift += seconds

    def warp(self, seconds: int) -> int:
        """Sets the clock forward and mines an empty block. Returns the time then."""
        with self.lock:
            self.shift(seconds)
            self.mine()
            return self.now()

    # --- blocks ---

    def pending(self) -> BlockHeaderAPI:
        """The header that a transaction sent now would be mined under."""
        number = len(self.mined)
        return self._chain.header.copy(timestamp=self.now(), mix_hash=number.to_bytes(32, "big"))

    def header(self, number: int | None) -> BlockHeaderAPI:
        """The context in which a call at block `number` runs; None: now."""
        return self.pending() if number is None else self.mined[number].block.header

    def state(self, number: int | None = None) -> StateAPI:
        """Balances, nonces, code and storage after block `number`; None: now."""
        return self._chain.get_vm(self.header(number)).state

    def mine(self) -> None:
        """Mines an empty block."""
        self._chain.header = self.pending()
        self._seal(None)

    def send(self, raw: bytes) -> bytes:
        """Mines a signed transaction in a block of its own. Returns its hash.

        Raises:
            RpcError: it cannot be mined at all; the chain is as before. (A transaction that reverts is mined.)
        """
        header = self.pending()
        vm = self._chain.get_vm(header)
        try:
            transaction = vm.get_transaction_builder().decode(raw)
            if transaction.chain_id != self.chain_id:
                raise RpcError(f"signed for chain {transaction.chain_id}, not {self.chain_id}")
            _check_gas(transaction)
            _check_nonce(transaction.nonce, vm.state.get_nonce(transaction.sender))
            self._chain.header = header
            _, receipt, computation = self._chain.apply_transaction(transaction)
        except (ValidationError, RLPException, ValueError, TypeError) as error:
            raise RpcError(f"invalid transaction: {error}") from error
        created = None if transaction.to else computation.msg.storage_address
        self._seal(transaction, receipt, created)
        self.numbers[bytes(transaction.hash)] = len(self.mined) - 1
        return bytes(transaction.hash)

    def _seal(
        self,
        transaction: SignedTransactionAPI | None,
        receipt: ReceiptAPI | None = None,
        created: bytes | None = None,
    ) -> None:
        # Not `mine_block`: its validation wants every timestamp later than the one before.
        header = self._chain.header
        vm = self._chain.get_vm(header)
        block = vm.finalize_block(vm.pack_block(vm.get_block(), mix_hash=header.mix_hash, blob_gas_used=0)).block
        self._chain.chaindb.persist_block(block)
        self._chain.header = self._chain.create_header_from_parent(block.header)
        self.mined.append(Mined(block, transaction, receipt, created))
        self.numbers[bytes(block.hash)] = block.number

    # --- calls ---

    def call(
        self, sender: bytes, to: bytes, calldata: bytes, *, value: int = 0, gas: int = GAS_CAP, at: int | None = None
    ) -> tuple[bytes, int]:
        """Runs a call that leaves nothing behind, after block `at` or now.

        Returns:
            What the call returns, and the gas limit that it needed.

        Raises:
            RpcError: it fails; a revert's bytes are in `data`.
        """
        gas = min(gas, GAS_CAP)
        header = self.header(at)
        price = header.base_fee_per_gas or 0
        vm: Any = self._chain.get_vm(header)
        # Nobody pays for a call, so nobody needs the means. This state is thrown away.
        vm.state.set_balance(sender, vm.state.get_balance(sender) + gas * price + value)
        unsigned = vm.get_transaction_builder().new_unsigned_dynamic_fee_transaction(
            chain_id=self.chain_id,
            nonce=vm.state.get_nonce(sender),
            max_priority_fee_per_gas=0,
            max_fee_per_gas=price,
            gas=gas,
            to=to,
            value=value,
            data=calldata,
            access_list=(),
        )
        try:
            computation = vm.state.apply_transaction(SpoofTransaction(unsigned, from_=sender))
        except ValidationError as error:
            raise RpcError(f"invalid call: {error}") from error
        if computation.is_error:
            raise _failure(computation)
        return computation.output, max(gas - computation.get_gas_remaining(), least_gas(calldata))

    def estimate(self, sender: bytes, to: bytes, calldata: bytes, **options: Any) -> int:
        """A gas limit under which the call succeeds.

        One run and a sixteenth more, since a contract's own calls may use 63/64 of what is left. (py-evm's estimator
        runs a call up to twenty times.)
        """
        _, needed = self.call(sender, to, calldata, **options)
        return min(GAS_CAP, needed + needed // 16)


def _failure(computation: ComputationAPI) -> RpcError:
    """A failed call as nodes report it: code 3 and the revert's bytes, or the EVM's own complaint."""
    if isinstance(computation.error, Revert):
        return RpcError("execution reverted", 3, bytes(computation.output))
    return RpcError(f"{type(computation.error).__name__}: {computation.error}")


def least_gas(calldata: bytes) -> int:
    """The floor price of a transaction, gas (EIP-7623)."""
    zeros = calldata.count(0)
    return 21_000 + TOTAL_COST_FLOOR_PER_TOKEN * (zeros + STANDARD_TOKEN_COST * (len(calldata) - zeros))


def _check_gas(transaction: SignedTransactionAPI) -> None:
    if transaction.gas > GAS_CAP:
        raise RpcError(f"transaction gas limit too high (cap: {GAS_CAP}, tx: {transaction.gas})")
    if transaction.gas < least_gas(transaction.data):
        raise RpcError(f"gas below the calldata's floor price: {transaction.gas} < {least_gas(transaction.data)}")


def _check_nonce(nonce: int, following: int) -> None:
    if nonce != following:
        raise RpcError(f"nonce too {'low' if nonce < following else 'high'}: {nonce}, next is {following}")

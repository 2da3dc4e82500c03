"""What a devnet mined, as the Ethereum JSON-RPC specification writes it."""

from typing import Any

from eth.abc import BlockHeaderAPI
from eth_utils.address import to_checksum_address

from .devnet import Mined

Json = dict[str, Any]


def as_hex(value: Any) -> Any:
    """A result with its numbers and bytes as 0x…."""
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {key: as_hex(item) for key, item in value.items()}
    return [as_hex(item) for item in value]


def _address(address: bytes | None) -> str | None:
    return to_checksum_address(address) if address else None


def header_json(header: BlockHeaderAPI) -> Json:
    """A header, its values still numbers and bytes, as in all that follows."""
    return {
        "number": header.block_number,
        "hash": header.hash,
        "parentHash": header.parent_hash,
        "nonce": header.nonce,
        "sha3Uncles": header.uncles_hash,
        "logsBloom": header.bloom.to_bytes(256, "big"),
        "transactionsRoot": header.transaction_root,
        "receiptsRoot": header.receipt_root,
        "stateRoot": header.state_root,
        "miner": _address(header.coinbase),
        "difficulty": header.difficulty,
        "mixHash": header.mix_hash,
        "extraData": header.extra_data,
        "gasLimit": header.gas_limit,
        "gasUsed": header.gas_used,
        "timestamp": header.timestamp,
        "baseFeePerGas": header.base_fee_per_gas,
        "size": 0,
        "uncles": [],
        "withdrawals": [],
    }


def block_json(mined: Mined, full: bool) -> Json:
    """A block with its transaction, in full or as hash."""
    transactions: list[Any] = []
    if mined.transaction is not None:
        transactions = [transaction_json(mined) if full else mined.transaction.hash]
    return header_json(mined.block.header) | {"transactions": transactions}


def _price(mined: Mined) -> int:
    assert mined.transaction is not None
    base = mined.block.header.base_fee_per_gas or 0
    return min(mined.transaction.max_fee_per_gas, mined.transaction.max_priority_fee_per_gas + base)


def _place(mined: Mined) -> Json:
    """Where a transaction and its logs stand."""
    assert mined.transaction is not None
    return {
        "transactionHash": mined.transaction.hash,
        "transactionIndex": 0,
        "blockHash": mined.block.hash,
        "blockNumber": mined.block.number,
    }


def transaction_json(mined: Mined) -> Json:
    """The transaction of a block that has one."""
    transaction: Any = mined.transaction
    place = _place(mined)
    kind = getattr(transaction, "type_id", None) or 0
    dynamic = {
        "maxFeePerGas": transaction.max_fee_per_gas,
        "maxPriorityFeePerGas": transaction.max_priority_fee_per_gas,
    }
    return {
        "hash": place.pop("transactionHash"),
        **place,
        **(dynamic if kind >= 2 else {}),
        "type": kind,
        "from": _address(transaction.sender),
        "to": _address(transaction.to),
        "nonce": transaction.nonce,
        "value": transaction.value,
        "gas": transaction.gas,
        "gasPrice": _price(mined),
        "input": transaction.data,
        "chainId": transaction.chain_id,
        "r": transaction.r,
        "s": transaction.s,
        "v": transaction.y_parity if kind else transaction.v,
    }


def logs_json(mined: Mined) -> list[Json]:
    """What the contracts said in a block."""
    if mined.receipt is None:
        return []
    return [
        {
            "address": _address(log.address),
            "topics": [topic.to_bytes(32, "big") for topic in log.topics],
            "data": log.data,
            "logIndex": index,
            "removed": False,
            **_place(mined),
        }
        for index, log in enumerate(mined.receipt.logs)
    ]


def receipt_json(mined: Mined) -> Json:
    """The receipt of the transaction of a block that has one."""
    assert mined.transaction is not None
    assert mined.receipt is not None
    return {
        **_place(mined),
        "type": getattr(mined.transaction, "type_id", None) or 0,
        "status": int.from_bytes(mined.receipt.state_root, "big"),
        "from": _address(mined.transaction.sender),
        "to": _address(mined.transaction.to),
        "contractAddress": _address(mined.created),
        "gasUsed": mined.receipt.gas_used,
        "cumulativeGasUsed": mined.receipt.gas_used,
        "effectiveGasPrice": _price(mined),
        "logs": logs_json(mined),
        "logsBloom": mined.receipt.bloom.to_bytes(256, "big"),
    }

"""Ether on development chains: from the first account of the mnemonic that devnet, Anvil and Hardhat share."""

import random
import time
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount
from web3 import Web3

from ..endpoint import Endpoint
from ..errors import BadInput, ChainError, Unreachable, WrongChain

CHAIN_ID = 31337
"""What development chains call themselves. The key below is worth nothing on any other."""

KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""Of the first account of "test test test test test test test test test test test junk". Everybody knows it."""

TRIES = 20
"""Others may use the same account at the same moment, and take the nonce."""


def give(url: str, address: str, ether: int = 100) -> int:
    """Sends ether to an account of a development chain. Returns what it has then, wei.

    Raises:
        BadInput: not an address.
        WrongChain: not a development chain.
        ChainError: the well-known account has no ether there.
    """
    if not Web3.is_address(address):
        raise BadInput(f"{address!r} is not an address")
    endpoint, giver = Endpoint(url), Account.from_key(KEY)
    if (chain_id := endpoint.chain_id()) != CHAIN_ID:
        raise WrongChain(f"{endpoint.name} serves chain {chain_id}; only development chains, {CHAIN_ID}, give ether")
    for attempt in range(TRIES):
        try:
            _send(endpoint, giver, Web3.to_checksum_address(address), ether * 10**18)
            break
        except Unreachable:
            raise
        except ChainError:
            if attempt == TRIES - 1:
                raise
            time.sleep(random.uniform(0, 0.1 * attempt))
    return endpoint.ether(address)


def _send(endpoint: Endpoint, giver: LocalAccount, address: str, wei: int) -> None:
    with endpoint.reached():
        eth = endpoint.web3.eth
        transfer: dict[str, Any] = {
            "chainId": CHAIN_ID,
            "nonce": eth.get_transaction_count(giver.address, "pending"),
            "to": address,
            "value": wei,
            "gas": 21_000,
            "gasPrice": 2 * eth.gas_price,
        }
        sent = eth.send_raw_transaction(giver.sign_transaction(transfer).raw_transaction)
        eth.wait_for_transaction_receipt(sent, timeout=endpoint.timeout, poll_latency=0.02)

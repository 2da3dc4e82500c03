"""Deploys a market from the packaged artifacts."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from web3 import Web3
from web3.providers import BaseProvider

from .contracts import Contract, checksum, creation
from .endpoint import Endpoint
from .errors import BadInput, ChainError
from .files import replacing
from .signer import Signer

MIN_PHASE = 60
"""The least length of a phase where nobody says otherwise, seconds: five blocks of a public chain."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a market stands. The market's address is all that a node needs; it tells the others."""

    chain_id: int
    market: str
    escrow: str
    reputation: str
    token: str
    block: int
    """In which the market was created: logs are read from here."""


def deploy(
    provider: str | BaseProvider | Endpoint,
    signer: Signer,
    token: str | None = None,
    min_phase: int = MIN_PHASE,
) -> Deployment:
    """Deploys a market, and a `TestToken` where no token is given.

    Raises:
        BadInput: no contract stands at `token`.
        Reverted, NotMined, Unreachable, ChainError: see `Endpoint.send`.
    """
    endpoint = provider if isinstance(provider, Endpoint) else Endpoint(provider)
    if token is None:
        token, _ = _create(endpoint, signer, "TestToken")
    elif not Web3.is_address(token) or not endpoint.has_code(token):
        raise BadInput(f"no token stands at {token}")
    market, block = _create(endpoint, signer, "Market", checksum(token), min_phase)
    reads = Contract("Market", market)
    return Deployment(
        endpoint.chain_id(),
        market,
        endpoint.read(reads("escrow")),
        endpoint.read(reads("reputation")),
        checksum(token),
        block,
    )


def mint(provider: str | BaseProvider | Endpoint, signer: Signer, token: str, account: str, amount: int) -> None:
    """Gives an account play money. Only a `TestToken` does that."""
    endpoint = provider if isinstance(provider, Endpoint) else Endpoint(provider)
    endpoint.send(Contract("TestToken", token)("mint", account, amount), signer)


def write_addresses(deployment: Deployment, folder: Path) -> Path:
    """Writes `<chain id>.json` into a folder, such as `deploy/addresses`. Returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{deployment.chain_id}.json"
    with replacing(path) as file:
        file.write((json.dumps(asdict(deployment), indent=2) + "\n").encode())
    return path


def read_addresses(path: Path) -> Deployment:
    """What `write_addresses` wrote.

    Raises:
        BadInput: it is not that.
    """
    try:
        return Deployment(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise BadInput(f"{path} does not say where a market stands: {error}") from error


def _create(endpoint: Endpoint, signer: Signer, name: str, *arguments: object) -> tuple[str, int]:
    """Address and block of a new contract."""
    mined = endpoint.send(creation(name, *arguments), signer)
    if mined.created is None:
        raise ChainError(f"transaction {mined.transaction} created no contract")
    return checksum(mined.created), mined.block

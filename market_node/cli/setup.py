"""`init` and `deploy`: a home, and a market to trade in."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..amounts import parse_duration
from ..errors import BadInput
from .app import command
from .network import Rpc
from .session import Session

PANEL = "Set up"


def add_to(app: typer.Typer) -> None:
    """Adds this file's commands."""
    command(app, "init", PANEL)(init)
    command(app, "deploy", PANEL)(deploy)


def init(
    session: Session,
    *,
    rpc: Rpc = None,
    market: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The market, where there is one; `deploy` fills it in.")
    ] = None,
    from_block: Annotated[int, typer.Option(metavar="N", min=0, help="The block in which the market was created.")] = 0,
    store: Annotated[
        str,
        typer.Option(
            metavar="PLACE",
            help="Where sealed files go: a folder of blocks, shared with the others, or a Kubo node's http address.",
        ),
    ] = "blocks",
    signer: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE", help="A signer that keeps the account's key, such as clef: its http address, or unix:PATH."
        ),
    ] = None,
    account: Annotated[str | None, typer.Option(metavar="ADDRESS", help="With --signer, whose key it keeps.")] = None,
    light_kdf: Annotated[
        bool,
        typer.Option("--light-kdf", metavar="", help="Make the password quick to try: for tests and devnets alone."),
    ] = False,
) -> None:
    """Make a home: keystore, encryption key, configuration.

    The keystore (version 3, as wallets read it) and the encryption key are sealed under a password, which is asked for
    or read from --password-file. On a development chain the account gets ether from the faucet.
    """
    from ..config import NAME, Config, write_config
    from ..endpoint import Endpoint
    from ..keys import SCRYPT_COST, account_address, create_account, create_encryption_key, load_account
    from . import faucet

    home = session.home
    if (home / NAME).exists():
        raise BadInput(f"{home / NAME} is there already: this home is made, and nothing in it was changed")
    url = session.rpc(rpc)
    endpoint = Endpoint(url)
    chain_id = endpoint.chain_id()
    config = Config(home, url, chain_id, market, from_block, _store(store), signer=signer, account=account)
    if market is not None and not endpoint.has_code(market):
        raise BadInput(f"no market stands at {market} on chain {chain_id}")
    # Whatever an interrupted `init` has left is used: keys are never overwritten.
    address, cost = config.account or account_address(config.keys), 1 << 12 if light_kdf else SCRYPT_COST
    if address is None or not list(config.keys.glob("encryption-*.json")):
        password = session.password(twice=address is None or config.account is not None)
        with session.screen.working("making keys"):
            if address is None:
                address = create_account(config.keys, password, cost=cost).address
            elif config.account is None:
                load_account(config.keys, password)  # that the password is the one of before
            create_encryption_key(config.keys, password, cost=cost)
    path = write_config(config)
    ether = faucet.give(url, address) if chain_id == faucet.CHAIN_ID else endpoint.ether(address)
    session.screen.facts(
        "",
        {
            "account": address,
            "chain": f"{chain_id} at {url}",
            "market": market or "none yet: `market-node deploy`, or set it in the configuration",
            "store": place if "://" in (place := config.stores[0]) else str(home / place),
            "ether": f"{ether / 10**18:.6g}" + (" from the devnet's faucet" if chain_id == faucet.CHAIN_ID else ""),
            "configuration": str(path),
            "keys": f"{config.keys}: back this folder up; without it and its password the account is lost",
        },
    )
    session.screen.result(
        {
            "account": address,
            "chain_id": chain_id,
            "rpc": url,
            "market": market,
            "home": str(home),
            "config": str(path),
            "wei": str(ether),
        }
    )


def deploy(
    session: Session,
    *,
    token: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="The ERC-20 token to trade in; by default a new test token.")
    ] = None,
    min_phase: Annotated[str, typer.Option(metavar="TIME", help="The least length of a round's phases.")] = "1m",
) -> None:
    """Deploy a market and write it into the configuration."""
    from ..config import write_config
    from ..deploy import deploy as deploy_market
    from ..endpoint import Endpoint
    from ..errors import WrongChain

    config, shortest = session.config, parse_duration(min_phase, "--min-phase")
    endpoint = Endpoint(
        config.rpcs,
        timeout=config.timeout,
        confirmations=config.confirmations,
        max_fee=config.most_per_gas,
        chain_id=config.chain_id,
    )
    if (chain_id := endpoint.chain_id()) != config.chain_id:
        raise WrongChain(f"{endpoint.name} serves chain {chain_id}, not {config.chain_id}")
    signer = session.signer
    with session.screen.working("waiting for the contracts to be mined"):
        deployed = deploy_market(endpoint, signer, token, shortest)
    write_config(replace(config, market=deployed.market, from_block=deployed.block))
    facts = {
        "market": deployed.market,
        "escrow": deployed.escrow,
        "reputation": deployed.reputation,
        "token": deployed.token,
        "chain_id": deployed.chain_id,
        "block": deployed.block,
    }
    session.screen.facts("", facts)
    session.screen.say("")
    session.screen.say(f"others join with: market-node init --market {deployed.market} --from-block {deployed.block}")
    session.screen.result(facts)


def _store(given: str) -> str:
    """A folder named on the command line is the one beside the shell, not one in the home."""
    return given if given == "blocks" or "://" in given else str(Path(given).expanduser().absolute())

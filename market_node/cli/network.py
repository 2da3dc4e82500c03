"""`devnet`: a chain on this machine, its clock and its faucet."""

import signal
import time
from typing import Annotated

import typer

from ..amounts import clock, duration, parse_duration
from ..ending import Ending
from ..errors import NodeError
from .app import command, default, group
from .session import Session

devnet = group(
    "devnet",
    """Run a chain on this machine, or set its clock forward.

JSON-RPC over the embedded EVM. Everything is gone when it ends.

\b
Any other node works too, by its URL: Anvil, Hardhat, geth.

\b
  $ market-node devnet                      serves on http://127.0.0.1:8545
  $ market-node devnet warp 10m             sets its clock forward
  $ market-node devnet faucet ADDRESS         gives an account ether
""",
)

Rpc = Annotated[
    str | None,
    typer.Option("--rpc", metavar="URL", help="The node's address; by default the configured one, or devnet's own."),
]


@default(devnet)
def serve(
    session: Session,
    *,
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8545,
    still: Annotated[bool, typer.Option("--still", metavar="", help="Let time pass by `warp` alone.")] = False,
) -> None:
    """Run a chain on this machine until it is interrupted."""
    with session.screen.working("starting"):
        try:
            from ..devnet import Devnet
            from ..jsonrpc import serve as listen
        except ModuleNotFoundError as error:
            raise NodeError(f"{error.name} is not installed: pip install 'market-node[devnet]'") from None
        chain = Devnet() if still else Devnet(clock=time.time)
        server = listen(chain, host, port)
    ended = Ending()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        session.screen.say(f"chain {chain.chain_id} on {server.url}; Ctrl-C ends it and forgets everything")
        session.screen.result({"rpc": server.url, "chain_id": chain.chain_id})
        ended.wait()


@command(devnet, "warp")
def warp(
    session: Session,
    length: Annotated[str, typer.Argument(metavar="SECONDS", help="How far: 90, 10m, 2h, 1d.")],
    rpc: Rpc = None,
) -> None:
    """Set a devnet's clock forward, so that deadlines pass."""
    from web3.types import RPCEndpoint

    from ..endpoint import Endpoint

    seconds, endpoint = parse_duration(length, "SECONDS"), Endpoint(session.rpc(rpc))
    with endpoint.reached():
        for method, parameters in (("evm_increaseTime", [seconds]), ("evm_mine", [])):
            endpoint.web3.manager.request_blocking(RPCEndpoint(method), parameters)
    now = endpoint.now()
    session.screen.say(f"{duration(seconds)} later: it is {clock(now)} on the chain")
    session.screen.result({"now": now, "block": endpoint.block()})


@command(devnet, "faucet")
def faucet(
    session: Session,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Who gets the ether.")],
    ether: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How much.")] = 100,
    rpc: Rpc = None,
) -> None:
    """Give an account ether, on any development chain."""
    from .faucet import give

    with session.screen.working("waiting for the block"):
        balance = give(session.rpc(rpc), address, ether)
    session.screen.say(f"{address} has {balance / 10**18:.6g} ether")
    session.screen.result({"address": address, "wei": str(balance)})

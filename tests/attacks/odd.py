"""The hostile contracts of contracts/test/OddTokens.sol, compiled when they are needed: no package carries them."""

from functools import cache

import solcx
from eth_abi import encode
from eth_utils import function_signature_to_4byte_selector as selector

from market_node import compile as build
from market_node.chain import Chain
from market_node.contracts import Call, checksum
from market_node.devnet import Devnet
from market_node.endpoint import Endpoint

SOURCE = "project/contracts/test/OddTokens.sol"


@cache
def _bytecode() -> dict[str, bytes]:
    standard = build.standard_input(names=["TestToken"])
    standard["sources"][SOURCE] = {"content": (build.ROOT / SOURCE.removeprefix("project/")).read_text()}
    # Quick to compile, which is all that matters here.
    standard["settings"] |= {
        "viaIR": False,
        "optimizer": {"enabled": False},
        "outputSelection": {SOURCE: {"*": ["evm.bytecode.object"]}},
    }
    compiled = solcx.compile_standard(standard, solc_binary=str(build.ROOT / "deploy" / "solc-shim"))
    contracts = compiled["contracts"][SOURCE]
    return {name: bytes.fromhex(each["evm"]["bytecode"]["object"]) for name, each in contracts.items()}


def create(devnet: Devnet, name: str) -> str:
    """The address of a new FeeToken, SurchargeToken, LyingToken, CallbackToken or Thief."""
    mined = Endpoint(devnet.provider).send(Call(name, None, _bytecode()[name]), devnet.accounts[0])
    assert mined.created
    return checksum(mined.created)


class Thief:
    """An account that calls back while tokens move."""

    def __init__(self, devnet: Devnet, by: Chain) -> None:
        self.address = create(devnet, "Thief")
        self.by = by

    def arm(self, call: Call) -> None:
        """What it will call at the next chance."""
        self._send("arm", call)

    def act(self, call: Call) -> None:
        """Calls at once."""
        self._send("act", call)

    def answer(self) -> bytes | None:
        """What its call back was answered; None where there was no chance for one."""
        if not self._ask("called", "bool"):
            return None
        return self._ask("answer", "bytes")

    def _send(self, function: str, call: Call) -> None:
        data = selector(f"{function}(address,bytes)") + encode(["address", "bytes"], [call.to, call.calldata])
        self.by.endpoint.send(Call(f"Thief.{function}", self.address, data), self.by.signer)

    def _ask(self, function: str, kind: str) -> object:
        call = Call(f"Thief.{function}", self.address, selector(f"{function}()"), (kind,))
        return self.by.endpoint.read(call)

"""The real contracts in revm, without blocks, signatures or nodes: thousands of transactions a second."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from random import Random
from typing import Any

import pyrevm

from market_node.chain import proof_arguments, refutation_arguments
from market_node.codec import encode_excluded, encode_rows, seal_bid
from market_node.contracts import Call, Contract, checksum, creation, returned, reverted
from market_node.errors import Reverted
from market_node.judge import Proof, Refutation
from market_node.phases import Phase
from market_node.records import Round, Settlement, Terms
from market_node.settlement import reveals_hash

PHASE = 3_600
FORTUNE = 1 << 85
"""What each account has available, base units: of a thousand, less than the 2**96 that an escrow holds in all."""
CHAIN_ID = 1
OPERATOR = checksum(f"0x{0xA66:040x}")
AUDITOR = checksum(f"0x{0xA0D:040x}")
MALLORY = checksum(f"0x{0xBAD:040x}")
_GAS = 1 << 30


def account(index: int) -> str:
    """The account that plays participant `index` of every round."""
    return checksum(f"0x{0xACC0000 + index:040x}")


class Evm:
    """One market with funded accounts.

    Args:
        participants: how many accounts there are to play them, beside OPERATOR, AUDITOR and MALLORY.
    """

    def __init__(self, participants: int) -> None:
        self._evm = pyrevm.EVM(gas_limit=1 << 40, spec_id="PRAGUE")
        self._number, self.now = 1_000, 1_800_000_000
        self._tick()
        token = self._create(creation("TestToken"))
        self.market = self._create(creation("Market", token, 60))
        self._market = Contract("Market", self.market)
        self._escrow = Contract("Escrow", self.read(self._market("escrow")))
        self._reputation = Contract("Reputation", self.read(self._market("reputation")))
        coin = Contract("TestToken", token)
        for who in (OPERATOR, AUDITOR, MALLORY, *map(account, range(participants))):
            self.send(who, coin("mint", who, FORTUNE))
            self.send(who, coin("approve", self._escrow.address, FORTUNE))
            self.send(who, self._escrow("fund", FORTUNE))
            self.send(who, self._market("setEncryptionKey", b"\1" * 32))

    # --- the chain ---

    def send(self, sender: str, call: Call) -> int:
        """Gas used. Raises Reverted."""
        self._message(sender, call)
        return int(self._evm.result.gas_used)

    def read(self, call: Call) -> Any:
        return returned(call, self._message(OPERATOR, call))

    def warp(self, seconds: int) -> None:
        self.now += seconds
        self._tick()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What is done inside never happened."""
        state, now = self._evm.snapshot(), self.now
        try:
            yield
        finally:
            self._evm.revert(state)
            self.now = now
            self._tick()

    def _tick(self) -> None:
        self._number += 1
        self._evm.set_block_env(pyrevm.BlockEnv(number=self._number, timestamp=self.now, gas_limit=1 << 40))

    def _create(self, call: Call) -> str:
        self._evm.set_balance(OPERATOR, 1 << 90)
        return checksum(self._evm.deploy(OPERATOR, call.calldata, gas=_GAS))

    def _message(self, sender: str, call: Call) -> bytes:
        try:
            return bytes(self._evm.message_call(sender, call.to, call.calldata, gas=_GAS))
        except RuntimeError as error:  # "Revert { gas_used: 24109, output: 0x4af5… }"
            kind, _, output = str(error).partition("output: 0x")
            if not kind.startswith("Revert"):
                raise
            raise reverted(bytes.fromhex(output.rstrip(" }"))) from error

    # --- the market ---

    def available(self, who: str) -> int:
        return int(self.read(self._escrow("available", who)))

    def pot(self, number: int) -> int:
        return int(self.read(self._escrow("pot", number)))

    def phase(self, number: int) -> Phase:
        return Phase(self.read(self._market("phaseOf", number)))

    def reputation(self, who: str) -> int:
        return int(self.read(self._reputation("reputationOf", OPERATOR, who)))

    def open_round(self, terms: Terms) -> int:
        self.send(OPERATOR, self._market("openRound", astuple(terms)))
        return int(self.read(self._market("roundCount")))

    def play(self, round: Round) -> Round:
        """Plays a round up to its settlement; returns it as its logs would tell it."""
        terms = replace(
            round.terms,
            max_participants=max(2, len(round.participants)),
            commit_deadline=self.now + PHASE,
            **{f"{phase}_time": PHASE for phase in ("draw", "reveal", "settle", "challenge", "refute")},
        )
        number = self.open_round(terms)
        rng = Random(number)
        salts = [rng.randbytes(32) for _ in round.participants]
        for index, participant in enumerate(round.participants):
            sealed = rng.randbytes(32)
            if (reveal := participant.reveal) is not None:
                sealed = seal_bid(self.market, CHAIN_ID, number, account(index), reveal.bid, salts[index])
            call = self._market("commit", number, sealed, astuple(participant.model), participant.deposit)
            self.send(account(index), call)
        self.warp(PHASE)
        self.send(MALLORY, self._market("drawSeed", number))
        self._tick()
        self.send(MALLORY, self._market("drawSeed", number))
        seed = self.read(self._market("roundOf", number))[8]
        participants = list(round.participants)
        for index in round.reveal_order:
            reveal = replace(participants[index].reveal, reputation=self.reputation(account(index)))
            participants[index] = replace(participants[index], reveal=reveal)
            bid, model = astuple(reveal.bid), astuple(reveal.model)
            call = self._market("reveal", number, index, seed, bid, salts[index], model, reveal.sketch, b"\7" * 80)
            self.send(account(index), call)
        self.warp(PHASE)
        named = tuple(replace(each, account=account(index)) for index, each in enumerate(participants))
        return replace(round, number=number, aggregator=OPERATOR, terms=terms, participants=named, seed=seed)

    def settle(self, round: Round, settlement: Settlement) -> Round:
        """Posts a settlement, right or wrong; returns the round with it."""
        words = list(encode_excluded(settlement.excluded, len(round.participants)))
        rows = encode_rows(settlement.rows)
        self.send(OPERATOR, self._market("settle", round.number, reveals_hash(round), words, rows, bytes(32)))
        return replace(round, settlement=settlement)

    def rate(self, round: Round, index: int, rating: int) -> None:
        self.send(round.participants[index].account, self._market("rate", round.number, index, rating))

    def challenge(self, who: str, number: int, proof: Proof) -> int:
        """Gas used."""
        return self.send(who, self._market("challenge", number, *proof_arguments(proof)))

    def refute(self, who: str, number: int, challenge: int, refutation: Refutation) -> int:
        """Gas used."""
        return self.send(who, self._market("refute", number, challenge, *refutation_arguments(refutation)))

    def pay_out(self, round: Round) -> None:
        n = len(round.participants)
        words = list(encode_excluded(round.settlement.excluded, n))
        self.send(MALLORY, self._market("payOut", round.number, encode_rows(round.settlement.rows), words, 0, n))

    def refund(self, round: Round, *challenges: int) -> None:
        self.send(MALLORY, self._market("refund", round.number, 0, len(round.participants)))
        for challenge in challenges:
            self.send(MALLORY, self._market("refundChallenge", round.number, challenge))


def attempt(evm: Evm, who: str, number: int, proof: Proof) -> str:
    """ "" where a challenge opens, else the name of the reason why it does not."""
    try:
        evm.challenge(who, number, proof)
    except Reverted as error:
        return error.name
    return ""

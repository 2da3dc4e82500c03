"""Amounts, fractions and durations, as people write them. Nothing is rounded on the way in."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction

from .errors import BadInput
from .records import NOT_SELLING, ONE

_DECIMAL = re.compile(r"[0-9]+(\.[0-9]+)?")
_DURATION = re.compile("".join(f"(?:([0-9]{{1,9}}){unit})?" for unit in "wdhms"))
_SECONDS = (604_800, 86_400, 3_600, 60, 1)


@dataclass(frozen=True, slots=True)
class Money:
    """What a market's money is called and how fine it is."""

    symbol: str
    decimals: int

    def units(self, text: str, name: str) -> int:
        """Base units of an amount written in tokens, such as "12.5".

        Args:
            name: what the amount is, for the error.

        Raises:
            BadInput: not a decimal, finer than the token, or more than a market can hold.
        """
        if not _DECIMAL.fullmatch(text):
            raise BadInput(f"{name}: {text!r} is not an amount; write tokens in decimals, such as 12.5")
        whole, _, fraction = text.partition(".")
        if len(fraction.rstrip("0")) > self.decimals:
            raise BadInput(f"{name}: {text} has more decimals than {self.symbol}, which has {self.decimals}")
        units = int(whole + fraction.rstrip("0").ljust(self.decimals, "0"))
        if units >= NOT_SELLING:
            raise BadInput(f"{name}: {text} {self.symbol} is more than a market can hold")
        return units

    def text(self, units: int) -> str:
        """The amount in tokens, exactly and no longer than it must be: "-0.25 TEST"."""
        whole, fraction = divmod(abs(units), 10**self.decimals)
        decimals = f".{fraction:0{self.decimals}}".rstrip("0").rstrip(".") if self.decimals else ""
        return f"{'-' if units < 0 else ''}{whole}{decimals} {self.symbol}"

    def short(self, units: int) -> str:
        """The amount for a table, cut to six decimals and without the symbol."""
        whole, fraction = divmod(abs(units), 10**self.decimals)
        decimals = f".{fraction:0{self.decimals}}"[:7].rstrip("0").rstrip(".") if self.decimals else ""
        return f"{'-' if units < 0 else ''}{whole}{decimals}"


def parse_fraction(text: str, name: str) -> int:
    """A share from 0 to 1, written in decimals, with 2**16 = 1; rounded to the nearest.

    Raises:
        BadInput: it is not one.
    """
    if not _DECIMAL.fullmatch(text) or Fraction(text) > 1:
        raise BadInput(f"{name}: {text!r} is not a share; write 0 … 1, such as 0.25")
    return round(Fraction(text) * ONE)


def parse_duration(text: str, name: str) -> int:
    """Seconds in "90", "90s", "10m", "2h", "1h30m" or "7d".

    Raises:
        BadInput: it is none of these.
    """
    match = _DURATION.fullmatch(f"{text}s" if text.isdecimal() else text)
    if match is None or not text:
        raise BadInput(f"{name}: {text!r} is not a duration; write 90s, 10m, 2h, 1h30m or 7d")
    return sum(int(count or 0) * seconds for count, seconds in zip(match.groups(), _SECONDS, strict=True))


def duration(seconds: int) -> str:
    """Seconds as people say them, in at most two units: "1h 30m"."""
    parts = []
    for unit, length in zip("wdhms", _SECONDS, strict=True):
        count, seconds = divmod(seconds, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def clock(time: int) -> str:
    """Seconds since the epoch as a date and a time of day."""
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC"

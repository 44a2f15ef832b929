"""Asking a server again: how often, after how long, and what it said about that itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar

from hoag.console import say
from hoag.errors import HoagError

T = TypeVar("T")

# Too many requests, and what servers answer while they are restarted or overloaded.
PASSING = (408, 425, 429, 500, 502, 503, 504)


@dataclass(frozen=True)
class Patience:
    """How a server is asked again.

    Attributes
    ----------
    tries
        How often in a row without a byte received, 1 or more.
    wait
        Seconds before the second try; doubled each time, up to `longest`.
    longest
        Seconds between two tries at most, unless the server asks for more.
    obeyed
        Seconds that a server may ask for (Retry-After); for more, the user decides.
    timeout
        Seconds to wait for an answer, or for the next bytes of one.
    """

    tries: int = 6
    wait: float = 1.0
    longest: float = 60.0
    obeyed: float = 600.0
    timeout: float = 30.0


class PassingFault(Exception):
    """A fault that may pass.

    Attributes
    ----------
    after
        Seconds after which the server wants to be asked again, None if it did not say.
    anew
        Whether what was received is of no use.
    """

    def __init__(self, reason: str, after: float | None = None, *, anew: bool = False) -> None:
        super().__init__(reason)
        self.after, self.anew = after, anew


class GaveUp(HoagError):
    """The server could not be had now; it may be another time."""


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, a number or a date; None if there is none to read."""
    text = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def wait_before(attempt: int, fault: PassingFault, patience: Patience, what: str) -> None:
    """Wait after the fault of an attempt, counted from 1, or give up.

    Raises
    ------
    GaveUp
        If it was the last attempt, or the server asks for more time than is obeyed.
    """
    if fault.after is not None and fault.after > patience.obeyed:
        raise GaveUp(
            f"{what}: {fault}; the server asks to be left alone for {fault.after:.0f} s, so repeat "
            "the command then (what was received is kept)"
        )
    if attempt >= patience.tries:
        raise GaveUp(
            f"{what}: {fault}; given up after {attempt} {'try' if attempt == 1 else 'tries'}, so "
            "check the network and repeat the command (what was received is kept)"
        )
    own = min(patience.longest, patience.wait * 2 ** (attempt - 1))
    seconds = own if fault.after is None else fault.after
    say(f"{what}: {fault}; trying again in {seconds:.0f} s")
    time.sleep(seconds)


def patiently(ask: Callable[[], T], patience: Patience, what: str) -> T:
    """Call `ask` until it does not raise PassingFault.

    Raises
    ------
    GaveUp
        As `wait_before`.
    """
    attempt = 0
    while True:
        try:
            return ask()
        except PassingFault as fault:
            attempt += 1
            wait_before(attempt, fault, patience, what)

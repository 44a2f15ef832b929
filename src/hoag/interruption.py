"""Ctrl-C and Slurm's SIGTERM end a run between two steps, with its state saved."""

import signal
import threading
from types import FrameType
from typing import Any

from hoag.errors import HoagError


class Interrupted(HoagError):
    """The user, or the batch system, asked the run to stop; its state was saved."""


class Interruption:
    """Turn the first SIGINT or SIGTERM inside the block into a flag; a second SIGINT ends it."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        # Signals can be handled in the main thread only; elsewhere they stay as they are.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.asked = True

    def obey(self, message: str) -> None:
        """Raise `Interrupted` with `message` if a signal came."""
        if self.asked:
            raise Interrupted(message)

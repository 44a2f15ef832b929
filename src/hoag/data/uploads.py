"""An upload to the Hub, of data or of a model: what may go wrong with it, in plain words."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hoag.data.hub import HubRepo, only_what_is_asked
from hoag.data.patience import PASSING
from hoag.errors import HoagError


@contextmanager
def uploading(place: HubRepo, folder: Path, repeat: str) -> Iterator[None]:
    """Say in a sentence why an upload within the block failed, and keep it to the Hub alone.

    Parameters
    ----------
    place
        Where to.
    folder
        What is uploaded; its README.md is the card.
    repeat
        What to do after a passing fault, "repeat the command".

    Raises
    ------
    HoagError
        If the Hub refuses, or the upload breaks off.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    again = f"{repeat}; what arrived is not sent again"
    try:
        with only_what_is_asked(), _calm():
            yield
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in PASSING:
            raise HoagError(f"{place.repo}: the Hub answers {status}; {again}") from None
        raise place.refused(status, error.response.headers.get("x-error-code", "")) from None
    except (httpx2.TransportError, RuntimeError) as error:
        # huggingface_hub says by RuntimeError which file it could not send.
        raise HoagError(f"{place.repo}: the upload broke off ({error}); {again}") from None
    except ValueError as error:
        words = " ".join(str(error).split())
        raise HoagError(f"{folder / 'README.md'}: the Hub refuses the card: {words}") from None


@contextmanager
def _calm() -> Iterator[None]:
    """Show huggingface_hub's bars only to somebody who looks, and its old calls of httpx2 never."""
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    hide = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if hide:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Use 'content=", DeprecationWarning)
            yield
    finally:
        if hide:
            enable_progress_bars()

"""What hoag says while it works: one-line notes and progress bars, both on standard error."""

import os
import sys
from collections.abc import Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def say(message: str) -> None:
    """Print one line on standard error, where it never mixes with results on standard output.

    Of the processes of one run, as torchrun or Slurm number them, only the first speaks.
    """
    if is_first():
        print(message, file=sys.stderr, flush=True)


def is_first() -> bool:
    """Tell whether this process is alone or the first of those that a launcher started."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "SLURM_PROCID"))


def progress(
    items: Iterable[T], doing: str, *, total: int | None = None, unit: str = "it"
) -> Iterable[T]:
    """Pass `items` through a progress bar that appears once the work has taken two seconds.

    Parameters
    ----------
    items
        What is worked through.
    doing
        What is being done, in a few words, shown before the bar.
    total
        How many items there are, if `items` has no length.
    unit
        What one item is called.
    """
    bar: Iterable[T] = bar_class()(
        items, desc=doing, total=total, unit=f" {unit}", delay=2, mininterval=0.5, leave=False,
        disable=not is_first(),
    )  # fmt: skip
    return bar


def bar_class() -> Any:
    """Give tqdm's bar for the place: a notebook's widget if ipywidgets is there, else of text."""
    import warnings

    from tqdm import TqdmWarning

    with warnings.catch_warnings():
        # That a notebook has no ipywidgets is not worth a warning: the bar of text does.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.auto import tqdm
    return tqdm

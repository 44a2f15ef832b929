"""Types of options that several verbs of the command line have."""

from typing import Literal

Device = Literal["auto", "cpu", "cuda", "mps"]

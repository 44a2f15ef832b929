"""A setting's default together with the sentence that documents it in written recipes."""

from dataclasses import field
from typing import Any


def option(default: Any, about: str) -> Any:
    """Give a dataclass field its default and its documentation."""
    if isinstance(default, dict):
        return field(default_factory=lambda: dict(default), metadata={"about": about})
    return field(default=default, metadata={"about": about})

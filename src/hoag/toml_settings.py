"""Settings as TOML: dataclasses made from files and overrides, with each mistake named."""

import dataclasses
import json
import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hoag.errors import HoagError


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise `HoagError` naming file and line if it is none."""
    try:
        return tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HoagError(f"{path}: not valid TOML ({error})") from None
    except OSError as error:
        raise HoagError(f"{path}: cannot be read ({error.strerror})") from None


def parse_override(text: str) -> tuple[str, Any]:
    """Split ``key=value``; the value is TOML, or a bare word taken as text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise HoagError(f"{text!r} is not of the form key=value, e.g. encoder.name=resnet34")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def build_settings(kind: Any, content: Mapping[str, Any], where: str, prefix: str = "") -> Any:
    """Make a settings dataclass, nested ones with it, from plain values.

    Parameters
    ----------
    kind
        The dataclass; its type hints say what each value must be.
    content
        Values by name, tables of them for nested settings.
    where
        What messages begin with, such as the file.
    prefix
        What the names in messages begin with.

    Raises
    ------
    HoagError
        If a name is unknown, or a value has the wrong type or is refused by the dataclass.
    """
    hints = typing.get_type_hints(kind)
    known = {f.name for f in fields(kind)}
    values = {}
    for key, value in content.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise HoagError(f"{where}: unknown option {name!r}{_closest(key, known)}")
        if dataclasses.is_dataclass(hints[key]):
            if not isinstance(value, Mapping):
                raise HoagError(f"{where}: {name} is a table of options, not {value!r}")
            values[key] = build_settings(hints[key], value, where, f"{name}.")
        else:
            values[key] = _fit(value, hints[key], name, where)
    try:
        return kind(**values)
    except HoagError as error:
        raise HoagError(f"{where}: {error}") from None


def _fit(value: Any, hint: Any, name: str, where: str) -> Any:
    """Give `value` the type of its option, or say what was wanted."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, types.UnionType):
        fitting = [kind for kind in inner if isinstance(value, kind)]
        if fitting:
            return value
    elif origin is tuple:
        length_fits = inner[-1] is Ellipsis or (
            isinstance(value, list | tuple) and len(value) == len(inner)
        )
        if isinstance(value, list | tuple) and length_fits:
            return tuple(_fit(item, inner[0], name, where) for item in value)
    elif origin is dict:
        if isinstance(value, Mapping):
            return dict(value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise HoagError(f"{where}: {name} = {value!r} must be {_said(hint)}")


def _said(hint: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "text in quotes", bool: "true or false"}
    if typing.get_origin(hint) is tuple:
        return f"a list such as [a, b] in which each is {_said(typing.get_args(hint)[0])}"
    return words.get(hint, "a table {key = value}")


def put_option(content: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key in nested dicts; raise `HoagError` if a section does not exist."""
    *sections, last = key.split(".")
    place = content
    for section in sections:
        if not isinstance(place.get(section), dict):
            raise HoagError(f"recipe: unknown option {key!r}{_closest(section, set(place))}")
        place = place[section]
    # encoder.options takes any key; everything else must exist, which _build checks.
    place[last] = value


def option_line(settings: Any, name: str) -> str:
    """Write one option as a line of TOML, its documentation behind it."""
    about = type(settings).__dataclass_fields__[name].metadata.get("about", "")
    text = f"{name} = {toml_value(getattr(settings, name))}"
    return f"{text:<36}# {about}" if about else text


def toml_value(value: Any) -> str:
    """Write one value as TOML."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {toml_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _closest(key: str, known: set[str]) -> str:
    close = get_close_matches(key, sorted(known), n=1)
    return (
        f"; did you mean {close[0]!r}?"
        if close
        else f"; it may be one of {', '.join(sorted(known))}"
    )


def demand(good: bool, name: str, value: Any, wanted: str) -> None:
    """Raise `HoagError` naming the option unless `good`."""
    if not good:
        raise HoagError(f"{name} = {value!r} must be {wanted}")


def demand_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `HoagError` naming the option unless its value is one of `choices`."""
    demand(value in choices, name, value, "one of " + ", ".join(choices))

"""What a prediction is asked for: whose questions, of how many volunteers, beside which columns."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hoag.campaigns import closest
from hoag.catalogue import list_names
from hoag.console import say
from hoag.errors import HoagError
from hoag.galaxies import Galaxies
from hoag.schema import Schema


def whole_volunteers(volunteers: int | str) -> int | str:
    """Read a number of volunteers, 1 or more, or "own"; others are refused."""
    if volunteers == "own":
        return "own"
    try:
        number = int(volunteers)
    except ValueError:
        number = 0
    if number < 1 or number != float(volunteers):
        raise HoagError(
            f"volunteers = {volunteers!r} must be a whole number, 1 or more, or 'own' for as many "
            "as each galaxy had"
        )
    return number


def chosen_campaigns(
    galaxies: Galaxies, schema: Schema, campaign: str
) -> tuple[Schema, NDArray[np.bool_]]:
    """Give the questions to predict, and which campaigns for which galaxy.

    Parameters
    ----------
    galaxies
        What is predicted for.
    schema
        The questions that the model knows.
    campaign
        "own", "all" or the name of one.

    Returns
    -------
    Schema, ndarray
        And (n, campaigns of that schema) bool.
    """
    if campaign in ("all", *schema.campaigns):
        chosen = schema if campaign == "all" else schema.select(campaign)
        return chosen, np.ones((len(galaxies), len(chosen.campaigns)), bool)
    if campaign != "own":
        known = ["own", "all", *schema.campaigns]
        raise HoagError(
            f"campaign {campaign!r} is none of {', '.join(known)}{closest(campaign, known)}"
        )
    own = own_campaigns(galaxies)
    chosen = schema.select([name for name in schema.campaigns if (own == name).any()])
    strangers = int((own == "").sum())
    if strangers:
        say(f"{strangers:,} of {len(galaxies):,} galaxies are in no campaign: null; or --campaign")
    return chosen, own[:, None] == np.array(chosen.campaigns)


def own_campaigns(galaxies: Galaxies) -> NDArray[np.str_]:
    """Campaign of each galaxy by its votes, else by a column `campaign`, else ""; (n,) str.

    Raises
    ------
    HoagError
        If no galaxy has one.
    """
    own = np.array(galaxies.campaign, dtype=object)
    if "campaign" in galaxies.columns and (own == "").any():
        told = galaxies.select(["campaign"])["campaign"].to_pylist()
        known = set(galaxies.schema.campaigns)
        told = np.array([name if name in known else "" for name in told], dtype=object)
        own = np.where(own == "", told, own)
    if (own == "").all():
        names = ", ".join(galaxies.schema.campaigns)
        raise HoagError(
            "the galaxies are in no campaign (no votes, and no column 'campaign'); say whose "
            f"questions to predict: --campaign all, or one of {names}"
        )
    return own.astype(str)


def columns_kept(galaxies: Galaxies, keep: Sequence[str] | None) -> tuple[str, ...]:
    """Give the columns of galaxies that go before predictions, `id_str` first.

    Parameters
    ----------
    galaxies
        What is predicted for.
    keep
        Names; None keeps all but votes and what no catalogue holds: lists and bytes.

    Raises
    ------
    HoagError
        If there are no galaxies, or a column is missing.
    """
    if len(galaxies) == 0:
        raise HoagError("there are no galaxies to predict for")
    fields = {field.name: field.type for field in galaxies.take([0]).table.schema}
    if keep is None:
        votes = set(galaxies.schema.columns)
        odd = (pa.types.is_nested, pa.types.is_binary)
        keep = [n for n, t in fields.items() if n not in votes and not any(o(t) for o in odd)]
    for name in keep:
        if name not in fields:
            raise HoagError(f"there is no column '{name}' to keep; {list_names(list(fields))}")
    return tuple(dict.fromkeys(["id_str", *keep]))


def refuse_repeats(kept: Iterable[str], made: Iterable[str]) -> None:
    """Refuse to make a column of a name that is kept."""
    for name in sorted(set(kept) & set(made)):
        raise HoagError(
            f"the galaxies have a column '{name}' already, which would come twice; choose the "
            "columns to keep with --keep, e.g. --keep ra --keep dec"
        )

"""Which columns of a table hold a campaign's votes, found by the header alone.

A table has GZ-Evo's own columns ("bar-gz2_yes"; FITS may write "bar_gz2_yes") or those of a
published campaign. Whatever is missing, renamed or of another kind is named; nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from hoag.answers import refuse_near_misses
from hoag.campaigns import closest
from hoag.catalogue import list_names
from hoag.data.column_maps import ColumnMap, load_map, map_names
from hoag.data.table_header import GalaxyColumns, Header, galaxy_columns, plain_name
from hoag.data.table_parts import TableParts
from hoag.data.vote_values import FractionColumns
from hoag.errors import HoagError
from hoag.schema import Schema, load_schema


@dataclass(frozen=True)
class VoteColumns:
    """The columns of a table that are read, by what they hold.

    Attributes
    ----------
    galaxy
        Those of id, coordinates and survey.
    map
        Column map of the published campaign; None for GZ-Evo's own columns.
    counts
        Table's column of counts by GZ-Evo column.
    fractions
        Questions that are given as fractions of a total.
    label
        Table's column of a label by its role: yes, no, total, fraction.
    others
        The user's other columns, kept as they are.
    """

    galaxy: GalaxyColumns
    map: ColumnMap | None
    counts: Mapping[str, str] = field(default_factory=dict)
    fractions: Sequence[FractionColumns] = ()
    label: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()

    @property
    def votes(self) -> list[str]:
        """The table's columns of votes, in whatever form."""
        given = [*self.counts.values()]
        for question in self.fractions:
            given += [question.total, *question.answers.values()]
        return [*given, *self.label.values()]

    @property
    def read(self) -> list[str]:
        """All columns that are read."""
        g = self.galaxy
        first = [name for name in (g.id, g.ra, g.dec, g.survey) if name]
        return list(dict.fromkeys([*first, *self.votes, *self.others]))


def find_columns(table: TableParts, campaign: str, schema: Schema) -> VoteColumns:
    """Find a campaign's columns in a table.

    Parameters
    ----------
    table
        The table.
    campaign
        One of the schema's campaigns, or a downstream task with a column map ("rings").
    schema
        Says which answers the campaign has.

    Raises
    ------
    HoagError
        If a column is missing, ambiguous or of another type, or the votes are not raw.
    """
    header = Header(table)
    if campaign not in schema.campaigns:
        return _label_columns(header, campaign, schema)
    own = schema.select(campaign)
    here = {column: found for column in own.columns if (found := header.find(column))}
    known = load_map(campaign, schema) if campaign in map_names() and not here else None
    fractions: list[FractionColumns] = []
    if here:
        _check_own(header, here, own)
        counts = here
    elif known is not None:
        counts, fractions = _published(header, known, schema)
    else:
        raise HoagError(
            f"{header.path}: not one column of campaign '{campaign}'"
            f"{_looks_like(header, campaign, schema)}; it wants {list_names(own.columns, 3)}"
        )
    galaxy = galaxy_columns(header, known)
    header.need_numbers(counts.values(), "votes are whole numbers")
    for question in fractions:
        header.need_numbers([question.total, *question.answers.values()], "fractions are numbers")
    columns = VoteColumns(galaxy, known, counts, fractions)
    return replace(columns, others=_others(header, columns, schema))


def columns_without_votes(table: TableParts, schema: Schema) -> VoteColumns:
    """Find the columns of a table of galaxies that are read without their votes."""
    header = Header(table)
    columns = VoteColumns(galaxy_columns(header, None), None)
    return replace(columns, others=_others(header, columns, schema))


def _check_own(header: Header, here: Mapping[str, str], own: Schema) -> None:
    """Refuse questions of which some answers are missing, and columns that are nearly an answer."""
    for question in own.questions:
        missing = [column for column in question.columns if column not in here]
        if missing and len(missing) < len(question.columns):
            raise HoagError(
                f"{header.path}: {header.named(missing)}, though question '{question.name}' has "
                "other answers; all answers of a question are needed"
            )
    given = {found: column for column, found in here.items()}
    names = {given.get(name, name) for name in header.names}
    refuse_near_misses(names, own, str(header.path))


def _published(
    header: Header, known: ColumnMap, schema: Schema
) -> tuple[dict[str, str], list[FractionColumns]]:
    """Find counts, or fractions with their totals, of a published table."""
    counts = {
        column: found
        for column, stem in known.stems.items()
        if (found := header.first(known.answer_columns("count", stem)))
    }
    if len(counts) == len(known.stems):
        return counts, []
    parts = {
        column: found
        for column, stem in known.stems.items()
        if (found := header.first(known.answer_columns("fraction", stem)))
    }
    totals = {
        question.name: found
        for question in known.questions
        if (found := header.first(known.question_columns("total", question)))
    }
    # Where some counts are there, one is missing or renamed: fractions do not stand in for it.
    if not counts and len(parts) == len(known.stems) and len(totals) == len(known.questions):
        return {}, [
            FractionColumns(q.name, totals[q.name], {c: parts[c] for c in q.answers})
            for q in known.questions
        ]
    complaint = _complaint(header, known, schema, counts, parts, totals)
    raise HoagError(f"{header.path}: {complaint}")


def _complaint(
    header: Header, known: ColumnMap, schema: Schema, counts: Mapping[str, str],
    parts: Mapping[str, str], totals: Mapping[str, str],
) -> str:  # fmt: skip
    """Say why a table is not the published one, or holds no raw votes."""
    form = "count" if counts or (known.forms["count"] and not parts) else "fraction"
    have = counts if form == "count" else parts
    missing = [column for column in known.stems if column not in have]
    wanted = [_wanted(known, form, column) for column in missing]
    instead = {
        kind: found
        for kind in ("weighted", "debiased", "predicted")
        if (found := [n for n in _columns_of(known, kind, missing) if header.find(n)])
    }
    other = _looks_like(header, known.campaign, schema, known)
    if other or not (counts or parts or instead):
        hint = f"; {header.named(wanted[:1])}" if wanted else ""
        return (
            f"does not have the columns of campaign '{known.campaign}' ({known.title}){other}{hint}"
        )
    if "predicted" in instead or (instead and 2 * len(have) < len(known.stems)):
        return _not_raw(known, instead, len(missing))
    if missing:
        return (
            f"{header.named(wanted)} of the published table '{known.title}'; restore it, or give "
            "the columns GZ-Evo's names"
        )
    none = [known.question_columns("total", q)[0] for q in known.questions if q.name not in totals]
    return (
        f"{header.named(none)}, the number of volunteers that the fractions are of; votes need raw "
        "counts, or raw fractions with totals"
    )


def _wanted(known: ColumnMap, form: str, column: str) -> str:
    return known.answer_columns(form, known.stems[column])[0]


def _columns_of(known: ColumnMap, form: str, missing: Sequence[str]) -> list[str]:
    names = [n for column in missing for n in known.answer_columns(form, known.stems[column])]
    return names + [n for q in known.questions for n in known.question_columns(form, q)]


def _not_raw(known: ColumnMap, instead: Mapping[str, Sequence[str]], number: int) -> str:
    if "predicted" in instead:
        return (
            f"'{instead['predicted'][0]}' says that these are a model's predictions, not votes of "
            f"volunteers; get the volunteers' table from {known.source}"
        )
    kinds = " and ".join(f"{kind} ones ('{names[0]}')" for kind, names in instead.items())
    first = known.questions[0]
    total = known.question_columns("total", first)[0]
    count = known.answer_columns("count", next(iter(first.answers.values())))
    raw = f"raw counts ('{count[0]}'), or " if count else ""
    return (
        f"raw votes are missing for {number} of {len(known.stems)} answers and there are only "
        f"{kinds}, which are no numbers of volunteers; votes need {raw}raw fractions with their "
        f"totals ('{total}'): get the full table from {known.source}"
    )


def _looks_like(
    header: Header, campaign: str, schema: Schema, mine: ColumnMap | None = None
) -> str:
    """Say which other campaign's columns a table has, all of them."""
    for other in schema.campaigns:
        if other == campaign:
            continue
        if all(header.find(column) for column in schema.select(other).columns):
            return f": it has those of '{other}'"
        if other in map_names():
            known = load_map(other, schema)
            if mine is not None and set(known.stems.values()) == set(mine.stems.values()):
                continue  # dr5 and dr8 have the same names
            for form in ("count", "fraction"):
                wanted = [known.answer_columns(form, stem) for stem in known.stems.values()]
                if known.forms[form] and all(header.first(names) for names in wanted):
                    return f": it has those of '{other}' ({known.title})"
    return ""


def _label_columns(header: Header, campaign: str, schema: Schema) -> VoteColumns:
    """Find the columns of a table with one label a galaxy."""
    known = load_map(campaign, schema) if campaign in map_names() else None
    if known is None or known.label is None:
        names = [*schema.campaigns, *(n for n in map_names() if n not in schema.campaigns)]
        raise HoagError(
            f"{header.path}: there is no campaign '{campaign}'{closest(campaign, names)}; schema "
            f"'{schema.name}' has {', '.join(schema.campaigns)}"
        )
    roles = {role: getattr(known.label, role) for role in ("yes", "no", "total", "fraction")}
    found = {role: header.first(names) for role, names in roles.items()}
    missing = [roles[role][0] for role, name in found.items() if not name]
    if missing:
        raise HoagError(f"{header.path}: {header.named(missing)} of {known.title}")
    header.need_numbers(found.values(), "votes are numbers")
    columns = VoteColumns(galaxy_columns(header, known), known, label=found)
    return replace(columns, others=_others(header, columns, schema))


def _others(header: Header, columns: VoteColumns, schema: Schema) -> list[str]:
    """The user's own columns: all but votes in whatever form, of this campaign or another."""
    known, used = columns.map, columns.read
    votes = {plain_name(name) for name in known.vote_columns()} if known else set()
    stems = [plain_name(stem) + "_" for stem in known.passed_over] if known else []
    for one in (schema, load_schema("gz-evo")):
        stems += [plain_name(question.name) + "_" for question in one.questions]
    return [
        name
        for name in header.names
        if name not in used
        and plain_name(name) not in votes
        and not plain_name(name).startswith(tuple(stems))
    ]

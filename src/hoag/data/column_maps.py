"""Column maps: how the columns of a published vote table stand for GZ-Evo's answers.

A map is a declarative file of ``hoag/data/maps``, one a campaign, checked against the schema when
it is loaded: every answer once, nothing unknown. What is not known about a table stands in the map.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from hoag.campaigns import closest, read_toml
from hoag.errors import HoagError
from hoag.schema import Schema
from hoag.toml_entries import Entry

MAPS = Path(str(files("hoag.data") / "maps"))

_FORMS = ("count", "fraction", "total", "weighted", "debiased", "predicted", "other")
_LABEL = ("name", "yes", "no", "total", "fraction")


@dataclass(frozen=True)
class MappedQuestion:
    """One question of a campaign in a published table.

    Attributes
    ----------
    name
        Name with the campaign's suffix, "bar-gz2".
    stem
        What the table's columns of this question begin with, "t03_bar".
    answers
        The table's stem of each GZ-Evo column, {"bar-gz2_yes": "t03_bar_a06_bar", ...}.
    """

    name: str
    stem: str
    answers: dict[str, str]


@dataclass(frozen=True)
class LabelColumns:
    """Columns of a table that has one label a galaxy; each may have had several names.

    `yes`, `no` and `total` are numbers of volunteers, `fraction` is yes / total.
    """

    name: str
    yes: tuple[str, ...]
    no: tuple[str, ...]
    total: tuple[str, ...]
    fraction: tuple[str, ...]


@dataclass(frozen=True)
class ColumnMap:
    """What is known about the published table of one campaign.

    Attributes
    ----------
    campaign
        Column suffix of GZ-Evo, "gz2"; or the name of a downstream task, "rings".
    title, paper, source, licence, cite
        What the table is, who published it, where it lies, its licence ("" where none is stated)
        and the keys of ``hoag cite``.
    unconfirmed
        What could not be confirmed about the table, in plain words.
    survey
        Survey of the images, as the column `survey` says it.
    id
        Names of the column of ids, the first that is there is used.
    ra, dec
        Names of the coordinates in degrees; () where it is not known whether the table has them.
    forms
        Templates of the columns' names by what they hold; ``{answer}`` is an answer's stem and
        ``{question}`` a question's. "count" are numbers of volunteers, "fraction" raw fractions of
        the volunteers in "total"; "weighted", "debiased" and "predicted" are none of these.
    questions
        Those of the campaign, in the schema's order; () for labels.
    passed_over
        Stems of questions that GZ-Evo has not.
    label
        Columns of the label, None for votes.
    """

    campaign: str
    title: str
    paper: str
    source: str
    licence: str
    cite: tuple[str, ...]
    unconfirmed: str
    survey: str
    id: tuple[str, ...]
    ra: tuple[str, ...]
    dec: tuple[str, ...]
    forms: dict[str, tuple[str, ...]]
    questions: tuple[MappedQuestion, ...]
    passed_over: tuple[str, ...]
    label: LabelColumns | None

    @property
    def kind(self) -> str:
        """What the table gives: "votes" or "labels"."""
        return "votes" if self.label is None else "labels"

    @property
    def stems(self) -> dict[str, str]:
        """The table's stem of every GZ-Evo column."""
        return {column: stem for q in self.questions for column, stem in q.answers.items()}

    def answer_columns(self, form: str, stem: str) -> list[str]:
        """Names that an answer's column of a form can have in the table."""
        return [t.format(answer=stem) for t in self.forms[form] if "{answer}" in t]

    def question_columns(self, form: str, question: MappedQuestion) -> list[str]:
        """Names that a question's column of a form can have in the table."""
        return [t.format(question=question.stem) for t in self.forms[form] if "{question}" in t]

    def vote_columns(self) -> Iterator[str]:
        """All names that the map knows to hold votes, in whatever form."""
        for form in _FORMS:
            for question in self.questions:
                yield from self.question_columns(form, question)
                for stem in question.answers.values():
                    yield from self.answer_columns(form, stem)

    def about(self) -> dict[str, Any]:
        """Give what a record or a page says of the table: title, paper, licence, references."""
        return {
            "title": self.title,
            "paper": self.paper,
            "source": self.source,
            "licence": self.licence or "none stated where the table is published",
            "cite": list(self.cite),
        }


def map_names() -> list[str]:
    """Campaigns, and downstream tasks, whose published tables are known."""
    return sorted(path.stem for path in MAPS.glob("*.toml"))


def load_map(name: str | Path, schema: Schema) -> ColumnMap:
    """Load the column map of a campaign, checked against the schema.

    Parameters
    ----------
    name
        A campaign ("gz2"), a downstream task ("rings"), or a file of your own like the packaged
        ones.
    schema
        Has the campaign, unless the map is one of labels.

    Raises
    ------
    HoagError
        If there is no such map, or it does not map every answer of the campaign exactly once.
    """
    path = Path(name) if str(name).endswith(".toml") else MAPS / f"{name}.toml"
    if path.parent == MAPS and path.stem not in map_names():
        raise HoagError(
            f"no published table is known for {str(name)!r}{closest(str(name), map_names())}; "
            f"there are {', '.join(map_names())}"
        )
    top = Entry(read_toml(path), str(path) if path.parent != MAPS else f"column map {path.name}")
    top.only("campaign", "title", "paper", "source", "licence", "cite", "unconfirmed", "survey",
             "id", "ra", "dec", "columns", "question", "passed_over", "label")  # fmt: skip
    campaign = top.text("campaign")
    is_labels = "label" in top.content
    questions = () if is_labels else _questions(top, campaign, schema)
    return ColumnMap(
        campaign=campaign,
        title=top.text("title"),
        paper=top.text("paper"),
        source=top.text("source"),
        licence=top.text("licence", ""),
        cite=_names(top, "cite"),
        unconfirmed=top.text("unconfirmed", ""),
        survey=top.text("survey"),
        id=_names(top, "id", required=True),
        ra=_names(top, "ra"),
        dec=_names(top, "dec"),
        forms=_forms(top, is_labels),
        questions=questions,
        passed_over=_names(top, "passed_over"),
        label=_label(top) if is_labels else None,
    )


def _names(entry: Entry, key: str, *, required: bool = False) -> tuple[str, ...]:
    if not entry.content.get(key):
        if not required:
            return ()
        raise HoagError(f"{entry.where}: '{key}' is missing; write one name, or a list of them")
    return tuple(entry.names(key, ""))


def _section(top: Entry, key: str) -> Entry:
    content = top.content.get(key, {})
    if not isinstance(content, dict):
        raise HoagError(f"{top.where}: '{key}' is written as [{key}]")
    return Entry(content, f"{top.where}, [{key}]")


def _forms(top: Entry, is_labels: bool) -> dict[str, tuple[str, ...]]:
    section = _section(top, "columns")
    section.only(*_FORMS)
    forms = {form: _names(section, form) for form in _FORMS}
    for form, templates in forms.items():
        for template in templates:
            if template.count("{answer}") + template.count("{question}") != 1:
                raise HoagError(
                    f"{section.where}: {form} = {template!r} must have {{answer}} or {{question}} "
                    "in it once, where the table's stem stands"
                )
    if not is_labels and not forms["count"] and not (forms["fraction"] and forms["total"]):
        raise HoagError(
            f"{section.where}: votes need 'count', or 'fraction' and 'total', the number of "
            "volunteers that fractions are of"
        )
    return forms


def _label(top: Entry) -> LabelColumns:
    section = _section(top, "label")
    section.only(*_LABEL)
    columns = {key: _names(section, key, required=True) for key in _LABEL[1:]}
    return LabelColumns(name=section.text("name"), **columns)


def _questions(top: Entry, campaign: str, schema: Schema) -> tuple[MappedQuestion, ...]:
    asked = {q.short: q for q in schema.select(campaign).questions}
    mapped: dict[str, MappedQuestion] = {}
    for entry in top.entries("question"):
        entry.only("name", "stem", "answers")
        name = entry.text("name")
        where = f"{top.where}: question {name!r}"
        if name not in asked:
            raise HoagError(f"{where} is none of campaign '{campaign}'{closest(name, asked)}")
        if name in mapped:
            raise HoagError(f"{where} comes twice; map each question once")
        question = asked[name]
        answers = _answers(entry, [answer[1:] for answer in question.answers], where)
        stem = entry.text("stem")
        mapped[name] = MappedQuestion(
            question.name, stem,
            {f"{question.name}_{answer}": f"{stem}_{own}" for answer, own in answers.items()},
        )  # fmt: skip
    for name in asked:
        if name not in mapped:
            raise HoagError(f"{top.where}: question {name!r} of '{campaign}' is not mapped")
    stems = Counter(stem for q in mapped.values() for stem in q.answers.values())
    for stem, times in stems.items():
        if times > 1:
            raise HoagError(f"{top.where}: {stem!r} is mapped to {times} answers; to one only")
    return tuple(mapped[name] for name in asked)


def _answers(entry: Entry, known: Sequence[str], where: str) -> dict[str, str]:
    """The table's name of each answer; a plain list says that it has the same names."""
    given = entry.content.get("answers", {})
    if isinstance(given, list):
        given = {str(answer): answer for answer in given}
    if not isinstance(given, dict) or not all(isinstance(own, str) for own in given.values()):
        raise HoagError(f'{where}: answers is a table {{yes = "a06_bar", ...}} or a list of names')
    for answer in given:
        if answer not in known:
            raise HoagError(f"{where}: unknown answer {answer!r}{closest(answer, known)}")
    for answer in known:
        if answer not in given:
            raise HoagError(f"{where}: answer {answer!r} is not mapped; every answer must be, once")
    return {answer: given[answer] for answer in known}

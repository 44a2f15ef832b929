"""Campaign files: the questions, answers and parents of one campaign, read from TOML and checked.

A campaign is what one column suffix stands for. Its file is meant to be written by hand, so every
mistake in it is met with a sentence that names the file, the question and the way out.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from hoag.errors import HoagError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
_CAMPAIGN_KEYS = ("campaign", "title", "survey", "cite", "question")
_QUESTION_KEYS = ("name", "text", "answers", "asked_after")


@dataclass(frozen=True)
class Campaign:
    """What is said about a campaign; none of it enters a schema's hash.

    Attributes
    ----------
    name
        The column suffix, "gz2".
    title
        The campaign's name as written in papers, "Galaxy Zoo 2".
    survey
        Survey and telescope of the images, "SDSS DR7 (Sloan 2.5 m)".
    cite
        Keys of ``hoag cite``, or a reference in plain words.
    """

    name: str
    title: str = ""
    survey: str = ""
    cite: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """One question of one campaign, and its place among the columns of a schema.

    Attributes
    ----------
    name
        Name with the campaign's suffix, "bar-gz2".
    campaign
        Column suffix of its campaign, "gz2".
    answers
        At least two, with their underscore, ("_yes", "_no"). A column is name + answer.
    asked_after
        Columns of the parent answers. The question is asked of a volunteer who gave any of them,
        and of everybody when there are none.
    start, stop
        The question's answers are ``columns[start:stop]`` of the schema.
    text
        The question in words, if known; not part of its identity.
    """

    name: str
    campaign: str
    answers: tuple[str, ...]
    asked_after: tuple[str, ...] = ()
    start: int = 0
    stop: int = 0
    text: str = field(default="", compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the answers, ("bar-gz2_yes", "bar-gz2_no")."""
        return tuple(self.name + answer for answer in self.answers)

    @property
    def short(self) -> str:
        """Name without the campaign's suffix, "bar"."""
        return self.name.removesuffix(f"-{self.campaign}")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    HoagError
        If the file is missing, cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HoagError(f"{path}: no such file") from None
    except OSError as error:
        raise HoagError(f"{path}: cannot be read ({error.strerror})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HoagError(f"{path}: not valid TOML ({error})") from None


def parse_campaign(raw: dict[str, Any], where: str) -> tuple[Campaign, tuple[Question, ...]]:
    """Turn the content of a campaign file into a campaign and its checked questions.

    Parameters
    ----------
    raw
        Content of the file: `campaign`, `question` (a list of tables), and optionally `title`,
        `survey` and `cite`.
    where
        The file, as errors name it.

    Raises
    ------
    HoagError
        For an unknown key, a missing one, a value of the wrong type, a name with odd characters, a
        duplicate, an unknown parent or a cycle.
    """
    _refuse_unknown(raw, _CAMPAIGN_KEYS, where)
    name = _text(raw, "campaign", where, required=True)
    _check_name(name, "campaign", where)
    campaign = Campaign(
        name, _text(raw, "title", where), _text(raw, "survey", where), _texts(raw, "cite", where)
    )
    tables = raw.get("question")
    if not isinstance(tables, list) or not tables or not all(isinstance(t, dict) for t in tables):
        raise HoagError(f"{where}: no questions; write each one under a line [[question]]")
    questions = _with_columns([_question(t, name, n, where) for n, t in enumerate(tables, start=1)])
    check_questions(questions, where)
    return campaign, questions


def _question(table: dict[str, Any], campaign: str, number: int, where: str) -> Question:
    name = _text(table, "name", f"{where}: question {number}", required=True)
    where = f"{where}: question {name!r}"
    _refuse_unknown(table, _QUESTION_KEYS, where)
    _check_name(name, "question", where)
    if name.endswith(f"-{campaign}"):
        raise HoagError(f"{where}: leave out the campaign's suffix '-{campaign}', hoag adds it")
    answers = _texts(table, "answers", where)
    for answer in answers:
        _check_name(answer, "answer", where)
    return Question(
        name=f"{name}-{campaign}",
        campaign=campaign,
        answers=tuple(f"_{answer}" for answer in answers),
        asked_after=_texts(table, "asked_after", where),
        text=_text(table, "text", where),
    )


def _with_columns(questions: Sequence[Question]) -> tuple[Question, ...]:
    # A file may say "bar_yes" for the column "bar-gz2_yes"; what is neither is left as it stands
    # for check_questions to refuse.
    columns = {
        question.short + answer: question.name + answer
        for question in questions
        for answer in question.answers
    }
    return tuple(
        replace(question, asked_after=tuple(columns.get(p, p) for p in question.asked_after))
        for question in questions
    )


def check_questions(questions: Sequence[Question], where: str) -> None:
    """Check what must hold among questions: unique names and columns, known parents, no cycle.

    Raises
    ------
    HoagError
        Naming `where` and the question at fault.
    """
    _refuse_duplicates((question.name for question in questions), "question", where)
    for question in questions:
        _refuse_duplicates(question.answers, "answer", f"{where}: question {question.short!r}")
        if len(question.answers) < 2:
            raise HoagError(f"{where}: question {question.short!r} needs at least two answers")
    _refuse_duplicates(
        (column for question in questions for column in question.columns), "column", where
    )
    owner = {column: question for question in questions for column in question.columns}
    for question in questions:
        _check_parents(question, owner, where)
    _refuse_cycle(questions, owner, where)


def _check_parents(question: Question, owner: dict[str, Question], where: str) -> None:
    where = f"{where}: question {question.short!r}"
    _refuse_duplicates(question.asked_after, "parent answer", where)
    own = [column for column, asker in owner.items() if asker.campaign == question.campaign]
    for parent in question.asked_after:
        if parent not in own:
            raise HoagError(
                f"{where} is asked after {parent!r}, which is no answer of campaign "
                f"{question.campaign!r}{closest(parent, own)}"
            )


def _refuse_cycle(questions: Sequence[Question], owner: dict[str, Question], where: str) -> None:
    # Take away, again and again, the questions whose parents are all gone; a cycle stays behind.
    waiting = {q.name: {owner[p].name for p in q.asked_after} for q in questions}
    while ready := [name for name, parents in waiting.items() if not parents & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        chain = [next(iter(waiting))]
        while (parent := next(p for p in waiting[chain[-1]] if p in waiting)) not in chain:
            chain.append(parent)
        chain = [*chain[chain.index(parent) :], parent]
        raise HoagError(
            f"{where}: questions wait for each other in a circle: {' after '.join(chain)}; "
            "take one asked_after out"
        )


def closest(name: str, known: Iterable[str]) -> str:
    """Give "; did you mean 'x'?" for the known name nearest to a mistyped one, else nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _refuse_unknown(raw: dict[str, Any], known: Sequence[str], where: str) -> None:
    for key in raw:
        if key not in known:
            hint = closest(key, known) or f"; it may be one of {', '.join(known)}"
            raise HoagError(f"{where}: unknown key {key!r}{hint}")


def _refuse_duplicates(names: Iterable[str], what: str, where: str) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise HoagError(f"{where}: {what} {name!r} comes {times} times; names must be unique")


def _check_name(name: str, what: str, where: str) -> None:
    if not _NAME.fullmatch(name):
        raise HoagError(
            f"{where}: {what} {name!r} is no name for a column; use letters, digits and - _ . +, "
            "starting with a letter or digit (hoag adds the underscore before an answer)"
        )


def _text(raw: dict[str, Any], key: str, where: str, *, required: bool = False) -> str:
    if required and key not in raw:
        raise HoagError(f'{where}: {key} is missing; write {key} = "..."')
    value = raw.get(key, "")
    if not isinstance(value, str) or (required and not value):
        raise HoagError(f"{where}: {key} = {value!r} must be text in quotes")
    return value


def _texts(raw: dict[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = raw.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise HoagError(f'{where}: {key} = {value!r} must be a list of texts, like ["yes", "no"]')
    return tuple(value)

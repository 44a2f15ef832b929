"""Schemas: which answers there are, in which order, and when each question was asked.

A schema fixes the columns of a votes table and of a model's output, so every model and table
carries its content hash. Campaigns are declarative files in ``hoag/schemas``, one a column suffix.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.campaigns import (
    Campaign,
    Question,
    check_questions,
    closest,
    parse_campaign,
    read_toml,
)
from hoag.decision_trees import draw_tree
from hoag.errors import HoagError
from hoag.files import read_json

__all__ = ["Campaign", "Question", "Schema", "draw_tree", "load_schema"]

_PACKAGED = Path(str(files("hoag") / "schemas"))
_INDEX_KEYS = ("name", "version", "title", "campaigns")


@dataclass(frozen=True, repr=False)
class Schema:
    """Questions in order, with their answers, parents and columns.

    Every schema is checked when made: unique names, known parents, no cycle.

    Attributes
    ----------
    name
        "gz-evo", or the campaigns joined with "+".
    questions
        In column order; their `start` and `stop` are filled in here.
    about
        Title, survey and references of each campaign, in order.
    version
        Version of the schema, if it has one.

    Raises
    ------
    HoagError
        If a name is not unique, a parent is unknown or questions wait for each other in a circle.
    """

    name: str
    questions: tuple[Question, ...]
    about: tuple[Campaign, ...] = field(default=(), compare=False)
    version: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if not self.questions:
            raise HoagError(f"schema {self.name}: there are no questions")
        check_questions(self.questions, f"schema {self.name}")
        placed, start = [], 0
        for question in self.questions:
            placed.append(replace(question, start=start, stop=start + len(question.answers)))
            start += len(question.answers)
        object.__setattr__(self, "questions", tuple(placed))

    def __repr__(self) -> str:
        return (
            f"Schema({self.name!r}: {len(self.questions)} questions, {len(self.columns)} answers, "
            f"campaigns {', '.join(self.campaigns)}, hash {self.hash})"
        )

    def _repr_html_(self) -> str:
        from hoag.notebook import schema_html

        return schema_html(self)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Column of every answer, ("smooth-or-featured-dr12_smooth", ...)."""
        return tuple(column for question in self.questions for column in question.columns)

    @property
    def answers(self) -> tuple[str, ...]:
        """The same as `columns`: an answer is known by its column."""
        return self.columns

    @cached_property
    def campaigns(self) -> tuple[str, ...]:
        """Campaigns (column suffixes) in the order of their first question."""
        return tuple(dict.fromkeys(self.campaign_of_question))

    @cached_property
    def campaign_of_question(self) -> tuple[str, ...]:
        """Campaign of every question."""
        return tuple(question.campaign for question in self.questions)

    @cached_property
    def campaign_of_answer(self) -> NDArray[np.str_]:
        """Campaign of every answer, shape (answers,)."""
        return np.array(self.campaign_of_question)[self.question_index]

    @cached_property
    def question_index(self) -> NDArray[np.int64]:
        """Index of the question that each answer belongs to, shape (answers,)."""
        sizes = [len(question.answers) for question in self.questions]
        return _read_only(np.repeat(np.arange(len(sizes)), sizes))

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Index of each question's first answer, shape (questions,)."""
        return _read_only(np.array([question.start for question in self.questions]))

    @cached_property
    def hash(self) -> str:
        """Content hash, 16 hexadecimal digits of BLAKE2b over names, order and parents.

        Titles, references and question texts do not enter, nor does the order of parents.
        """
        content = [[q.name, q.campaign, q.answers, sorted(q.asked_after)] for q in self.questions]
        text = json.dumps(content, separators=(",", ":"))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def question(self, name: str) -> Question:
        """Find a question by its name with suffix, "bar-gz2".

        Raises
        ------
        HoagError
            If the schema has no such question.
        """
        for question in self.questions:
            if question.name == name:
                return question
        known = [question.name for question in self.questions]
        raise HoagError(f"schema {self.name} has no question {name!r}{closest(name, known)}")

    def select(self, campaigns: str | Iterable[str]) -> "Schema":
        """Keep some campaigns, in this schema's order.

        Raises
        ------
        HoagError
            If a campaign is not in this schema.
        """
        chosen = [campaigns] if isinstance(campaigns, str) else list(campaigns)
        for name in chosen:
            if name not in self.campaigns:
                raise HoagError(
                    f"schema {self.name} has no campaign {name!r}; "
                    f"it has {', '.join(self.campaigns)}"
                )
        kept = tuple(question for question in self.questions if question.campaign in chosen)
        about = tuple(campaign for campaign in self.about if campaign.name in chosen)
        name = "+".join(name for name in self.campaigns if name in chosen)
        return Schema(name, kept, about)

    def to_dict(self) -> dict[str, Any]:
        """Give the whole schema as plain lists and texts, for JSON."""
        unplaced = ("start", "stop")
        return {
            "name": self.name,
            "version": self.version,
            "hash": self.hash,
            "campaigns": [asdict(campaign) for campaign in self.about],
            "questions": [
                {key: value for key, value in asdict(q).items() if key not in unplaced}
                for q in self.questions
            ],
        }

    @classmethod
    def from_dict(cls, content: Any, where: str = "schema") -> "Schema":
        """Make a schema from what `to_dict` gave.

        Parameters
        ----------
        content
            The dictionary, perhaps through JSON.
        where
            The file it came from, as errors name it.

        Raises
        ------
        HoagError
            If the content is no schema, or does not match the hash it carries.
        """
        try:
            questions = tuple(
                Question(
                    name=str(q["name"]),
                    campaign=str(q["campaign"]),
                    answers=tuple(map(str, q["answers"])),
                    asked_after=tuple(map(str, q["asked_after"])),
                    text=str(q.get("text", "")),
                )
                for q in content["questions"]
            )
            about = tuple(
                Campaign(str(c["name"]), str(c["title"]), str(c["survey"]), tuple(c["cite"]))
                for c in content["campaigns"]
            )
            schema = cls(str(content["name"]), questions, about, str(content["version"]))
            said = content["hash"]
        except (KeyError, TypeError, AttributeError) as error:
            raise HoagError(
                f"{where}: not a schema as hoag writes it ({type(error).__name__}: {error})"
            ) from None
        if said != schema.hash:
            raise HoagError(
                f"{where}: its content has hash {schema.hash} but it says {said}; it was changed "
                "after it was written, so restore it or load the schema from its campaign files"
            )
        return schema


def load_schema(source: str | Path | Sequence[str | Path] = "gz-evo") -> Schema:
    """Load a schema by name or from files.

    Parameters
    ----------
    source
        "gz-evo"; one of its campaigns ("gz2", "dr12", "dr5", "dr8", "candels", "hubble"); a
        campaign file of your own (.toml; see the packaged ones for its form) or an index file
        that lists several; the schema.json of a run; or a list of those, joined in order.

    Returns
    -------
    Schema

    Raises
    ------
    HoagError
        If there is no such schema, a file is not valid, or two sources bring the same campaign.

    Examples
    --------
    >>> load_schema(["gz-evo", "my-campaign.toml"])  # doctest: +SKIP
    """
    if isinstance(source, str | Path):
        return _load_one(source)
    if not source:
        raise HoagError('no schema given; write a name like "gz-evo" or a campaign file')
    return _joined([_load_one(one) for one in source], [str(one) for one in source])


def _load_one(source: str | Path) -> Schema:
    path = Path(source)
    if path.suffix == ".json":
        return Schema.from_dict(read_json(path), str(path))
    if path.suffix == ".toml":
        return _load_toml(path)
    packaged = _PACKAGED / f"{source}.toml"
    if packaged.is_file() and path.name == str(source):
        return _load_toml(packaged)
    known = sorted(file.stem for file in _PACKAGED.glob("*.toml"))
    raise HoagError(
        f"no schema or campaign {str(source)!r}{closest(str(source), known)}; hoag has "
        f"{', '.join(known)}, and a file must end in .toml or .json"
    )


def _load_toml(path: Path) -> Schema:
    raw = read_toml(path)
    if "campaigns" not in raw:
        campaign, questions = parse_campaign(raw, str(path))
        return Schema(campaign.name, questions, (campaign,))
    for key in raw:
        if key not in _INDEX_KEYS:
            raise HoagError(f"{path}: unknown key {key!r}{closest(key, _INDEX_KEYS)}")
    names, version, name = raw["campaigns"], raw.get("version", ""), raw.get("name", path.stem)
    if not isinstance(names, list) or not names or not all(isinstance(n, str) for n in names):
        raise HoagError(f'{path}: campaigns = {names!r} must be a list like ["gz2", "mine.toml"]')
    if not isinstance(version, str) or not isinstance(name, str):
        raise HoagError(f"{path}: name and version must be text in quotes")
    parts = [_load_one(path.parent / n if n.endswith(".toml") else n) for n in names]
    return replace(_joined(parts, names), name=name, version=version)


def _joined(parts: Sequence[Schema], sources: Sequence[str]) -> Schema:
    counts = Counter(name for part in parts for name in part.campaigns)
    for name, times in counts.items():
        if times > 1:
            both = [s for s, part in zip(sources, parts, strict=True) if name in part.campaigns]
            raise HoagError(
                f"campaign {name!r} comes {times} times, from {' and '.join(both)}; "
                "keep one, or give yours another name"
            )
    return Schema(
        "+".join(part.name for part in parts),
        tuple(question for part in parts for question in part.questions),
        tuple(campaign for part in parts for campaign in part.about),
        parts[0].version if len(parts) == 1 else "",
    )


def _read_only(array: NDArray[np.int64]) -> NDArray[np.int64]:
    array = array.astype(np.int64)
    array.flags.writeable = False
    return array

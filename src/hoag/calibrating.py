"""``hoag calibrate``: temperatures fitted on validation votes, and judged on the votes of the test.

Both splits are the fixed ones of the galaxies' groups (paper sec. 3.3), so no galaxy of either was
trained on by a model that was trained on the same galaxies.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hoag.calibration import Pairs, biases, groups_of, make_pairs, reliability, summary
from hoag.catalogue import require_columns
from hoag.conditions import parse_conditions, rows_where
from hoag.console import progress, say
from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.galaxies import Galaxies
from hoag.galaxies import open as open_galaxies
from hoag.models import Model
from hoag.provenance import full_stamp
from hoag.roles import load_pretraining, read_roles
from hoag.schema import Schema
from hoag.temperatures import Temperatures, fit_temperatures, write_temperatures
from hoag.vote_choice import learned_from

# What the intervals are to hold: of all PIT values, and of those of each question with galaxies
# enough to tell.
GOAL, GOAL_OF_QUESTION, ENOUGH = (0.88, 0.92), (0.85, 0.95), 500


def open_held_out(galaxies: str | Path, schema: Schema) -> Galaxies:
    """Open galaxies with the groups, and so the splits, that training on the same place has.

    Parameters
    ----------
    galaxies
        Anything `hoag.open` takes, or a folder with a dataset.toml, whose pretraining galaxies are
        taken.
    schema
        The model's.
    """
    if (Path(galaxies) / "dataset.toml").is_file():
        return load_pretraining(read_roles(galaxies), schema).galaxies
    return open_galaxies(galaxies, schema=schema)


def calibrate(
    model: Model,
    galaxies: Galaxies,
    out: str | Path | None = None,
    *,
    by: Sequence[str] = (),
    where: str = "",
    symmetries: int = 1,
    seed: int = 0,
    store: bool = True,
) -> dict[str, Any]:
    """Fit a model's temperatures on validation votes, and judge its posteriors on test votes.

    Parameters
    ----------
    model
        A model with a vote head; from now on it has the temperatures.
    galaxies
        Galaxies with votes; their val split is fitted on, their test split judged, and their train
        split not looked at.
    out
        Folder for calibration.html and calibration.json; None writes neither.
    by
        Columns of the galaxies to judge by: text by its values, numbers in bins of equal numbers.
        `survey` is always among them where there is one.
    where
        Conditions that galaxies have to meet, such as ``source == "hart16"``.
    symmetries
        8 averages over flips and right-angle rotations. Fit with what you predict with.
    seed
        Seed of the randomised PIT.
    store
        Write the temperatures beside the model's weights, where `hoag.load` finds them.

    Returns
    -------
    dict
        What calibration.json holds.

    Raises
    ------
    HoagError
        If there are no votes in one of the splits, or no such column.
    """
    by = list(dict.fromkeys([*(["survey"] if "survey" in galaxies.columns else []), *by]))
    require_columns(galaxies.columns, by, "the galaxies")
    trained = _trained_on(model, galaxies)  # of all, as a part of them was not trained on as such
    galaxies = _meeting(galaxies, where)
    fitted, judged = (_with_votes(galaxies, name) for name in ("val", "test"))
    raw = {
        name: model.predict(part, symmetries=symmetries, calibrated=False)
        for name, part in (("val", fitted), ("test", judged))
    }
    temperatures, numbers = fit_temperatures(fitted.votes, raw["val"], model.schema)
    about = {
        "weights": model.votes_hash, "schema_hash": model.schema.hash, "symmetries": symmetries,
        "data": galaxies.hash, "galaxies": numbers,
    }  # fmt: skip
    model.temperatures = Temperatures(temperatures, about)
    results = {
        "stamp": full_stamp(seed=seed, schema_hash=model.schema.hash),
        "model": {"folder": str(model.folder or ""), "about": repr(model), "arm": model.recipe.arm},
        "data": {
            "hash": galaxies.hash, "fitted": len(fitted), "judged": len(judged),
            "where": where, "trained_on_their_train_split": trained,
        },
        "symmetries": symmetries,
        "temperatures": temperatures,
        "fitted_on": numbers,
        **_judged(model, judged, raw["test"], by, seed),
    }  # fmt: skip
    results["goal"] = _goal(results)
    if store:
        _store(model)
    if out is not None:
        from hoag.calibration_page import write_calibration_page

        out = Path(out)
        write_json(out / "calibration.json", results)
        write_calibration_page(results, model.schema, out / "calibration.html")
    return results


def _meeting(galaxies: Galaxies, where: str) -> Galaxies:
    """Keep the galaxies that meet conditions, in the groups that all of them make."""
    conditions = parse_conditions(where, "--where")
    if not conditions:
        return galaxies
    names = list(dict.fromkeys(term.column for term in conditions))
    require_columns(galaxies.columns, names, "the galaxies")
    galaxies.group_hashes  # noqa: B018  # made before rows go, as training made them
    return galaxies.where(rows_where(galaxies.select(names), conditions, "the galaxies"))


def _with_votes(galaxies: Galaxies, split: str) -> Galaxies:
    part = galaxies.split(split)
    part = part.where(part.labelled) if len(part) else part
    if len(part) == 0:
        raise HoagError(
            f"none of the {len(galaxies):,} galaxies has votes and lies in the {split} split; "
            "calibration fits on val and judges on test, so give more"
        )
    return part


def _trained_on(model: Model, galaxies: Galaxies) -> bool | None:
    """Whether the model was trained on the train split of these galaxies; None if it cannot say."""
    if model.folder is None:
        return None
    runs = [place / "run.json" for place in (model.folder, model.folder.parent)]
    record: dict[str, Any] = next((read_json(path) for path in runs if path.is_file()), {})
    known = record.get("data", {}).get("train")
    if known is None:
        return None
    train = learned_from(galaxies.split("train"), model.recipe)
    return bool(train.hash == known)


def _judged(
    model: Model, galaxies: Galaxies, raw: NDArray[np.float32], by: Sequence[str], seed: int
) -> dict[str, Any]:
    """Judge raw and tempered predictions of the same votes: all together, and group by group."""
    assert model.temperatures is not None
    votes, keys, schema = galaxies.votes, galaxies.keys, model.schema
    tempered = model.temperatures.apply(raw, schema)
    before, after = (make_pairs(votes, c, keys, schema, seed=seed) for c in (raw, tempered))
    columns = {name: galaxies.select([name])[name].to_pylist() for name in by}
    groups = []
    for cut, name, chosen in progress(groups_of(before, columns), "judging", unit="groups"):
        if not chosen.any():
            continue
        parts = before.where(chosen), after.where(chosen)
        told = {"biases": biases(parts[1])} if cut == "question" else {}
        groups.append({"by": cut, "name": name, **_both(*parts), **told})
    return {"all": _both(before, after), "groups": groups}


def _both(before: Pairs, after: Pairs) -> dict[str, Any]:
    # A temperature moves no expected fraction, so there is one reliability diagram.
    return {
        "before": summary(before),
        "after": summary(after),
        "reliability": reliability(after),
    }


def _goal(results: dict[str, Any]) -> dict[str, Any]:
    """Say whether enough of the PIT values lie in the central 90 %, and where they do not."""
    questions = [
        group for group in results["groups"]
        if group["by"] == "question" and group["after"]["galaxies"] >= ENOUGH
    ]  # fmt: skip
    low, high = GOAL_OF_QUESTION
    missed = [g["name"] for g in questions if not low <= g["after"]["pit_90"] <= high]
    return {
        "overall": list(GOAL),
        "question": list(GOAL_OF_QUESTION),
        "least_galaxies": ENOUGH,
        "questions": len(questions),
        "met_overall": GOAL[0] <= results["all"]["after"]["pit_90"] <= GOAL[1],
        "missed": missed,
    }


def _store(model: Model) -> None:
    if model.folder is None or model.temperatures is None:
        say("the model was not loaded from a folder, so its temperatures are kept in memory alone")
        return
    path = write_temperatures(model.folder, model.temperatures)
    say(f"{path}: temperatures written; hoag predict applies them from now on")


def text_of(results: dict[str, Any]) -> str:
    """Lay out what was found as lines of text: all, each campaign and each column's groups."""
    lines = [f"{'':<34}{'galaxies':>9}{'PIT in central 90 %':>22}{'rms':>8}{'floor':>8}"]
    rows = [{"by": "", "name": "all", **results["all"]}, *results["groups"]]
    for row in rows:
        if row["by"] == "question":
            continue
        before, after = row["before"], row["after"]
        name = row["name"] if row["by"] in ("", "campaign") else f"{row['by']} {row['name']}"
        shares = f"{100 * before['pit_90']:.1f} -> {100 * after['pit_90']:.1f}"
        lines.append(
            f"{name[:34]:<34}{after['galaxies']:>9,}{shares:>22}{after['rms']:>8.3f}"
            f"{after['rms_floor']:>8.3f}"
        )
    return "\n".join(lines)

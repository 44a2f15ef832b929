"""The page of ``hoag calibrate``: everything in calibration.json, drawn and explained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hoag.calibration_figures import coverage_figure, pit_figure, reliability_figure
from hoag.pages import chart, render, write_page
from hoag.schema import Schema

TEMPLATE = "calibration.html.j2"
_SURE = 4  # standard errors at which an answer is said to be off, there being dozens of answers


def write_calibration_page(results: Mapping[str, Any], schema: Schema, path: str | Path) -> Path:
    """Write the page.

    Parameters
    ----------
    results
        What `hoag.calibrating.calibrate` gives.
    schema
        Of the model: titles of its campaigns.
    path
        The page.
    """
    goal = results["goal"]
    titles = {about.name: about.title or about.name for about in schema.about}
    by: dict[str, list[dict[str, Any]]] = {}
    for group in results["groups"]:
        by.setdefault(group["by"], []).append(dict(group))
    everything = {"name": "all questions", **results["all"]}
    campaigns = [
        _campaign(name, titles.get(name, name), by["question"], schema, goal)
        for name in schema.campaigns
    ]
    limits, least = tuple(goal["question"]), goal["least_galaxies"]
    cuts = []
    for name, rows in by.items():
        if name != "question":
            coverage = coverage_figure(rows, limits, 0, [_with_number(row) for row in rows])
            cuts.append(
                {
                    "name": name, "rows": rows,
                    "coverage": chart(coverage, f"{name} coverage"),
                    "reliability": chart(reliability_figure(rows), f"{name} reliability"),
                }
            )  # fmt: skip
    page = render(
        TEMPLATE,
        results=results,
        summary=_sentences(results),
        caveats=_caveats(results),
        pit=chart(pit_figure([everything], across=1), "PIT of all votes"),
        reliability=chart(reliability_figure([everything], across=1), "reliability of all votes"),
        campaigns=[each for each in campaigns if each],
        cuts=cuts,
        least=least,
    )
    return write_page(path, page)


def _campaign(
    name: str,
    title: str,
    questions: Sequence[dict[str, Any]],
    schema: Schema,
    goal: Mapping[str, Any],
) -> dict[str, Any] | None:
    known = {question.name: question for question in schema.questions}
    rows = [row for row in questions if known[row["name"]].campaign == name]
    if not rows:
        return None
    for row in rows:
        row["label"] = known[row["name"]].short
        row["worst"] = max(row["biases"], key=lambda bias: abs(bias["off"]))
        row["worst"]["label"] = row["worst"]["answer"].rpartition("_")[2]
    low, high = goal["question"]
    for row in rows:
        row["enough"] = row["after"]["galaxies"] >= goal["least_galaxies"]
        row["met"] = low <= row["after"]["pit_90"] <= high
    labels = [_with_number(row) for row in rows]
    coverage = coverage_figure(rows, (low, high), goal["least_galaxies"], labels)
    return {
        "name": name, "title": title, "rows": rows,
        "coverage": chart(coverage, f"{name} coverage"),
        "pit": chart(pit_figure(rows), f"{name} PIT"),
        "reliability": chart(reliability_figure(rows), f"{name} reliability"),
    }  # fmt: skip


def _with_number(row: Mapping[str, Any]) -> str:
    return f"{row.get('label', row['name'])}  ({row['after']['galaxies']:,})"


def _sentences(results: Mapping[str, Any]) -> list[str]:
    before, after, goal = results["all"]["before"], results["all"]["after"], results["goal"]
    low, high = (f"{100 * end:g}" for end in goal["overall"])
    met = "within" if goal["met_overall"] else "outside"
    sentences = [
        f"{100 * after['pit_90']:.1f} % of the randomised PIT values lie in the central 90 % with "
        f"temperatures, {100 * before['pit_90']:.1f} % as the model was trained: {met} the goal of "
        f"{low} to {high} %."
    ]
    if goal["questions"]:
        low, high = (f"{100 * end:g}" for end in goal["question"])
        missed = goal["missed"]
        told = "all do" if not missed else f"all but {len(missed)} do: {', '.join(missed)} miss it"
        sentences.append(
            f"Of {goal['questions']} questions with {goal['least_galaxies']} held-out galaxies or "
            f"more each should have {low} to {high} %: {told}."
        )
    sentences.append(
        f"The votes' fractions scatter by {after['rms']:.3f} around the expected ones; the model "
        f"claims {after['rms_claimed']:.3f} with temperatures ({before['rms_claimed']:.3f} "
        f"without), and counting so few volunteers leaves {after['rms_floor']:.3f} at least."
    )
    off = [bias for group in results["groups"] for bias in group.get("biases", ())]
    surely = [bias for bias in off if abs(bias["off"]) > _SURE * bias["error"]]
    if surely:
        worst = max(surely, key=lambda bias: abs(bias["off"]))
        sentences.append(
            f"The expected fractions of {len(surely)} of {len(off)} answers are off by more than "
            f"{_SURE} standard errors, most of all {worst['answer']}: {worst['off']:+.3f} ± "
            f"{1.96 * worst['error']:.3f}. No temperature can mend that."
        )
    return sentences


def _caveats(results: Mapping[str, Any]) -> list[str]:
    caveats = []
    trained = results["data"]["trained_on_their_train_split"]
    if trained is None:
        caveats.append(
            "There is no record of what the model was trained on, so it cannot be said that these "
            "galaxies are new to it."
        )
    elif not trained:
        caveats.append(
            "The model was trained on other galaxies than the train split of these; galaxies that "
            "both sets have under the same group are in the same split, others may have been "
            "trained on."
        )
    if results["data"]["judged"] < results["goal"]["least_galaxies"]:
        caveats.append(f"Only {results['data']['judged']:,} held-out galaxies are judged.")
    return caveats

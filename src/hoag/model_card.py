"""The card of an exported model: the README.md that the Hub shows, a function of its run alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hoag.citation import reference
from hoag.files import read_json
from hoag.goal_scores import CONFUSION
from hoag.notebook import facts_of

if TYPE_CHECKING:
    from hoag.models import Model

CARD, TEMPLATE = "README.md", "model_card.md.j2"
_THANKS = (
    "This work was made possible by the Galaxy Zoo volunteers, who collectively created the "
    "crucial morphology labels."
)
_SENTENCES = {
    "direct": "An encoder of galaxy images, trained on labels of one task.",
    "pretrained": "An encoder of galaxy images, trained to predict the votes of volunteers.",
    "contrastive": "An encoder of galaxy images, trained without labels (BYOL).",
    "hybrid": "An encoder of galaxy images, trained on images and the votes of volunteers at once "
    "(Walmsley et al. 2022).",
    "finetune": "An encoder of galaxy images, finetuned.",
    "encoder": "An encoder, as it was loaded by hoag.",
}


def write_card(
    model: Model, folder: Path, name: str, licence: str | None = None, place: str | None = None
) -> Path:
    """Write the card of an exported model.

    Parameters
    ----------
    model
        The model.
    folder
        Where its files are, and the card will be.
    name
        Title.
    licence
        As the Hub writes it; None: none is chosen.
    place
        Where it will be on the Hub, "user/name"; None: the card speaks of a folder.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), trim_blocks=True,
        lstrip_blocks=True, undefined=jinja2.StrictUndefined, keep_trailing_newline=True,
        autoescape=False,
    )  # fmt: skip
    goal, facts = getattr(model.objective, "goal", None), facts_of(model)
    shown = ("encoder", "gives", "answers", "calibrated", "hash")
    text = environment.get_template(TEMPLATE).render(
        front=_front_matter(model, name, licence),
        name=name,
        sentence=_SENTENCES[model.recipe.arm],
        size=model.recipe.images.size,
        normalised=hasattr(model.encoder, "input_mean"),
        features=model.objective.features,
        address=f"hf_hub:{place}" if place else "local-dir:FOLDER",
        hoag_address=f"hf:{place}" if place else "FOLDER",
        verb="predict" if goal is not None and goal.kind != "votes" else "embed",
        onnx=_onnx_outputs(folder),
        facts=[(key, _cell(facts[key])) for key in shown if key in facts],
        campaigns=list(_campaigns(model)),
        training=[(key, _cell(value)) for key, value in _training(model)],
        results=_results(folder),
        loss=_loss(model),
        licence=licence,
        citations=list(_citations(model)),
        thanks=_THANKS if credited(model) else "",
    )
    path = folder / CARD
    path.write_text(text, encoding="utf-8")
    return path


def credited(model: Model) -> list[str]:
    """Campaigns whose votes the weights have seen, this run's or those it started from."""
    record = model.record
    own: list[str] = []
    if getattr(model.objective, "vote_head", None) is not None:
        told = record.get("trained_on", {}).get("campaigns")
        own = list(model.schema.campaigns if told is None else told)
    return [*own, *record.get("started_from", {}).get("campaigns", [])]


def _front_matter(model: Model, name: str, licence: str | None) -> str:
    """YAML of the Hub, whose texts are quoted as JSON, which YAML takes."""
    goal = getattr(model.objective, "goal", None)
    classifies = bool(model.classes) or (goal is not None and goal.kind == "classes")
    lines = [f"license: {json.dumps(licence)}"] if licence else []
    lines += ["library_name: timm", f"model_name: {json.dumps(name)}"]
    kind = "image-classification" if classifies else "image-feature-extraction"
    lines += [f"pipeline_tag: {kind}", "tags:"]
    tags = ("timm", "image-feature-extraction", "astronomy", "galaxies", "galaxy-zoo", "hoag")
    lines += [f"- {tag}" for tag in tags]
    started = model.record.get("started_from", {}).get("name", "")
    if started.startswith("hf:") and "/" in started:
        lines += [f"base_model: {json.dumps(started.removeprefix('hf:'))}"]
    return "\n".join(lines)


def _onnx_outputs(folder: Path) -> list[str]:
    path = folder / "model.onnx"
    if not path.is_file():
        return []
    import onnx

    return [output.name for output in onnx.load(str(path)).graph.output]


def _campaigns(model: Model) -> Iterator[dict[str, Any]]:
    if getattr(model.objective, "vote_head", None) is None:
        return
    about = {campaign.name: campaign for campaign in model.schema.about}
    for name in model.schema.campaigns:
        own = model.schema.select(name)
        campaign = about.get(name)
        yield {
            "name": name,
            "title": "" if campaign is None else _cell(campaign.title),
            "survey": "" if campaign is None else _cell(campaign.survey),
            "questions": len(own.questions),
            "answers": len(own.columns),
        }


def _training(model: Model) -> Iterator[tuple[str, Any]]:
    """Say what was done with what data, as the run recorded it."""
    record, recipe = model.record, model.recipe
    if not record:
        return
    yield "arm", recipe.arm
    if "started_from" in record:
        started = record["started_from"]
        yield "started from", f"{started['name']}, weights {started['hash']}"
        moved = {"head": "the head alone", "all": "all layers"}
        blocks = f"the head and the last {recipe.finetune.blocks} of the encoder's blocks"
        yield "what moved", moved.get(recipe.finetune.train, blocks)
    told = record.get("trained_on") or {}
    if told:
        yield "galaxies", f"{told['galaxies']:,}, stopped by {told['validation_galaxies']:,} others"
    if told.get("campaigns"):
        each = (f"{name} {number:,}" for name, number in told["campaigns"].items())
        yield "with votes", f"{', '.join(each)} (by the campaign that asked most)"
        yield "votes", f"{told['votes']:,} answers of volunteers"
    if recipe.votes.leave_out:
        yield "questions left out", ", ".join(recipe.votes.leave_out)
    progress = record.get("progress") or {}
    if "step" in progress:
        seen = f"{progress['step']:,} of {recipe.batch.size} galaxies each"
        yield "steps", f"{seen}, the best after {progress['best_step']:,}"
    for name, digest in (record.get("data") or {}).items():
        yield f"{name}, hash", f"`{digest}`"
    yield "seed", recipe.seed
    yield "hoag", f"{record.get('hoag', '')} ({record.get('commit') or 'no commit on record'})"
    libraries = record.get("libraries") or {}
    if libraries:
        yield "libraries", ", ".join(f"{key} {value}" for key, value in libraries.items())


def _results(folder: Path) -> dict[str, Any] | None:
    """Lay out results.json as a table: a row for all, then one for each part."""
    path = folder / "hoag" / "results.json"
    if not path.is_file():
        return None
    content = read_json(path)
    split = "test" if "test" in content else "val"
    scores = content[split]
    by = scores["by"]
    names = [key for key in next(iter(by.values())) if key != "galaxies"]
    whole = [
        f"{key.replace('_', ' ')} {value:.3f}"
        for key, value in scores.items()
        if isinstance(value, float)
    ]
    head = ["", "galaxies", *(name.replace("_", " ") for name in names)]
    rows = [
        [f"`{_cell(part)}`", str(of["galaxies"]), *(_figure(of[name]) for name in names)]
        for part, of in by.items()
    ]
    count = content["galaxies"][split]
    picture = CONFUSION if (folder / "hoag" / CONFUSION).is_file() else ""
    return {"split": split, "galaxies": count, "whole": whole, "head": head, "rows": rows,
            "picture": picture}  # fmt: skip


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"


def _loss(model: Model) -> str:
    progress = model.record.get("progress") or {}
    if progress.get("best") is None:
        return ""
    return (
        f"Best `{model.objective.monitor}` on the validation split: {progress['best']:.4f}, after "
        f"{progress['best_step']:,} steps."
    )


def _citations(model: Model) -> Iterator[str]:
    from hoag.schema import load_schema

    keys = dict.fromkeys(["walmsley2022foundation"])
    if model.recipe.arm in ("contrastive", "hybrid"):
        keys["grill2020byol"] = None
    about = {campaign.name: campaign for campaign in load_schema("gz-evo").about}
    about |= {campaign.name: campaign for campaign in model.schema.about}
    for name in credited(model):
        if name in about:
            keys |= dict.fromkeys(about[name].cite)
    yield from dict.fromkeys(reference(key) for key in keys)


def _cell(text: Any) -> str:
    return " ".join(str(text).replace("|", r"\|").split())

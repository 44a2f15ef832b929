"""What notebooks show of a model, of galaxies and of a schema: tables, galleries and trees."""

import base64
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hoag.galaxies import Galaxies
    from hoag.models import Model
    from hoag.schema import Schema

SHOWN, SIDE = 12, 96  # galaxies of a gallery, and the pixels each is shown at

# Colours are the notebook's own, so that dark themes stay dark.
_TREE = "font-size:12px;line-height:1.35;margin:4px 0 10px;white-space:pre;overflow-x:auto"
_CELL = "text-align:left;padding:2px 10px 2px 0;vertical-align:top"


def schema_html(schema: "Schema") -> str:
    """Show the decision tree of each campaign, to be folded out."""
    from hoag.decision_trees import draw_tree

    trees = []
    for name in schema.campaigns:
        heading, _, tree = draw_tree(schema, name).partition("\n")
        opened = " open" if len(schema.campaigns) == 1 else ""
        trees.append(
            f"<details{opened}><summary>{escape(heading)}</summary>"
            f'<pre style="{_TREE}">{escape(tree)}</pre></details>'
        )
    head = f"{schema.name}: {len(schema.questions)} questions, {len(schema.columns)} answers"
    return f"<div><b>{escape(head)}</b> <code>{schema.hash}</code>{''.join(trees)}</div>"


def galaxies_html(galaxies: "Galaxies") -> str:
    """Show the first galaxies, and how many there are."""
    text = escape(repr(galaxies))
    if not len(galaxies):
        return f"<div>{text}</div>"
    count = min(SHOWN, len(galaxies))
    pictures = galaxies.pixels(range(count), SIDE).transpose(0, 2, 3, 1)
    names = galaxies.ids_of(range(count))
    cells = "".join(
        f'<figure style="margin:0;width:{SIDE}px"><img width="{SIDE}" height="{SIDE}" '
        f'alt="galaxy {escape(name)}" src="data:image/jpeg;base64,{_jpeg(picture)}">'
        f'<figcaption style="font-size:10px;overflow-wrap:anywhere">{escape(name)}</figcaption>'
        "</figure>"
        for name, picture in zip(names, pictures, strict=True)
    )
    more = f" The first {count} of them:" if count < len(galaxies) else ""
    return (
        f"<div>{text}{more}<div style='display:flex;flex-wrap:wrap;gap:8px;margin-top:6px'>"
        f"{cells}</div></div>"
    )


def _jpeg(picture: Any) -> str:
    from hoag.images import encode_jpeg

    return base64.b64encode(encode_jpeg(picture)).decode()


def model_html(model: "Model") -> str:
    """Show what a model is, what it answers and where it is from."""
    rows = facts_of(model)
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL}">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in rows.items()
    )
    return f"<div><b>{escape(model.name)}</b><table>{lines}</table></div>"


def facts_of(model: "Model") -> Mapping[str, str]:
    """Give what people ask of a model first, in words."""
    recipe, record = model.recipe, model.record
    weights = sum(p.numel() for p in model.encoder.parameters())
    facts = {
        "encoder": f"{recipe.encoder.name}, {_amount(weights)} weights",
        "takes": f"RGB images of {recipe.images.size} px",
        "gives": f"{model.objective.features} features",
        "answers": answers_of(model),
        "hash": model.hash,
        "device": str(model.device),
    }
    steps = (record.get("progress") or {}).get("best_step")
    if steps is not None:
        facts["trained"] = f"{steps:,} steps of {recipe.batch.size} galaxies"
    if "started_from" in record:
        facts["started from"] = f"{record['started_from']['name']}"
    if model.temperatures is not None:
        facts["calibrated"] = f"{len(model.temperatures.by_question)} questions"
    return facts


def _amount(number: int) -> str:
    return f"{number / 1e6:.1f} M" if number >= 1e6 else f"{number:,}"


def answers_of(model: "Model") -> str:
    """Say what a model predicts beside its representation."""
    from hoag.catalogue import list_names

    goal = getattr(model.objective, "goal", None)
    if goal is not None and goal.kind != "votes":
        return f"{goal.kind}: {list_names(goal.names)}"
    if model.classes:
        return f"classes: {list_names(model.classes)}"
    if getattr(model.objective, "vote_head", None) is not None:
        schema = model.schema
        return (
            f"votes on {len(schema.questions)} questions of {', '.join(schema.campaigns)} "
            f"({len(schema.columns)} answers)"
        )
    return "nothing: it represents alone"

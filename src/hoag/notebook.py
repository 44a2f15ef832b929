"""What notebooks show of hoag's objects: galleries, tables, trees and pictures."""

import base64
from collections.abc import Mapping
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from hoag.asking import Calibration
    from hoag.curves import Curve
    from hoag.galaxies import Galaxies
    from hoag.galaxy import Galaxy
    from hoag.models import Model
    from hoag.schema import Schema

SHOWN, SIDE = 12, 96  # galaxies of a gallery, and the pixels each is shown at
LARGE, ROWS = 192, 16  # pixels of one galaxy, and the columns of its table that are shown

# Colours are the notebook's own, so that dark themes stay dark.
_TREE = "font:12px/1.35 monospace;margin:4px 0 10px;white-space:pre;overflow-x:auto"
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


def galaxy_html(galaxy: "Galaxy") -> str:
    """Show one galaxy beside what its table says of it; votes of 0 are left out."""
    said = {
        name: f"{value:.5g}" if isinstance(value, float) else str(value)
        for name, value in galaxy.row.items()
        if value is not None and value != 0 and not isinstance(value, bytes | list | dict)
    }
    more = f"<p>and {len(said) - ROWS} more columns</p>" if len(said) > ROWS else ""
    return (
        f"<div>{escape(repr(galaxy))}"
        "<div style='display:flex;flex-wrap:wrap;gap:16px;margin-top:6px;align-items:flex-start'>"
        f'<img width="{LARGE}" height="{LARGE}" style="object-fit:contain" '
        f'alt="galaxy {escape(galaxy.id_str)}" src="data:image/jpeg;base64,{_jpeg(galaxy.image)}">'
        f"<div>{_facts_table(dict(list(said.items())[:ROWS]))}{more}</div></div></div>"
    )


def _facts_table(facts: Mapping[str, str]) -> str:
    lines = "".join(
        f'<tr><th scope="row" style="{_CELL}">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    return f"<table>{lines}</table>"


def figure_html(figure: "Figure", what: str) -> str:
    """Show a figure on white, so that its inks can be read in a dark notebook too."""
    from hoag.figure_style import png_bytes
    from hoag.pages import data_uri

    source = data_uri(png_bytes(figure, dpi=80), "image/png")
    return f'<img alt="{escape(what)}" style="max-width:100%;background:#fff" src="{source}">'


def curve_html(curve: "Curve") -> str:
    """Show accuracy against the number of labels."""
    from hoag.figure_style import new_figure

    figure = new_figure(7.2, 4.4, layout="constrained")
    curve.plot(figure.add_subplot())
    return f"<p>{escape(repr(curve))}</p>" + figure_html(figure, "accuracy by labels")


def calibration_html(results: "Calibration") -> str:
    """Show how many votes fall into the intervals of 90 %, before and after temperatures."""
    head = (
        "votes of",
        "galaxies",
        "in the central 90 %, as trained",
        "with temperatures",
        "rms",
        "noise floor",
    )
    lines = []
    for row in [{"by": "", "name": "all", **results["all"]}, *results["groups"]]:
        if row["by"] == "question":
            continue
        before, after = row["before"], row["after"]
        name = row["name"] if row["by"] in ("", "campaign") else f"{row['by']} {row['name']}"
        cells = (
            name,
            f"{after['galaxies']:,}",
            f"{before['pit_90']:.1%}",
            f"{after['pit_90']:.1%}",
            f"{after['rms']:.3f}",
            f"{after['rms_floor']:.3f}",
        )
        lines.append("".join(f'<td style="{_CELL}">{escape(cell)}</td>' for cell in cells))
    top = "".join(f'<th scope="col" style="{_CELL}">{cell}</th>' for cell in head)
    rows = "".join(f"<tr>{line}</tr>" for line in (top, *lines))
    picture = figure_html(results.plot(), "PIT histograms before and after")
    return f"<div><table>{rows}</table>{picture}</div>"


def _jpeg(picture: Any) -> str:
    from hoag.images import encode_jpeg

    return base64.b64encode(encode_jpeg(picture)).decode()


def model_html(model: "Model") -> str:
    """Show what a model is, what it answers and where it is from."""
    return f"<div><b>{escape(model.name)}</b>{_facts_table(facts_of(model))}</div>"


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

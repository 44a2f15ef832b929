"""The report: one page that holds every figure, table, setting and command of a protocol's run.

The page needs nothing from outside itself. Charts stand in it as SVG, in the page's fonts and inks,
so that they are sharp at any size and follow the reader's light or dark mode.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hoag.errors import HoagError
from hoag.figure_style import arm_styles
from hoag.files import written_whole
from hoag.pages import chart, data_uri, page_environment

TEMPLATE = "report.html.j2"
_METRICS = {"accuracy": "Accuracy", "balanced_accuracy": "Balanced accuracy", "auc": "AUC"}
_DIRECT = "direct"  # trained on a few trials, so on other held-out galaxies than the other arms
_SIGNATURES = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"RIFF": "image/webp"}


def write_report(results: Mapping[str, Any], figures: Mapping[str, Any], out: str | Path) -> Path:
    """Write the page of a protocol's results.

    Parameters
    ----------
    results
        What results.json holds: stamp, settings, dataset, tasks (each with its curve and paired
        differences), arms (each with recipe, command and history), fig2, caveats, commands.
    figures
        matplotlib Figures, or the bytes of PNG, JPEG, WebP or SVG, by place: ``fig1:TASK``,
        ``fig2``, ``gallery:TASK:ARM``, ``posteriors`` or ``posteriors:ARM``, and ``training``; any
        others go to the end under their names.
    out
        The page's path, or the folder for a ``report.html``.

    Returns
    -------
    pathlib.Path
        The page.

    Raises
    ------
    HoagError
        If the results lack a part that the page is about, or a figure is of no known kind.
    """
    missing = [part for part in ("stamp", "tasks", "caveats") if part not in results]
    if missing:
        raise HoagError(
            f"the results have no {missing[0]!r}; the report needs what results.json has"
        )
    environment = page_environment()
    environment.filters |= {"percent": _percent, "points": _points, "number": _number}
    page = environment.get_template(TEMPLATE).render(
        results=results,
        title=f"Label efficiency on {results.get('dataset', {}).get('name', 'galaxies')}",
        summary=summary_sentences(results),
        tasks=[_task(task, figures) for task in results["tasks"]],
        arms=_arms(results.get("arms", {})),
        shown={name: _embedded(name, figure) for name, figure in figures.items()},
        posteriors=[name for name in figures if name.startswith("posteriors")],
        others=[name for name in figures if not _has_a_place(name)],
        protocol=results.get("settings", {}),
        settings=list(_flat(results.get("settings", {}))),
        runs=_runs_sentence(results),
        provenance=list(_flat(results["stamp"])),
    )
    out = Path(out)
    path = out if out.suffix == ".html" else out / "report.html"
    with written_whole(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def summary_sentences(results: Mapping[str, Any]) -> dict[str, list[str]]:
    """Say in plain words what the numbers of each task show, with their intervals and doubts."""
    summary = {}
    for task in results["tasks"]:
        ranked = _ranked(task["curve"])
        everywhere = _sizes_of_most_arms(ranked)
        summary[task["name"]] = [
            _best_sentence(size, ranked) for size in dict.fromkeys((everywhere[0], everywhere[-1]))
        ] + list(_paired_sentences(task))
    return summary


def _ranked(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows that may be ranked against each other: all but Direct's, if there are others."""
    return [row for row in rows if row["arm"] != _DIRECT] or list(rows)


def _runs_sentence(results: Mapping[str, Any]) -> str:
    """Say whether the intervals cover the luck of pretraining; "" where a caveat says it."""
    seeds = results.get("settings", {}).get("pretraining_seeds", 1)
    if seeds > 1:
        return (
            f"Each arm was pretrained {seeds} times with seeds of its own: the intervals cover "
            "which galaxies were held out and the luck of a run."
        )
    if any("intervals cover" in caveat.lower() for caveat in results["caveats"]):
        return ""
    return (
        "Each arm was pretrained once: the intervals cover which galaxies were held out, not the "
        "luck of a training run."
    )


def _sizes_of_most_arms(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Sizes at which as many arms were measured as at any."""
    counts: dict[int, int] = {}
    for row in rows:
        counts[row["size"]] = counts.get(row["size"], 0) + 1
    return sorted(size for size, count in counts.items() if count == max(counts.values()))


def _best_sentence(size: int, rows: Sequence[Mapping[str, Any]]) -> str:
    own = sorted((row for row in rows if row["size"] == size), key=lambda row: -row["accuracy"])
    styles = arm_styles([row["arm"] for row in rows])
    first = own[0]
    low, high = _percent(first["accuracy_low"]), _percent(first["accuracy_high"])
    text = (
        f"With {size:,} labels {styles[first['arm']].label} gets {_percent(first['accuracy'])} % "
        f"of held-out galaxies right (95 % interval {low} to {high})"
    )
    others = [f"{styles[row['arm']].label} {_percent(row['accuracy'])} %" for row in own[1:]]
    return text + (f"; then {', '.join(others)}." if others else ".")


def _paired_sentences(task: Mapping[str, Any]) -> Iterator[str]:
    """Say of each pair of arms at how many sizes the interval of their difference leaves out 0."""
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in task.get("paired", ()):
        if row.get("metric", "accuracy") == "accuracy":
            pairs.setdefault((row["a"], row["b"]), []).append(row)
    same: dict[str, list[str]] = {}
    against_direct = []
    for pair, rows in pairs.items():
        a, b = (arm_styles([arm])[arm].label for arm in pair)
        verdict = _verdict(rows)
        if pair[1] == _DIRECT:
            against_direct.append(f"{a} {verdict}")
        elif verdict.startswith("ahead at every"):
            same.setdefault("Ahead at every number of labels", []).append(f"{a} of {b}")
        elif verdict.startswith("behind at every"):
            same.setdefault("Ahead at every number of labels", []).append(f"{b} of {a}")
        elif verdict.startswith("not told apart"):
            same.setdefault("Not told apart at any number of labels", []).append(f"{a} and {b}")
        else:
            yield f"{a} against {b}, of {len(rows)} numbers of labels: {verdict}."
    for verdict, names in same.items():
        yield f"{verdict}: {'; '.join(names)}."
    if against_direct:
        yield f"Against Direct, on its few trials alone: {'; '.join(against_direct)}."


def _verdict(rows: Sequence[Mapping[str, Any]]) -> str:
    ahead = sum(row["low"] > 0 for row in rows)
    behind = sum(row["high"] < 0 for row in rows)
    if ahead == behind == 0:
        return "not told apart at any number of labels"
    for count, word in ((ahead, "ahead"), (behind, "behind")):
        if count == len(rows):
            return f"{word} at every number of labels"
    counts = ((ahead, "ahead"), (behind, "behind"), (len(rows) - ahead - behind, "neither"))
    return ", ".join(f"{word} at {count}" for count, word in counts if count)


def _task(task: Mapping[str, Any], figures: Mapping[str, Any]) -> dict[str, Any]:
    """Lay a task's rows out as tables: a line an arm, a column a size."""
    rows = task["curve"]
    sizes = sorted({row["size"] for row in rows})
    arms = arm_styles(list(dict.fromkeys(row["arm"] for row in rows)))
    cells = {(row["arm"], row["size"]): row for row in rows}
    ranked = _ranked(rows)
    best = {
        size: max((row["accuracy"] for row in ranked if row["size"] == size), default=None)
        for size in sizes
    }
    of_direct = sorted({row["trials"] for row in rows if row["arm"] == _DIRECT})
    tables = [
        {
            "metric": metric,
            "title": title,
            "lines": [(style, [cells.get((arm, size)) for size in sizes])
                      for arm, style in arms.items()],
        }
        for metric, title in _METRICS.items()
        if metric in rows[0]
    ]  # fmt: skip
    prefix = f"gallery:{task['name']}:"
    found = {name: name.removeprefix(prefix) for name in figures if name.startswith(prefix)}
    return {
        **task,
        "sizes": sizes,
        "tables": tables,
        "best": best,
        "ranked": {row["arm"] for row in ranked},
        "direct_trials": " to ".join(dict.fromkeys(map(str, of_direct[:1] + of_direct[-1:]))),
        "pixels": "raw pixels" in arms,
        "pairs": _pairs(task.get("paired", ()), sizes),
        "fig1": f"fig1:{task['name']}",
        "final": _final(task),
        "galleries": [(name, arm_styles([arm])[arm]) for name, arm in found.items()],
    }


def _final(task: Mapping[str, Any]) -> dict[str, Any] | None:
    """Lay out the scores on the test half, if it was opened."""
    rows = task.get("final")
    if not rows:
        return None
    laid = _task({"name": "", "curve": rows}, {})
    kept = ("sizes", "best", "ranked", "direct_trials")
    return {name: laid[name] for name in kept} | {"table": laid["tables"][0]}


def _pairs(rows: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    own = [row for row in rows if row.get("metric", "accuracy") == "accuracy"]
    kept = [size for size in sizes if any(row["size"] == size for row in own)]
    lines: dict[tuple[str, str], dict[int, Mapping[str, Any]]] = {}
    for row in own:
        lines.setdefault((row["a"], row["b"]), {})[row["size"]] = row
    return {
        "sizes": kept,
        "lines": [
            ([arm_styles([arm])[arm] for arm in pair], [cells.get(size) for size in kept])
            for pair, cells in lines.items()
        ],
    }


def _arms(arms: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    styles = arm_styles(list(arms))
    return [
        {**arm, "style": styles[name], "recipe": list(_flat(arm.get("recipe", {})))}
        for name, arm in arms.items()
    ]


def _flat(content: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted names and values of nested settings."""
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif isinstance(value, list | tuple):
            yield f"{above}{name}", ", ".join(str(part) for part in value)
        else:
            yield f"{above}{name}", "–" if value is None else value


def _has_a_place(name: str) -> bool:
    return name in ("fig2", "training") or name.split(":")[0] in ("fig1", "gallery", "posteriors")


def _embedded(name: str, figure: Any) -> str:
    """Markup of a figure that needs no other file: SVG as it is, pictures as data URIs."""
    from markupsafe import Markup, escape

    if isinstance(figure, bytes):
        if b"<svg" in figure[:1000]:
            kind = "image/svg+xml"
        else:
            kind = next((k for start, k in _SIGNATURES.items() if figure.startswith(start)), "")
        if not kind:
            raise HoagError(f"figure {name!r} is neither PNG, JPEG, WebP nor SVG")
        source = data_uri(figure, kind)
        return Markup(f'<img class="picture" alt="{escape(name)}" src="{source}">')
    if not hasattr(figure, "savefig"):
        raise HoagError(f"figure {name!r} is a {type(figure).__name__}; give a Figure or bytes")
    return chart(figure, name)


def _percent(value: float) -> str:
    return f"{100 * value:.1f}"


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _number(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)

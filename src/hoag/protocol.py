"""The paper's protocol from end to end: train the arms, probe them on new tasks, write it all down.

Every stage leaves a file and is skipped when that file is there, so that a stopped run goes on
where it was. What is run is a TOML file (``src/hoag/protocols``): sizes, budgets and label numbers.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hoag.campaigns import closest
from hoag.console import say
from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.options import option
from hoag.provenance import full_stamp
from hoag.recipe import Recipe, load_recipe
from hoag.roles import Pretraining, Roles, load_pretraining
from hoag.tasks import Task, load_tasks
from hoag.toml_settings import build_settings, read_toml
from hoag.vote_choice import answers_of

PROTOCOLS = Path(__file__).parent / "protocols"
PRETRAINED_ARMS = ("pretrained", "contrastive", "hybrid")
"""The arms that learn a representation before they see a downstream label."""


@dataclass(frozen=True)
class ProtocolSettings:
    """What a run of the protocol does; each field is an option of a protocol file."""

    preset: str = option("paper", "family of recipes each arm starts from: paper or hoag")
    arms: tuple[str, ...] = option(PRETRAINED_ARMS, "which are pretrained and judged")
    tasks: tuple[str, ...] = option((), "names of the downstream tasks judged; none: all")
    galaxies_seen: int = option(30_000, "galaxies each pretraining arm sees, repeats counted")
    pretraining_seeds: int = option(1, "runs of each pretraining arm, with seed, seed + 1, ...")
    checkpoint: str = option("last", "which checkpoint is judged: best (by the monitor) or last")
    validations: int = option(5, "validations, with online probes, along each pretraining run")
    every: dict[str, Any] = option({}, "options of the recipes of all arms, by dotted name")
    pretrained: dict[str, Any] = option({}, "options of this arm alone")
    contrastive: dict[str, Any] = option({}, "options of this arm alone")
    hybrid: dict[str, Any] = option({}, "options of this arm alone")
    direct: dict[str, Any] = option({}, "options of this arm alone")
    sizes: tuple[int | str, ...] = option((50, 100, 200, 400, 800, "all"), "numbers of labels")
    folds: int = option(5, "parts the labelled galaxies are cut into; each is held out in turn")
    subsets: int = option(20, "nested subsets of labels in each fold, up to 3,000 labels")
    repeats: int = option(20, "fresh cuts into folds, for tasks too small for a test half")
    direct_sizes: tuple[int | str, ...] = option((100, "all"), "numbers of labels for Direct")
    direct_trials: tuple[int, ...] = option(
        (3,),
        "trials of Direct at each of these sizes, which then rise, each with its own fold; "
        "the last goes on",
    )
    direct_epochs: int = option(40, "passes of Direct over its labels")
    direct_steps: tuple[int, int] = option((100, 2000), "least and most steps of Direct")
    symmetries: int = option(1, "1, or 8: representations averaged over flips and right angles")
    pixels: int = option(32, "side in pixels of the raw-pixels baseline")
    probed: int = option(1500, "most galaxies of a task in an online probe")
    caveats: tuple[str, ...] = option((), "what this size can and cannot show, for the report")

    def __post_init__(self) -> None:
        if self.checkpoint not in ("best", "last"):
            raise HoagError(f"checkpoint = {self.checkpoint!r} must be best or last")
        for arm in self.arms:
            if arm not in PRETRAINED_ARMS or self.arms.count(arm) > 1:
                raise HoagError(
                    f"arms = {list(self.arms)} must be some of {', '.join(PRETRAINED_ARMS)}, "
                    f"each once{'' if arm in PRETRAINED_ARMS else closest(arm, PRETRAINED_ARMS)}"
                )
        least = {
            "galaxies_seen": 1,
            "validations": 1,
            "pretraining_seeds": 1,
            "folds": 2,
            "subsets": 1,
            "repeats": 1,
        }
        for name, value in least.items():
            if getattr(self, name) < value:
                raise HoagError(f"{name} = {getattr(self, name)} must be {value} or more")
        if not self.direct_trials or min(self.direct_trials) < 0:
            raise HoagError(
                f"direct_trials = {list(self.direct_trials)} must be numbers of trials, 0 or more, "
                "one for each of direct_sizes or fewer"
            )
        ascending = sorted(self.direct_sizes, key=lambda size: (size == "all", size))
        if len(self.direct_trials) > 1 and (
            list(self.direct_sizes) != ascending or len(self.direct_trials) > len(ascending)
        ):
            raise HoagError(
                f"direct_trials = {list(self.direct_trials)} goes by direct_sizes, so these must "
                f"rise, 'all' the last, and be no fewer: {list(self.direct_sizes)}"
            )

    def recipe(self, arm: str, seed: int) -> Recipe:
        """Make the recipe of an arm: the preset's, changed as this protocol says."""
        recipe = load_recipe(f"{self.preset}/{arm}")
        changes = {**self.every, **getattr(self, arm), "seed": seed}
        if arm in PRETRAINED_ARMS:
            batch = changes.get("batch.size", recipe.batch.size)
            steps = max(1, self.galaxies_seen // batch)
            changes = {
                "training.steps": steps,
                "training.validate_every": -(-steps // self.validations),
                "training.save_every": max(1, min(steps // self.validations, 500)),
                "training.log_every": max(1, min(steps // 20, 50)),
                "training.patience": 0,  # a fixed number of steps: a seed repeats
                **changes,
            }
        return recipe.changed(changes)


@dataclass
class Job:
    """One run of the protocol: what its stages share."""

    settings: ProtocolSettings
    out: Path
    seed: int
    device: str
    roles: Roles
    tasks: list[Task]
    pretraining: Pretraining


def load_protocol(name: str | Path, changes: Mapping[str, Any] | None = None) -> ProtocolSettings:
    """Load a protocol by the name of one that ships with hoag or the path of a TOML file.

    Raises
    ------
    HoagError
        If there is none, or an option is misspelt or has an unfit value.
    """
    path = next((p for p in (Path(name), PROTOCOLS / f"{name}.toml") if p.is_file()), None)
    if path is None:
        known = ", ".join(sorted(p.stem for p in PROTOCOLS.glob("*.toml")))
        raise HoagError(f"{name}: no such protocol; give a TOML file or one of {known}")
    content = {**read_toml(path), **(changes or {})}
    settings: ProtocolSettings = build_settings(ProtocolSettings, content, str(path))
    return settings


def run_protocol(
    roles: Roles,
    settings: ProtocolSettings,
    out: str | Path,
    *,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
    final: bool = False,
    commands: Sequence[str] = (),
) -> dict[str, Any]:
    """Run the protocol on a data set and leave report.html, results.json and the figures in `out`.

    Parameters
    ----------
    roles
        Which tables play which part.
    settings
        What to do.
    out
        Folder of the results; also holds the runs and the embeddings.
    seed
        The same seed on the same machine gives the same numbers.
    device
        auto, cpu, cuda or mps.
    resume
        Go on with what is in `out`; without it, a folder with results is refused.
    final
        Score the test halves too.
    commands
        The commands that led here, for the report.

    Returns
    -------
    dict
        What results.json holds.

    Raises
    ------
    HoagError
        If `out` holds another run, or the data do not bear the protocol.
    """
    from hoag.results import write_results
    from hoag.stages import judge, judge_final, pretrain

    out = Path(out)
    if (out / "protocol.json").exists() and not resume:
        raise HoagError(f"{out}: holds an earlier run; go on with --resume or choose another --out")
    tasks = load_tasks(roles, settings.tasks)
    if not tasks:
        raise HoagError(
            f"{roles.name}: its dataset.toml names no downstream task, so nothing to judge"
        )
    job = Job(settings, out, seed, device, roles, tasks, load_pretraining(roles))
    schema = job.pretraining.galaxies.schema
    for arm in settings.arms:  # a misspelt option is told before anything is written
        answers_of(settings.recipe(arm, seed).votes.leave_out, schema)
    _claim(job)
    pretrain(job, job.pretraining.galaxies)
    curves = {task.name: judge(job, task, schema) for task in tasks}
    finals = {t.name: judge_final(job, t, schema) for t in tasks if final and t.halves}
    stamp = full_stamp(seed=seed, schema_hash=schema.hash)
    return write_results(job, curves, finals, stamp, list(commands))


def _claim(job: Job) -> None:
    """Record in protocol.json what the folder is for, or check that it is for this."""
    path = job.out / "protocol.json"
    wanted = {**settings_dict(job.settings, job.seed), "data": data_hashes(job)}
    if not path.exists():
        write_json(path, wanted)
        return
    # What the file does not say, it was begun without: then it was as it is by default.
    before = {**settings_dict(ProtocolSettings(), job.seed), **read_json(path)}
    # Fewer or more arms and tasks leave what is there as it is.
    free = ("caveats", "arms", "tasks", "data")
    changed = [k for k, v in wanted.items() if before.get(k) != v and k not in free]
    known = before.get("data", {})
    if any(known.get(name, digest) != digest for name, digest in wanted["data"].items()):
        changed.append("data")
    if changed:
        raise HoagError(
            f"{job.out}: was begun with another {changed[0]}; resume it with its own settings and "
            "galaxies or choose another --out"
        )
    write_json(path, {**wanted, "data": {**known, **wanted["data"]}})
    say(f"{job.out}: goes on with what is there")


def data_hashes(job: Job) -> dict[str, str]:
    """Hash what is learned from and each task: ids, votes or labels, and sizes of the images."""
    return {
        "pretraining": job.pretraining.galaxies.hash,
        **{task.name: task.hash for task in job.tasks},
    }


def settings_dict(settings: ProtocolSettings, seed: int) -> dict[str, Any]:
    """Give the settings and the seed as JSON holds them."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings)))
    return {"seed": seed, **plain}

"""Recipes: what one training run does, as a TOML file whose every option is documented here.

A recipe names one arm of the paper and holds every knob of its sections 2-4. Presets ship with the
package (``paper/hybrid``, ``hoag/hybrid`` and so on); any file of the same form will do.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from hoag.errors import HoagError
from hoag.options import option
from hoag.toml_settings import (
    build_settings,
    demand,
    demand_choice,
    option_line,
    parse_override,
    put_option,
    read_toml,
)
from hoag.views import ViewSettings
from hoag.vote_choice import VoteSettings

PRESETS = Path(__file__).parent / "recipes"
ARMS = ("direct", "pretrained", "contrastive", "hybrid")
# Not arms of the paper: a tuned model, and an encoder alone from elsewhere.
OTHERS = ("finetune", "encoder")


@dataclass(frozen=True)
class EncoderSettings:
    """The network that turns an image into a representation."""

    name: str = option("resnet18", "any timm model; the paper's are resnet18 and efficientnet_b0")
    options: dict[str, Any] = option({}, "passed to timm, e.g. {channels = [16, 32, 64, 128]}")


@dataclass(frozen=True)
class ImageSettings:
    """What the encoder is fed."""

    size: int = option(128, "side of the views in pixels")
    decode: int = option(0, "side to which stored images are reduced before the views; 0: size")
    mean: tuple[float, float, float] = option(
        (0.0, 0.0, 0.0), "taken from each colour before the encoder; hoag's own: nothing"
    )
    std: tuple[float, float, float] = option((1.0, 1.0, 1.0), "by which it is then divided")

    def __post_init__(self) -> None:
        demand(8 <= self.size <= 4096, "images.size", self.size, "8 to 4096 pixels")
        demand(
            self.decode == 0 or self.decode >= 8, "images.decode", self.decode, "0, or 8 or more"
        )
        demand(len(self.mean) == 3, "images.mean", self.mean, "three numbers")
        good = len(self.std) == 3 and all(value > 0 for value in self.std)
        demand(good, "images.std", self.std, "three numbers above 0")

    @property
    def stored(self) -> int:
        """Side in pixels at which images are kept ready for the views."""
        return self.decode or self.size


@dataclass(frozen=True)
class HeadSettings:
    """The layers on top of the representation, thrown away after training but for the votes."""

    projector_hidden: int = option(1024, "hidden width of the BYOL projector")
    projector_out: int = option(256, "width of the projection")
    predictor_hidden: int = option(1024, "hidden width of the BYOL predictor")
    vote_dropout: float = option(0.2, "dropout before the vote head's last layer, 0 to 1")
    vote_hidden: int = option(0, "hidden width of an MLP before the votes; 0: one linear layer")
    concentration: str = option(
        "sigmoid", 'sigmoid: 1 + 100 sigmoid, range (1, 101); or "unbounded"'
    )

    def __post_init__(self) -> None:
        demand(0 <= self.vote_dropout < 1, "heads.vote_dropout", self.vote_dropout, "0 up to 1")
        demand_choice("heads.concentration", self.concentration, ("sigmoid", "unbounded"))


@dataclass(frozen=True)
class ObjectiveSettings:
    """How the contrastive loss c and the vote loss s become one (Hybrid only)."""

    mixing: str = option("paper", "paper, equation3, fixed or ema_norm: see docs/method.md")
    weight: float = option(1.0, "lambda, the weight of the votes")
    votes_on: str = option("first", "which views feed the vote head: first or both")

    def __post_init__(self) -> None:
        demand_choice("objective.mixing", self.mixing, ("paper", "equation3", "fixed", "ema_norm"))
        demand_choice("objective.votes_on", self.votes_on, ("first", "both"))
        demand(self.weight >= 0, "objective.weight", self.weight, "0 or more")


@dataclass(frozen=True)
class TargetSettings:
    """BYOL's target network, an exponential moving average of the online one."""

    tau: float = option(0.99, "share of itself the target keeps at each step")
    schedule: str = option("constant", "constant, or cosine: from tau to 1 over the run")

    def __post_init__(self) -> None:
        demand(0 <= self.tau <= 1, "target.tau", self.tau, "0 to 1")
        demand_choice("target.schedule", self.schedule, ("constant", "cosine"))


@dataclass(frozen=True)
class BatchSettings:
    """What is in a batch; counted over all processes together."""

    size: int = option(512, "galaxies a step, over all processes together")
    labelled_fraction: float = option(
        -1.0, "share with votes, 0 to 1; -1: simply shuffled together"
    )
    campaign_mix: str = option(
        "shuffled", "shuffled, constant (the natural mix, the same in each batch), or equal"
    )

    def __post_init__(self) -> None:
        demand(self.size >= 2, "batch.size", self.size, "2 or more")
        good = self.labelled_fraction == -1 or 0 <= self.labelled_fraction <= 1
        demand(good, "batch.labelled_fraction", self.labelled_fraction, "0 to 1, or -1")
        demand_choice("batch.campaign_mix", self.campaign_mix, ("shuffled", "constant", "equal"))


@dataclass(frozen=True)
class OptimiserSettings:
    """The optimiser and the course of its learning rate."""

    name: str = option("adam", "adam, or adamw (decoupled weight decay)")
    learning_rate: float = option(0.001, "peak learning rate")
    betas: tuple[float, float] = option((0.9, 0.999), "Adam's two decay rates")
    weight_decay: float = option(0.0, "weight decay; none on biases and norms")
    schedule: str = option("constant", "constant, or cosine: down to 0 over the run")
    warmup_steps: int = option(0, "steps of linear warm-up")
    clip: float = option(0.0, "largest norm of the gradient; 0: no limit")

    def __post_init__(self) -> None:
        demand_choice("optimiser.name", self.name, ("adam", "adamw"))
        demand_choice("optimiser.schedule", self.schedule, ("constant", "cosine"))
        demand(self.learning_rate > 0, "optimiser.learning_rate", self.learning_rate, "above 0")
        demand(self.weight_decay >= 0, "optimiser.weight_decay", self.weight_decay, "0 or more")
        demand(self.warmup_steps >= 0, "optimiser.warmup_steps", self.warmup_steps, "0 or more")
        demand(self.clip >= 0, "optimiser.clip", self.clip, "0 or more")
        good = len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas)
        demand(good, "optimiser.betas", self.betas, "two numbers, 0 up to 1")


@dataclass(frozen=True)
class TrainingSettings:
    """How long, how exactly, and how often things are looked at."""

    steps: int = option(100_000, "most optimiser steps")
    validate_every: int = option(1000, "steps between validations")
    validation_galaxies: int = option(20_000, "most galaxies of the validation split used for it")
    patience: int = option(10, "stop after so many validations without a better monitor; 0: never")
    save_every: int = option(1000, "steps between saves of last/; also saved when interrupted")
    log_every: int = option(50, "steps between rows of the training log")
    precision: str = option("32-true", "32-true, bf16-mixed or 16-mixed")
    workers: int = option(-1, "processes that decode images; -1: chosen by the device")

    def __post_init__(self) -> None:
        for name in ("steps", "validate_every", "validation_galaxies", "save_every", "log_every"):
            demand(getattr(self, name) >= 1, f"training.{name}", getattr(self, name), "1 or more")
        demand(self.patience >= 0, "training.patience", self.patience, "0 or more")
        demand_choice("training.precision", self.precision, ("32-true", "bf16-mixed", "16-mixed"))


@dataclass(frozen=True)
class ProbeSettings:
    """Online probes: linear classifiers on downstream tasks at each validation, for the log."""

    tasks: tuple[str, ...] = option((), "names of the downstream tasks; none: no online probe")
    galaxies: int = option(2000, "most labelled galaxies of a task used by its online probe")
    select: str = option("", "task whose accuracy chooses best/ and early stop; none: the monitor")


@dataclass(frozen=True)
class LabelSettings:
    """Where the Direct arm finds its labels."""

    column: str = option("", "column of the galaxies' table that holds the class (Direct only)")


@dataclass(frozen=True)
class FinetuneSettings:
    """How `hoag finetune` goes on from a model that is there (finetune only)."""

    start: str = option("", "hash of the encoder it starts from")
    train: str = option("all", "head, last-blocks or all: what may move, the rest is frozen")
    blocks: int = option(1, "how many last blocks (stages of a ResNet), for last-blocks")
    decay: float = option(0.65, "learning rate of a block over that of the next; 1: all alike")
    class_weights: str = option("equal", "equal, or balanced: all classes together weigh the same")
    weights: dict[str, Any] = option({}, "weights of classes by name instead, 1 where not named")
    validation: float = option(0.1, "share of the labelled galaxies kept to stop early")
    test: float = option(0.2, "share never learned from, scored once at the end; 0: none")

    def __post_init__(self) -> None:
        demand_choice("finetune.train", self.train, ("head", "last-blocks", "all"))
        demand(self.blocks >= 1, "finetune.blocks", self.blocks, "1 or more")
        demand(0 < self.decay <= 1, "finetune.decay", self.decay, "above 0, up to 1")
        demand_choice("finetune.class_weights", self.class_weights, ("equal", "balanced"))
        good = all(isinstance(w, int | float) and w > 0 for w in self.weights.values())
        demand(good, "finetune.weights", self.weights, "a table {class = weight above 0}")
        good = self.validation > 0 and self.test >= 0 and self.validation + self.test < 1
        both = (self.validation, self.test)
        demand(good, "finetune.validation, finetune.test", both, "shares that leave some to learn")


@dataclass(frozen=True)
class Recipe:
    """One training run, whole: an arm of the paper and all of its settings."""

    arm: str = option(
        "hybrid", "direct, pretrained, contrastive, hybrid (paper sec. 3.3), finetune or encoder"
    )
    seed: int = option(0, "every random choice follows from it")
    encoder: EncoderSettings = field(default_factory=EncoderSettings)
    images: ImageSettings = field(default_factory=ImageSettings)
    views: ViewSettings = field(default_factory=ViewSettings)
    heads: HeadSettings = field(default_factory=HeadSettings)
    objective: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    target: TargetSettings = field(default_factory=TargetSettings)
    votes: VoteSettings = field(default_factory=VoteSettings)
    batch: BatchSettings = field(default_factory=BatchSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    labels: LabelSettings = field(default_factory=LabelSettings)
    finetune: FinetuneSettings = field(default_factory=FinetuneSettings)

    def __post_init__(self) -> None:
        demand_choice("arm", self.arm, ARMS + OTHERS)
        demand(0 <= self.seed < 2**63, "seed", self.seed, "a whole number, 0 or more")

    def to_dict(self) -> dict[str, Any]:
        """Give the recipe as plain nested dicts, ready for JSON."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def changed(self, changes: Mapping[str, Any]) -> "Recipe":
        """Give a copy with dotted keys changed, e.g. ``{"encoder.name": "resnet34"}``.

        Raises
        ------
        HoagError
            If a key is unknown or a value unfit.
        """
        content = dataclasses.asdict(self)
        for key, value in changes.items():
            put_option(content, key, value)
        return build_settings(Recipe, content, "recipe")


def load_recipe(recipe: str | Path | Recipe, overrides: Iterable[str] = ()) -> Recipe:
    """Load a recipe from a preset's name or a TOML file, then apply ``key=value`` overrides.

    Parameters
    ----------
    recipe
        A preset ("paper/hybrid"), the path of a TOML file, or a `Recipe`.
    overrides
        Dotted keys and TOML values, e.g. ``"encoder.name=resnet34"``, ``"views.area=[0.5, 1.0]"``.

    Raises
    ------
    HoagError
        If there is no such recipe, or an option is misspelt or has an unfit value.
    """
    if isinstance(recipe, Recipe):
        loaded = recipe
    else:
        path = find_recipe(recipe)
        loaded = build_settings(Recipe, read_toml(path), str(path))
    return loaded.changed(dict(parse_override(text) for text in overrides))


def find_recipe(name: str | Path) -> Path:
    """Find the file of a preset or path; raise `HoagError` with the presets' names if none."""
    for path in (Path(name), PRESETS / f"{name}.toml"):
        if path.is_file():
            return path
    raise HoagError(f"{name}: no such recipe; give a TOML file or one of {', '.join(presets())}")


def presets() -> list[str]:
    """Names of the recipes that ship with hoag."""
    return sorted(
        path.relative_to(PRESETS).with_suffix("").as_posix() for path in PRESETS.glob("*/*.toml")
    )


def write_recipe(recipe: Recipe) -> str:
    """Write a recipe as TOML with each option's documentation behind it."""
    lines = [line for name in ("arm", "seed") for line in [option_line(recipe, name)]]
    for section in fields(recipe):
        settings = getattr(recipe, section.name)
        if dataclasses.is_dataclass(settings):
            about = (type(settings).__doc__ or "").strip().splitlines()[0]
            lines += ["", f"# {about}", f"[{section.name}]"]
            lines += [option_line(settings, option.name) for option in fields(settings)]
    return "\n".join(lines) + "\n"

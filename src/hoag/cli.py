"""The command line: every verb is a typed function whose docstring is its help.

Nothing heavy is imported until a verb runs, so that ``hoag --help`` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from hoag import cli_embed, cli_finetune, cli_predict, cli_search
from hoag._version import __version__
from hoag.cli_options import Device
from hoag.data_cli import data_app
from hoag.errors import HoagError

app = App(
    name="hoag",
    version=__version__,
    help="Galaxy foundation models from images and volunteer votes.\n\n"
    "Start with `hoag demo`: the whole protocol on simulated galaxies, in minutes.",
    help_format="plaintext",
)
schema_app = App(name="schema", help="The questions volunteers were asked, and their answers.")
recipe_app = App(name="recipe", help="The recipes of training runs.")
app.command(schema_app)
app.command(recipe_app)
app.command(data_app)
app.command(cli_embed.embed)
app.command(cli_embed.probe)
app.command(cli_finetune.finetune)
app.command(cli_finetune.export)
app.command(cli_predict.predict)
app.command(cli_predict.calibrate)
app.command(cli_predict.surveys)
app.command(cli_search.search)
app.command(cli_search.find)
app.command(cli_search.map_verb, name="map")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; bad input ends with one sentence and exit status 2."""
    try:
        app(arguments, exit_on_error=False, print_error=False)
    except (HoagError, CycloptsError) as error:
        print(f"hoag: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("hoag: stopped", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # The reader, `head` say, has what it wanted.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:  # the disk is full, say; what was being written is not there
        where = f"{error.filename}: " if error.filename else ""
        print(f"hoag: {where}{error.strerror or error}", file=sys.stderr)
        sys.exit(1)


@app.command
def demo(
    *, out: Path = Path("demo"), scale: float = 1.0, seed: int = 0, device: Device = "auto",
    resume: bool = False,
) -> None:  # fmt: skip
    """Run the paper's whole protocol on simulated galaxies and write report.html.

    Makes galaxies, trains the four arms, probes them with growing numbers of ring labels, and
    writes the figures, the page and results.json. Takes minutes on two cores.

    Parameters
    ----------
    out
        Folder for everything that is made.
    scale
        How many times the work: 6 gives a better answer for six times the wait.
    seed
        The same seed on the same machine gives the same numbers.
    device
        Where to train.
    resume
        Go on with an earlier demo in the same folder.
    """
    from hoag.demo import run_demo

    print(run_demo(out, scale=scale, seed=seed, device=device, resume=resume))


@app.command
def reproduce(
    data: Path, /, *, out: Path = Path("reproduction"), roles: Path | None = None,
    protocol: Annotated[str, Parameter(name="--protocol")] = "small", seed: int = 0,
    device: Device = "auto", resume: bool = False, final: bool = False,
) -> None:  # fmt: skip
    """Run the paper's whole protocol on a folder of real galaxies.

    Parameters
    ----------
    data
        Folder of galaxies, with a dataset.toml that says which table plays which role.
    out
        Folder for everything that is made.
    roles
        File to use in place of DATA/dataset.toml, e.g. recipes/shared-galaxies.toml.
    protocol
        Which arms, sizes and label numbers: the name of one that ships with hoag, or a TOML file.
    seed
        The same seed on the same machine gives the same numbers.
    device
        Where to train.
    resume
        Go on with an earlier run in the same folder.
    final
        Score the test halves too. They are for the end: look once.
    """
    from hoag.reproduction import run_reproduction

    print(
        run_reproduction(
            data, out, roles=roles, protocol=protocol, seed=seed, device=device, resume=resume,
            final=final,
        )
    )  # fmt: skip


@app.command
def simulate(
    out: Path, /, *, galaxies: int = 20_000, rings: int | None = None, seed: int = 0,
    size: int = 128, workers: int | None = None, sheets: bool = True,
) -> None:  # fmt: skip
    """Make a simulated GZ-Evo: galaxies of five surveys, volunteers' votes, ring labels.

    Parameters
    ----------
    out
        Folder for the tables, a dataset.toml for `hoag reproduce`, and a contact sheet per survey.
    galaxies
        How many for pretraining, with votes and without in the paper's proportion.
    rings
        How many with ring labels; the paper's proportion if not given.
    seed
        The n-th galaxy of a seed is always the same.
    size
        Side of the images in pixels.
    workers
        Processes; one for each core if not given.
    sheets
        Draw a contact sheet per survey.
    """
    from hoag.simulator import simulate as make
    from hoag.simulator.sheet import contact_sheets

    folder = make(out, galaxies=galaxies, seed=seed, size=size, workers=workers, rings=rings)
    if sheets:
        contact_sheets(folder, folder / "sheets")
    print(folder)


@app.command
def train(
    recipe: str, galaxies: str, /, *overrides: str, out: Path, resume: bool = False,
    device: Device = "auto", labels: Path | None = None, schema: list[str] | None = None,
) -> None:  # fmt: skip
    """Train one arm and leave the run in a folder: weights, recipe, logs.

    Under torchrun or Slurm's srun the same command trains on many devices and nodes.

    Parameters
    ----------
    recipe
        A preset (`hoag recipe list`) or a TOML file.
    galaxies
        A table of galaxies, a folder of them, or a folder with a dataset.toml.
    overrides
        Options of the recipe to change, as key=value: encoder.name=resnet34 training.steps=2000
    out
        Folder of the run.
    resume
        Go on from the run's last/ checkpoint.
    device
        Where to train.
    labels
        Table of id_str and classes for the Direct arm, if they are not in the galaxies' table.
    schema
        The questions of the votes, if not GZ-Evo's: e.g. --schema gz-evo --schema mine.toml
    """
    from hoag.console import is_first
    from hoag.files import check_place
    from hoag.training import train as run

    check_place(out, galaxies, folder=True)
    folder = run(
        recipe, galaxies, out, overrides=overrides, resume=resume, device=device, labels=labels,
        schema=schema,
    )  # fmt: skip
    if is_first():
        print(folder)


@schema_app.command(name="show")
def schema_show(campaign: str | None = None, /, *, schema: str = "gz-evo") -> None:
    """Draw the decision tree of a campaign, or of all.

    Parameters
    ----------
    campaign
        gz2, dr12, dr5, dr8, hubble or candels.
    schema
        Another schema: a TOML file of your own campaign, or a run's schema.json.
    """
    from hoag.schema import draw_tree, load_schema

    print(draw_tree(load_schema(schema), campaign))


@recipe_app.command(name="list")
def recipe_list() -> None:
    """List the recipes that ship with hoag."""
    from hoag.recipe import presets

    print("\n".join(presets()))


@recipe_app.command(name="show")
def recipe_show(recipe: str, /, *overrides: str) -> None:
    """Print a recipe whole, every option with its meaning, ready to be saved and changed.

    Parameters
    ----------
    recipe
        A preset or a TOML file.
    overrides
        Options to change, as key=value.
    """
    from hoag.recipe import load_recipe, write_recipe

    print(write_recipe(load_recipe(recipe, overrides)), end="")


@app.command
def doctor() -> None:
    """Say what hoag finds on this machine: versions, devices, memory, disk."""
    from hoag.health import describe, examine

    print(describe(examine()))


@app.command
def cite(*campaigns: str, style: Literal["text", "bibtex"] = "text") -> None:
    """Print what to cite and whom to thank.

    Parameters
    ----------
    campaigns
        The campaigns whose votes you used; all if none is named.
    style
        Prose to read, or BibTeX to paste.
    """
    from hoag.citation import cite as give

    print(give(list(campaigns) or None, style=style))

"""The main job: the paper's whole protocol on simulated galaxies, sized for two cores."""

import shlex
from dataclasses import replace
from pathlib import Path

from hoag.console import say
from hoag.errors import HoagError
from hoag.files import read_json, write_json
from hoag.protocol import load_protocol, run_protocol
from hoag.reproduction import summary_of
from hoag.roles import read_roles
from hoag.simulator import simulate
from hoag.simulator.sheet import contact_sheets

GALAXIES, RINGS, SIZE = 14_000, 3_000, 48
"""Simulated galaxies for pretraining, galaxies with ring labels and their side in pixels."""


def run_demo(
    out: str | Path,
    *,
    scale: float = 1.0,
    seed: int = 0,
    device: str = "auto",
    resume: bool = False,
) -> str:
    """Run the demo; gives the table it found.

    Parameters
    ----------
    out
        Folder for galaxies/, runs/, embeddings/, results.json and report.html.
    scale
        Multiplies galaxies, labels and galaxies seen.
    seed, device, resume
        As in `hoag.protocol.run_protocol`.

    Raises
    ------
    HoagError
        If `scale` is not positive, or `out` holds another run.
    """
    if not 0 < scale < float("inf"):
        raise HoagError(f"--scale {scale} must be above 0; 1 is the usual demo")
    out = Path(out)
    _claim(out / "demo.json", {"scale": scale, "seed": seed}, resume=resume)
    data = out / "galaxies"
    galaxies, rings = max(100, round(GALAXIES * scale)), max(120, round(RINGS * scale))
    if not (data / "dataset.toml").exists():
        say(f"simulating {galaxies:,} galaxies and {rings:,} with ring labels")
        simulate(data, galaxies=galaxies, rings=rings, seed=seed, size=SIZE)
        contact_sheets(data, out / "sheets")
    settings = load_protocol("demo")
    low, high = (max(2, round(steps * scale)) for steps in settings.direct_steps)
    settings = replace(
        settings,
        galaxies_seen=max(64, round(settings.galaxies_seen * scale)),
        direct_steps=(min(low, settings.direct_steps[0]), high),
    )
    simulated = f"--galaxies {galaxies} --rings {rings} --size {SIZE} --seed {seed}"
    folder, data_folder = shlex.quote(str(out)), shlex.quote(str(data))
    commands = [
        f"hoag simulate {data_folder} {simulated}",
        f"hoag demo --out {folder} --scale {scale:g} --seed {seed}",
    ]
    results = run_protocol(
        read_roles(data), settings, out, seed=seed, device=device,
        resume=True, commands=commands,
    )  # fmt: skip
    return summary_of(results, out)


def _claim(path: Path, wanted: dict[str, float], *, resume: bool) -> None:
    """Record what the folder is for before anything is made in it, or check that it is for this."""
    if not path.exists():
        write_json(path, wanted)
    elif not resume:
        raise HoagError(
            f"{path.parent}: holds an earlier demo; go on with --resume or choose another --out"
        )
    elif read_json(path) != wanted:
        raise HoagError(
            f"{path.parent}: was begun with another --scale or --seed; choose another --out"
        )

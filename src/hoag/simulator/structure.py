"""What a simulated galaxy is: its true structure, drawn from the galaxy's own random stream."""

from dataclasses import dataclass

import numpy as np

from hoag.simulator.surveys import Survey, kpc_per_arcsec

ARTEFACTS = ("star", "trail", "stitch")


@dataclass(slots=True)
class Truth:
    """The exact parameters of one galaxy and of its image.

    Lengths are in units of the galaxy's 90 % light radius unless a unit is given, angles in radians
    in the plane of the disc (position_angle: in the image), ages in [0, 1] from youngest to oldest
    stars, fluxes as fractions of the galaxy's. Zero strength, contrast or number means absent.
    """

    survey: str
    redshift: float = 0.0
    radius: float = 1.0  # arcsec
    surface_brightness: float = 22.0  # observed mean within the radius, mag/arcsec^2, middle band
    half_field: float = 2.5  # half the frame's width
    psf_scale: float = 1.0  # seeing of this field over the survey's median
    deeper: float = 0.0  # magnitudes deeper than the survey's median field
    kind: str = "disc"  # smooth, disc or edge-on
    hue_blue: float = 0.0  # magnitudes brighter in the blue band than stars of its ages
    hue_red: float = 0.0  # the same in the red band
    position_angle: float = 0.0
    axis_ratio: float = 1.0  # of the projected disc, or of a smooth galaxy
    age: float = 0.5
    sersic: float = 1.0  # of a smooth galaxy
    bulge_fraction: float = 0.0
    bulge_radius: float = 0.1
    bulge_sersic: float = 2.5
    bulge_age: float = 0.9
    bulge_shape: str = "rounded"  # boxy, none or rounded; edge-on galaxies only
    disc_scale: float = 0.29
    thickness: float = 0.06
    dust: float = 0.0
    break_radius: float = 0.0
    break_strength: float = 0.0
    bar_strength: float = 0.0
    bar_length: float = 0.35
    bar_axis_ratio: float = 0.35
    bar_angle: float = 0.0
    lens_strength: float = 0.0
    lens_radius: float = 0.45
    arm_number: int = 0
    arm_strength: float = 0.0
    arm_pitch: float = 0.3
    arm_phase: float = 0.0
    arm_sharpness: float = 2.0
    arm_start: float = 0.2
    arm_end: float = 1.1
    arm_fade: float = 0.0  # how unequal the arms are
    flocculence: float = 0.0
    ring_contrast: float = 0.0  # over the disc's light at the ring
    ring_radius: float = 0.6
    ring_width: float = 0.06
    ring_axis_ratio: float = 1.0
    ring_angle: float = 0.0
    ring_coverage: float = 1.0
    ring_gap: float = 0.0
    ring_age: float = 0.3
    clump_number: int = 0
    clump_fraction: float = 0.0
    clump_size: float = 0.06
    roughness: float = 0.1
    bend: float = 0.0
    lopsided: float = 0.0
    tail_strength: float = 0.0
    tail_number: int = 1
    tail_phase: float = 0.0
    tail_pitch: float = 0.8
    shell_strength: float = 0.0
    companion_ratio: float = 0.0  # flux of a merging companion over the galaxy's
    companion_separation: float = 1.0
    companion_angle: float = 0.0
    artefact: str = ""  # star, trail, stitch or nothing
    artefact_strength: float = 0.0


def draw_truth(rng: np.random.Generator, survey: Survey, ring_task: bool = False) -> Truth:
    """Draw the structure and the circumstances of one galaxy.

    Parameters
    ----------
    rng
        The galaxy's own stream.
    survey
        The survey that sees it.
    ring_task
        Draw from the preselection of the ring task: featured discs near face-on, about half ringed.
    """
    truth = _draw_circumstances(rng, survey)
    if ring_task:
        # The preselection keeps what is resolved and bright enough to show a ring.
        truth.radius = float(np.clip(1.5 * truth.radius, 6.5, 40.0))
        truth.surface_brightness -= 0.4
        _draw_disc(rng, truth, survey, ring=bool(rng.random() < 0.62), face_on=True)
        if rng.random() < 0.06:
            _draw_disturbance(rng, truth)
        return truth
    kinds = np.cumsum(survey.kinds) / np.sum(survey.kinds)
    kind = int(np.searchsorted(kinds, rng.random()))
    if kind == 0:
        _draw_smooth(rng, truth)
    elif kind == 1:
        _draw_disc(rng, truth, survey, ring=bool(rng.random() < 0.2), face_on=False)
    else:
        _draw_edge_on(rng, truth)
    if rng.random() < survey.disturbed:
        _draw_disturbance(rng, truth)
    if rng.random() < 0.045:
        truth.artefact = ARTEFACTS[int(rng.choice(3, p=[0.45, 0.25, 0.3]))]
        truth.artefact_strength = float(rng.uniform(0.15, 1.0))
    return truth


def _draw_circumstances(rng: np.random.Generator, survey: Survey) -> Truth:
    low, high = survey.redshift
    z = low + (high - low) * rng.beta(*survey.redshift_shape)
    kpc = (
        survey.radius[0]
        * 10 ** (survey.radius[1] * rng.normal())
        * (1 + z) ** survey.radius_evolution
    )
    radius = float(np.clip(kpc / kpc_per_arcsec(z), *survey.radius_limits))
    brightness = (
        rng.normal(*survey.surface_brightness) + 10 * np.log10(1 + z) - survey.evolution * z
    )
    return Truth(
        survey=survey.name,
        redshift=float(z),
        radius=radius,
        surface_brightness=float(brightness),
        half_field=float(survey.field[0] * np.exp(survey.field[1] * rng.normal())),
        psf_scale=float(np.exp(survey.psf_scatter * rng.normal())),
        deeper=float(survey.depth_scatter * rng.normal()),
        position_angle=float(rng.uniform(0, np.pi)),
        hue_blue=float(survey.hue_scatter * rng.normal()),
        hue_red=float(survey.hue_scatter * rng.normal()),
    )


def _draw_smooth(rng: np.random.Generator, truth: Truth) -> None:
    truth.kind = "smooth"
    truth.axis_ratio = float(0.18 + 0.82 * rng.beta(2.6, 1.1))
    truth.sersic = float(np.clip(rng.lognormal(np.log(2.7), 0.4), 1.0, 6.0))
    truth.age = float(rng.beta(6, 2.2))
    truth.roughness = 0.0


def _draw_disc(
    rng: np.random.Generator, truth: Truth, survey: Survey, *, ring: bool, face_on: bool
) -> None:
    truth.kind = "disc"
    cosine = rng.uniform(0.5 if face_on else 0.27, 1.0)
    truth.axis_ratio = float(np.sqrt(cosine**2 * (1 - 0.18**2) + 0.18**2))
    truth.age = float(rng.beta(2.5, 2.5))
    truth.disc_scale = float(np.clip(rng.normal(0.29, 0.05), 0.17, 0.45))
    truth.roughness = float(rng.uniform(0.03, 0.16))
    if rng.random() < 0.3:
        truth.break_radius = float(rng.uniform(0.45, 1.1))
        truth.break_strength = float(rng.uniform(0.3, 1.0))
    _draw_bulge(rng, truth)
    _draw_bar(rng, truth)
    _draw_arms(rng, truth, probability=0.62)
    if ring:
        _draw_ring(rng, truth)
    clumpy = rng.random() < survey.clumpy
    truth.clump_number = int(rng.integers(1, 9)) if clumpy else int(rng.poisson(0.8))
    if truth.clump_number:
        each = rng.lognormal(np.log(0.045 if clumpy else 0.008), 0.5)
        truth.clump_fraction = float(min(each * truth.clump_number, 0.6))
        truth.clump_size = float(rng.uniform(0.035, 0.10))
    if clumpy:
        truth.roughness = float(rng.uniform(0.15, 0.45))
        truth.bulge_fraction *= 0.4
        truth.age *= 0.6


def _draw_bulge(rng: np.random.Generator, truth: Truth) -> None:
    truth.bulge_fraction = float(0.75 * rng.beta(1.2, 2.8))
    truth.bulge_radius = float(rng.uniform(0.05, 0.11) * (1 + 1.6 * truth.bulge_fraction))
    truth.bulge_sersic = float(rng.uniform(1.2, 3.8))
    truth.bulge_age = float(min(1.0, 0.35 + 0.45 * truth.age + 0.3 * rng.random()))


def _draw_bar(rng: np.random.Generator, truth: Truth) -> None:
    if rng.random() < 0.42:
        truth.bar_strength = float(rng.uniform(0.12, 1.0))
        truth.bar_length = float(rng.uniform(0.22, 0.55))
        truth.bar_axis_ratio = float(
            np.clip(0.52 - 0.25 * truth.bar_strength + 0.06 * rng.normal(), 0.2, 0.7)
        )
        truth.bar_angle = float(rng.uniform(0, np.pi))
    if rng.random() < (0.4 if truth.bar_strength else 0.15):
        truth.lens_strength = float(rng.uniform(0.2, 1.0))
        truth.lens_radius = float(
            truth.bar_length * rng.uniform(1.0, 1.25)
            if truth.bar_strength
            else rng.uniform(0.3, 0.7)
        )


def _draw_arms(rng: np.random.Generator, truth: Truth, probability: float) -> None:
    if rng.random() >= probability:
        return
    truth.arm_number = 1 + int(rng.choice(6, p=[0.06, 0.48, 0.18, 0.13, 0.08, 0.07]))
    truth.arm_strength = float(np.exp(rng.uniform(np.log(0.2), np.log(1.6))))
    truth.arm_pitch = float(np.radians(np.clip(rng.lognormal(np.log(16), 0.45), 6, 45)))
    truth.arm_phase = float(rng.uniform(0, 2 * np.pi))
    truth.arm_sharpness = float(rng.uniform(1.0, 3.5))
    truth.arm_start = float(
        max(0.8 * truth.bar_length if truth.bar_strength else 0.0, rng.uniform(0.12, 0.3))
    )
    truth.arm_end = float(rng.uniform(0.75, 1.4))
    truth.arm_fade = float(rng.uniform(0.0, 0.6))
    truth.flocculence = float(rng.beta(1.2, 2.5))
    truth.age *= 0.85


def _draw_ring(rng: np.random.Generator, truth: Truth) -> None:
    inner = rng.random() < 0.45
    if inner and truth.bar_strength:
        truth.ring_radius = float(truth.bar_length * rng.uniform(0.95, 1.2))
    else:
        truth.ring_radius = float(rng.uniform(0.28, 0.6) if inner else rng.uniform(0.55, 1.2))
    truth.ring_width = float(truth.ring_radius * rng.uniform(0.06, 0.16))
    truth.ring_contrast = float(np.exp(rng.uniform(np.log(0.8), np.log(7.0))))
    truth.ring_axis_ratio = float(1 - 0.3 * rng.beta(1.2, 2.0))
    truth.ring_angle = float(truth.bar_angle if truth.bar_strength else rng.uniform(0, np.pi))
    truth.ring_coverage = float(1.0 if rng.random() < 0.6 else rng.uniform(0.45, 1.0))
    truth.ring_gap = float(rng.uniform(0.0, 0.6))
    truth.ring_age = float(np.clip(truth.age * rng.uniform(0.3, 1.1), 0, 1))


def _draw_edge_on(rng: np.random.Generator, truth: Truth) -> None:
    truth.kind = "edge-on"
    truth.age = float(rng.beta(3, 2.5))
    truth.disc_scale = float(rng.uniform(0.24, 0.42))
    truth.thickness = float(rng.uniform(0.035, 0.10))
    truth.axis_ratio = 2.2 * truth.thickness
    truth.roughness = float(rng.uniform(0.0, 0.12))
    truth.dust = float(rng.uniform(0.2, 0.8)) if rng.random() < 0.45 else 0.0
    truth.bulge_shape = ("rounded", "none", "boxy")[int(rng.choice(3, p=[0.55, 0.28, 0.17]))]
    if truth.bulge_shape != "none":
        truth.bulge_fraction = float(rng.uniform(0.12, 0.55))
        truth.bulge_radius = float(rng.uniform(0.08, 0.2))
        truth.bulge_sersic = float(rng.uniform(1.0, 3.0) if truth.bulge_shape == "rounded" else 1.0)
    truth.bulge_age = float(min(1.0, 0.5 + 0.5 * truth.age))


def _draw_disturbance(rng: np.random.Generator, truth: Truth) -> None:
    # Three kinds: a lopsided or bent disc; tails and shells of tidal debris; a merging companion.
    what = rng.random()
    if truth.kind != "smooth":
        truth.bend = float(rng.uniform(-0.35, 0.35))
        truth.lopsided = float(rng.uniform(0.1, 0.7))
    if what > 0.35:
        truth.tail_strength = float(np.exp(rng.uniform(np.log(0.08), np.log(0.7))))
        truth.tail_number = int(rng.integers(1, 3))
        truth.tail_phase = float(rng.uniform(0, 2 * np.pi))
        truth.tail_pitch = float(np.radians(rng.uniform(28, 60)))
        if truth.kind == "smooth" and rng.random() < 0.5:
            truth.shell_strength = float(rng.uniform(0.15, 0.6))
    if what > 0.6:
        truth.companion_ratio = float(np.exp(rng.uniform(np.log(0.15), np.log(1.0))))
        truth.companion_separation = float(rng.uniform(0.35, 1.5))
        truth.companion_angle = float(rng.uniform(0, 2 * np.pi))

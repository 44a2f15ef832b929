"""What can be seen of a galaxy's structure: contrast lost to the seeing, drowned in the noise."""

from dataclasses import dataclass

import numpy as np

from hoag.simulator.structure import Truth
from hoag.simulator.surveys import load_surveys

# Contrast at which half of the volunteers see a feature in a noiseless image.
_THRESHOLD = 0.11


@dataclass(frozen=True, slots=True)
class Perception:
    """How visible each structure is, each in [0, 1] (half of the volunteers see it at 0.5).

    `resolution` is the 90 % radius over the seeing's FWHM, `signal` the signal-to-noise of the disc
    at 0.6 radii in one seeing disc, `confusion` the share of volunteers who answer at random.
    """

    resolution: float
    signal: float
    confusion: float
    arms: float
    bar: float
    ring: float
    clumps: float
    bulge: float
    debris: float
    companion: float
    disc: float
    artefact: float
    elongation: float


def perceive(truth: Truth) -> Perception:
    """Work out what volunteers can see of a galaxy in its survey's image."""
    survey = load_surveys()[truth.survey]
    seeing = survey.psf_fwhm[1] * truth.psf_scale
    blur = np.hypot(seeing, 0.8 * survey.pixel) / truth.radius
    signal = _signal(truth, seeing)

    def seen(contrast: float, width: float, beams: float = 1.0, dim: float = 1.0) -> float:
        """Hill curve of the contrast left after blurring a structure of Gaussian FWHM `width`."""
        if contrast <= 0:
            return 0.0
        left = contrast * width / np.hypot(width, blur)
        floor = np.hypot(_THRESHOLD, 1.2 / (signal * dim * np.sqrt(max(beams, 1.0))))
        ratio = (left / floor) ** 2
        return float(ratio / (1 + ratio))

    # Arms are a periodic pattern of wavelength 2 pi r sin(pitch) / number, here at half the radius;
    # a Gaussian seeing disc takes exp(-2 pi^2 sigma^2 / wavelength^2) of its contrast.
    wavelength = np.pi * np.sin(truth.arm_pitch) / max(truth.arm_number, 1)
    arms = truth.arm_strength * np.exp(-3.56 * (blur / wavelength) ** 2) if truth.arm_number else 0
    ring_beams = 2 * np.pi * truth.ring_radius / blur
    ring_dim = float(np.exp((0.6 - truth.ring_radius) / truth.disc_scale))
    clump_contrast = 0.0
    if truth.clump_number:
        clump_contrast = 0.9 * truth.clump_fraction / truth.clump_number / truth.clump_size**2 * 0.1
    tilt = truth.axis_ratio if truth.kind == "disc" else 1.0
    debris = 0.5 * truth.tail_strength + 0.4 * truth.shell_strength + 0.12 * truth.lopsided
    companion = truth.companion_ratio
    return Perception(
        resolution=float(1 / blur),
        signal=signal,
        confusion=float(0.03 + 0.22 * blur / (0.6 + blur) + 0.25 / (1 + signal)),
        arms=seen(0.75 * arms * np.sqrt(tilt), 100.0, 4),
        bar=seen(
            0.75 * truth.bar_strength, 2 * truth.bar_length * np.sqrt(truth.bar_axis_ratio), 2
        ),
        ring=seen(0.40 * _bump(truth), 2.355 * truth.ring_width * tilt**0.3, ring_beams, ring_dim),
        clumps=seen(clump_contrast, 2.355 * truth.clump_size),
        bulge=seen(0.8, 2 * truth.bulge_radius),
        debris=seen(debris, 0.35, 3),
        companion=seen(1.2 * companion, min(truth.companion_separation, 0.8)) if companion else 0.0,
        disc=seen(0.5 if truth.kind != "smooth" else 0.0, 0.8, 4),
        artefact=_artefact(truth),
        elongation=float(np.sqrt((truth.axis_ratio**2 + 0.2 * blur**2) / (1 + 0.2 * blur**2))),
    )


def _bump(truth: Truth) -> float:
    # How far the ring stands out: a wide faint one only flattens the disc's decline (with c the
    # contrast, c G(r) exp(-r/h) rises somewhere if 0.6 c / width > (1 + 0.6 c) / h), the bulge and
    # the arms drown it, a gap inside sets it off, and it has to go most of the way round.
    if not truth.ring_contrast:
        return 0.0
    lost = truth.ring_width / truth.disc_scale * (1 + 1 / (0.6 * truth.ring_contrast))
    contrast = truth.ring_contrast * max(1 - lost, 0.0)
    contrast *= np.sqrt(max(truth.ring_coverage - 0.25, 0) / 0.75) * (1 + 0.4 * truth.ring_gap)
    return float(contrast * _disc_share(truth) / (1 + 0.6 * truth.arm_strength))


def _disc_share(truth: Truth) -> float:
    # The disc's part of the light at the ring's radius, the rest being the bulge's.
    r, b = truth.ring_radius, 2 * truth.bulge_sersic - 1 / 3
    disc = (1 - truth.bulge_fraction) * np.exp(-r / truth.disc_scale) / truth.disc_scale**2
    # A Sersic profile's total over its value at the half-light radius, in units of 2 pi radius^2,
    # is n e^b b^(-2n) Gamma(2n), which stays within 1.9 and 3.2 for n = 1 to 4.
    shape = np.exp(-b * ((r / truth.bulge_radius) ** (1 / truth.bulge_sersic) - 1))
    bulge = truth.bulge_fraction * shape / (2.5 * truth.bulge_radius**2)
    return float(disc / (disc + bulge))


def _signal(truth: Truth, seeing: float) -> float:
    # Light at 0.6 radii is about the mean within one radius; a seeing disc holds many pixels.
    survey = load_surveys()[truth.survey]
    mean = 10 ** (-0.4 * (truth.surface_brightness - 22.5))
    beam = np.sqrt(np.pi) * seeing / survey.pixel
    return float(max(mean / survey.noise(truth.deeper)[1] * beam, 0.02))


def _artefact(truth: Truth) -> float:
    if not truth.artefact:
        return 0.0
    ease = {"star": 0.95, "trail": 0.6, "stitch": 0.85}[truth.artefact]
    return ease * truth.artefact_strength**0.7


def ring_probability(truth: Truth, sight: Perception) -> float:
    """Chance that a volunteer calls a galaxy ringed.

    Tightly wound arms, the edges of lenses and of truncated discs are taken for rings now and then.
    """
    tight = np.exp(-((np.degrees(truth.arm_pitch) / 12) ** 2)) if truth.arm_number else 0.0
    edges = 0.30 * truth.lens_strength + 0.20 * truth.break_strength
    mistaken = 1 - (1 - 0.5 * sight.arms * tight) * (1 - edges)
    seen = sight.ring + (1 - sight.ring) * mistaken
    return float(0.03 + 0.93 * seen)

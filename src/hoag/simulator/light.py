"""From a galaxy's structure to its light: bulge, disc, bar, arms, rings, clumps, tails.

Everything is evaluated on the frame's pixels before the telescope. Positions are in units of the
galaxy's 90 % light radius with x along the major axis; each component is normalised to the
fraction of the galaxy's flux it carries, so adding a ring or arms does not brighten the galaxy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hoag.simulator.structure import Truth

Plane = NDArray[np.float32]


@dataclass(slots=True)
class Component:
    """Light of stars of one age, (rows, columns) float32 of any scale, and its part of the flux."""

    light: Plane
    fraction: float
    age: float


@dataclass(slots=True)
class Coordinates:
    """Pixels in the plane of the disc: x, y, softened radius, its logarithm, azimuth."""

    x: Plane
    y: Plane
    radius: Plane
    log_radius: Plane
    azimuth: Plane


def galaxy_components(
    truth: Truth, x: Plane, y: Plane, texture: Plane, rng: np.random.Generator
) -> list[Component]:
    """Give the components of a galaxy.

    Parameters
    ----------
    truth
        Its structure.
    x, y
        Positions of the pixels in the image plane, from the galaxy's centre, in 90 % light radii.
    texture
        Smooth random field of unit variance on the same pixels, for irregularities.
    rng
        Stream for the places of clumps.
    """
    cosine, sine = np.cos(truth.position_angle), np.sin(truth.position_angle)
    along = np.float32(cosine) * x + np.float32(sine) * y
    across = np.float32(cosine) * y - np.float32(sine) * x
    if truth.bend:
        across = across + np.float32(0.5 * truth.bend) * along * along
    soft = 0.45 * float(x[0, 1] - x[0, 0])
    if truth.kind == "smooth":
        components = _smooth(truth, along, across, soft)
    elif truth.kind == "edge-on":
        components = _edge_on(truth, along, across, texture, soft)
    else:
        components = _disc_galaxy(truth, along, across, texture, soft, rng)
    if truth.tail_strength or truth.shell_strength:
        components += _debris(truth, along, across, texture, soft)
    return components


def sersic(log_radius: Plane, scale: float, index: float) -> Plane:
    """Sersic profile of half-light radius `scale` (Ciotti & Bertin 1999 for b_n), 1 at `scale`."""
    b = 2 * index - 1 / 3 + 0.009876 / index
    powered = np.exp((log_radius - np.float32(np.log(scale))) * np.float32(1 / index))
    return np.exp(np.float32(b) - np.float32(b) * powered)


def spiral(
    at: Coordinates, number: int, pitch: float, phase: float, sharpness: float, wobble: Plane
) -> Plane:
    """Logarithmic spirals, 1 on the ridge: phase = number (azimuth - log(radius) / tan(pitch))."""
    winding = at.azimuth - at.log_radius * np.float32(1 / np.tan(pitch))
    winding = (winding + wobble) * np.float32(number) - np.float32(phase)
    return np.exp(np.float32(sharpness) * (np.cos(winding) - np.float32(1)))


def _coordinates(along: Plane, across: Plane, axis_ratio: float, soft: float) -> Coordinates:
    y = across * np.float32(1 / axis_ratio)
    squared = along * along + y * y + np.float32(soft * soft)
    radius = np.sqrt(squared)
    return Coordinates(along, y, radius, np.log(radius), np.arctan2(y, along))


def _smooth(truth: Truth, along: Plane, across: Plane, soft: float) -> list[Component]:
    # A Sersic profile's 90 % radius over its half-light radius, fitted over n = 1 to 6.
    scale = 1 / (1.45 + 0.85 * truth.sersic)
    root = np.sqrt(truth.axis_ratio)
    squared = (along * np.float32(root)) ** 2 + (across * np.float32(1 / root)) ** 2
    log_radius = np.float32(0.5) * np.log(squared + np.float32(soft * soft))
    return [Component(sersic(log_radius, scale, truth.sersic), 1.0, truth.age)]


def _disc_profile(truth: Truth, radius: Plane) -> Plane:
    if not truth.break_radius:
        return np.exp(radius * np.float32(-1 / truth.disc_scale))
    # Down-bending (type II) disc: shallow within the break, steep beyond.
    inner = np.float32(1 / (truth.disc_scale * (1 + 1.6 * truth.break_strength)))
    outer = np.float32(1 / (truth.disc_scale * (1 - 0.55 * truth.break_strength)))
    bend = np.float32(truth.break_radius)
    return np.exp(-inner * np.minimum(radius, bend) - outer * np.maximum(radius - bend, 0))


def _step_down(radius: Plane, place: float, steepness: float) -> Plane:
    return 1 / (1 + np.exp(np.minimum((radius - np.float32(place)) * np.float32(steepness), 60)))


def _window(radius: Plane, start: float, end: float) -> Plane:
    inside = 1 - _step_down(radius, start, 18)
    outside = _step_down(radius, end, 9)
    return inside * outside


def _disc_galaxy(
    truth: Truth, along: Plane, across: Plane, texture: Plane, soft: float, rng: np.random.Generator
) -> list[Component]:
    at = _coordinates(along, across, truth.axis_ratio, soft)
    disc = _disc_profile(truth, at.radius)
    if truth.lopsided:
        disc = disc * (1 + np.float32(truth.lopsided) * at.x * np.exp(-0.5 * at.radius))
        np.maximum(disc, 0, out=disc)
    rough = np.exp(np.float32(truth.roughness) * texture)
    young = max(0.0, truth.age - 0.35)
    old = disc
    parts: list[tuple[Plane, float]] = []
    if truth.ring_contrast:
        ring, gap = _ring(truth, at)
        parts.append((ring * disc * rough, truth.ring_age))
        old = old * gap
    if truth.arm_number:
        parts.append((_arms(truth, at, texture) * disc * rough, young))
    if truth.lens_strength:
        parts.append((_lens(truth, at) * disc, truth.bulge_age * 0.5 + truth.age * 0.5))
    parts.append((old * rough, truth.age))
    components = []
    whole = sum(float(light.sum()) for light, _ in parts)
    bar = 0.03 + 0.22 * truth.bar_strength if truth.bar_strength else 0.0
    rest = (1 - truth.bulge_fraction) * (1 - bar) * (1 - truth.clump_fraction)
    for light, age in parts:
        components.append(Component(light, rest * float(light.sum()) / whole, age))
    if bar:
        age = 0.4 * truth.bulge_age + 0.6 * truth.age
        components.append(Component(_bar(truth, at), (1 - truth.bulge_fraction) * bar, age))
    if truth.clump_number:
        fraction = (1 - truth.bulge_fraction) * (1 - bar) * truth.clump_fraction
        components.append(Component(_clumps(truth, along, across, soft, rng), fraction, 0.05))
    components.append(_bulge(truth, along, across, soft))
    return components


def _ring(truth: Truth, at: Coordinates) -> tuple[Plane, Plane]:
    cosine, sine = np.float32(np.cos(truth.ring_angle)), np.float32(np.sin(truth.ring_angle))
    u, v = cosine * at.x + sine * at.y, cosine * at.y - sine * at.x
    q = np.float32(truth.ring_axis_ratio)
    radius = np.sqrt(u * u * q + v * v / q + np.float32(1e-6))
    away = (radius - np.float32(truth.ring_radius)) * np.float32(1 / truth.ring_width)
    ring = np.float32(truth.ring_contrast) * np.exp(np.float32(-0.5) * away * away)
    if truth.ring_coverage < 1:
        # An incomplete ring fades over a stretch of azimuth opposite its brightest point.
        turned = np.cos(at.azimuth - np.float32(truth.arm_phase + truth.ring_angle))
        edge = np.float32(np.cos(np.pi * truth.ring_coverage))
        ring *= 1 / (1 + np.exp((edge - turned) * np.float32(8)))
    gap = away + np.float32(2.2)
    return ring, 1 - np.float32(truth.ring_gap) * np.exp(np.float32(-0.4) * gap * gap)


def _arms(truth: Truth, at: Coordinates, texture: Plane) -> Plane:
    wobble = texture * np.float32(0.12 + 0.25 * truth.flocculence)
    number, pitch = truth.arm_number, truth.arm_pitch
    arms = spiral(at, number, pitch, truth.arm_phase, truth.arm_sharpness, wobble)
    if truth.arm_fade and number > 1:
        unequal = np.cos(at.azimuth - np.float32(1.3 * truth.arm_phase))
        arms *= 1 + np.float32(truth.arm_fade) * unequal
    if truth.flocculence > 0.35:
        # Flocculent spirals have many short arms over the main pattern.
        short = spiral(at, number + 3, 1.25 * pitch, 2.1 * truth.arm_phase, 2.0, 2 * wobble)
        share = np.float32(truth.flocculence)
        arms = (1 - share) * arms + share * short * (1 + np.float32(0.5) * texture)
        np.maximum(arms, 0, out=arms)
    strength = np.float32(2.2 * truth.arm_strength)
    return strength * arms * _window(at.radius, truth.arm_start, truth.arm_end)


def _lens(truth: Truth, at: Coordinates) -> Plane:
    # Flat with a sharp edge: over an exponential disc that takes a rising factor.
    factor = np.exp(np.minimum(at.radius, np.float32(1.5)) * np.float32(1 / truth.disc_scale))
    edge = _step_down(at.radius, truth.lens_radius, 28)
    height = np.float32(1.1 * truth.lens_strength * np.exp(-truth.lens_radius / truth.disc_scale))
    return height * factor * edge


def _bar(truth: Truth, at: Coordinates) -> Plane:
    cosine, sine = np.float32(np.cos(truth.bar_angle)), np.float32(np.sin(truth.bar_angle))
    u = (cosine * at.x + sine * at.y) * np.float32(1 / truth.bar_length)
    v = (cosine * at.y - sine * at.x) * np.float32(1 / (truth.bar_length * truth.bar_axis_ratio))
    u2, v2 = u * u, v * v
    # Boxy isophotes (exponent 2.7, Athanassoula+90), flat inside with a soft edge.
    m = np.exp(np.float32(1.35) * np.log(u2 + np.float32(1e-6)))
    m += np.exp(np.float32(1.35) * np.log(v2 + np.float32(1e-6)))
    return np.exp(np.float32(-1.2) * u2) / (1 + m * m)


def _bulge(truth: Truth, along: Plane, across: Plane, soft: float) -> Component:
    # Flattened less than the disc: oblate of intrinsic axis ratio 0.7.
    sine2 = 1 - truth.axis_ratio**2
    q = np.sqrt(1 - (1 - 0.7**2) * sine2)
    squared = along * along + (across * np.float32(1 / q)) ** 2 + np.float32(soft * soft)
    light = sersic(np.float32(0.5) * np.log(squared), truth.bulge_radius, truth.bulge_sersic)
    return Component(light, truth.bulge_fraction, truth.bulge_age)


def _clumps(
    truth: Truth, along: Plane, across: Plane, soft: float, rng: np.random.Generator
) -> Plane:
    light = np.zeros_like(along)
    number = truth.clump_number
    radius = np.minimum(truth.disc_scale * rng.gamma(2.2, 0.9, number), 1.1)
    azimuth = rng.uniform(0, 2 * np.pi, number)
    size = truth.clump_size * np.exp(0.3 * rng.normal(size=number))
    weight = np.exp(0.6 * rng.normal(size=number))
    step = 2 * soft / 0.9
    row, column = along.shape
    for k in range(number):
        cx, cy = radius[k] * np.cos(azimuth[k]), radius[k] * np.sin(azimuth[k]) * truth.axis_ratio
        sigma2 = size[k] ** 2 + soft**2
        c, s = np.cos(truth.position_angle), np.sin(truth.position_angle)
        i = int(round((s * cx + c * cy) / step + (row - 1) / 2))
        j = int(round((c * cx - s * cy) / step + (column - 1) / 2))
        reach = int(3 * np.sqrt(sigma2) / step) + 3
        patch = (slice(max(i - reach, 0), i + reach), slice(max(j - reach, 0), j + reach))
        dx, dy = along[patch] - np.float32(cx), across[patch] - np.float32(cy)
        light[patch] += np.float32(weight[k] / sigma2) * np.exp(
            (dx * dx + dy * dy) * np.float32(-0.5 / sigma2)
        )
    light += np.float32(1e-9)
    return light


def _edge_on(
    truth: Truth, along: Plane, across: Plane, texture: Plane, soft: float
) -> list[Component]:
    far = np.sqrt(along * along + np.float32(0.25 * truth.disc_scale**2))
    height = np.float32(truth.thickness) * (1 + np.float32(0.3) * far)
    up = np.minimum(np.abs(across) / np.sqrt(height * height + np.float32(soft * soft)), 15)
    disc = np.exp(-far * np.float32(1 / truth.disc_scale)) / np.cosh(up) ** 2
    disc *= np.exp(np.float32(truth.roughness) * texture)
    components = [Component(disc, 1 - truth.bulge_fraction, truth.age)]
    if truth.bulge_fraction:
        power = 3.6 if truth.bulge_shape == "boxy" else 2.0
        q = 0.62 if truth.bulge_shape == "boxy" else 0.78
        m = np.exp(np.float32(power / 2) * np.log(along * along + np.float32(soft * soft)))
        m += np.exp(
            np.float32(power / 2) * np.log((across / np.float32(q)) ** 2 + np.float32(1e-7))
        )
        log_radius = np.log(m) * np.float32(1 / power)
        light = sersic(log_radius, truth.bulge_radius, truth.bulge_sersic)
        components.append(Component(light, truth.bulge_fraction, truth.bulge_age))
    if truth.dust:
        lane = across * np.float32(1 / (0.35 * truth.thickness + 0.5 * soft))
        shade = np.float32(truth.dust) * np.exp(np.float32(-0.5) * lane * lane - far)
        for part in components:
            part.light *= 1 - shade
    return components


def _debris(
    truth: Truth, along: Plane, across: Plane, texture: Plane, soft: float
) -> list[Component]:
    q = max(truth.axis_ratio, 0.55)
    at = _coordinates(along, across, q, soft)
    components = []
    if truth.tail_strength:
        wobble = np.float32(0.1) * texture
        tails = spiral(at, truth.tail_number, truth.tail_pitch, truth.tail_phase, 7.0, wobble)
        tails *= _window(at.radius, 0.45, 1.9) * np.exp(-at.radius)
        components.append(Component(tails, 0.35 * truth.tail_strength, 0.8 * truth.age))
    if truth.shell_strength:
        shells = np.zeros_like(along)
        for k, place in enumerate((0.75, 1.15, 1.6)):
            edge = (at.radius - np.float32(place)) * np.float32(12)
            rise = np.exp(np.minimum(edge, 0)) / (1 + np.exp(np.minimum(edge * 3, 30)))
            side = np.cos(at.azimuth - np.float32(truth.tail_phase + np.pi * k))
            shells += rise * np.exp(np.float32(3) * (side - 1)) * np.float32(0.6**k)
        components.append(Component(shells, 0.2 * truth.shell_strength, truth.age))
    return components

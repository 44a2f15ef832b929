"""Quantities of one galaxy image, the same for simulated and real: levels of its 64 px JPEG.

Everything is measured on the stretched image, since real ones come as JPEG only; the numbers mean
something beside each other and nothing by themselves.
"""

import warnings

import numpy as np
from astropy.stats import sigma_clipped_stats
from numpy.typing import NDArray
from photutils.segmentation import SourceCatalog, detect_sources
from scipy.ndimage import gaussian_filter

Levels = NDArray[np.float32]

QUANTITIES = {
    "half-light radius": "half-light radius / half the frame",
    "90 % radius": "90 % light radius / half the frame",
    "concentration": "5 log10(r80 / r20)",
    "asymmetry": "asymmetry under half a turn, sky's taken off",
    "ellipticity": "1 - b/a of the light's moments",
    "core colour": "(R - B) / mean within half the half-light radius",
    "disc colour": "(R - B) / mean from half-light to 90 % radius",
    "core green": "(2G - R - B) / mean within half the half-light radius",
    "peak": "level of the brightest pixel",
    "signal to noise": "log10(mean level within the half-light radius / sky's scatter)",
    "sky": "level of the sky",
    "sky colour": "R - B of the sky, levels",
    "sky scatter": "scatter of the sky, levels",
    "sky colour scatter": "scatter of R - B over that of grey, sky",
    "sky grain": "correlation of neighbouring pixels of the sky, at 128 px",
    "galaxy grain": "log10(scatter of detail finer than a 1 px Gaussian / mean), in r90",
    "others": "share of the frame in detected sources other than the galaxy",
}


def measured(image: Levels, full: Levels) -> dict[str, float]:
    """Measure an image, (64, 64, 3) levels; `full` is the same one at 128 px."""
    grey = image.mean(2)
    corners = _corners(image, 10)
    _, level, scatter = sigma_clipped_stats(corners.mean(-1), sigma=3)
    scatter = max(float(scatter), 0.1)
    found = _sky(image, full, corners, float(level), scatter)
    light = grey - level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # photutils warns where nothing is found
        smooth = gaussian_filter(light, 1.0)
        segments = detect_sources(smooth, max(1.2 * scatter, 1.5), n_pixels=9)
        if segments is None:
            return found
        middle = len(grey) // 2
        near = np.unique(segments.data[middle - 4 : middle + 4, middle - 4 : middle + 4])
        near = near[near > 0]
        if not len(near):
            return found
        label = max(near, key=lambda k: int((segments.data == k).sum()))
        other = (segments.data > 0) & (segments.data != label)
        source = SourceCatalog(light, segments, mask=other, progress_bar=False).get_label(label)
        found["others"] = float(other.mean())
        return found | _galaxy(source, image - level, light, scatter, other)


def _galaxy(source, colours: Levels, light: Levels, scatter: float, other) -> dict[str, float]:
    radii = {f: float(np.squeeze(source.flux_radius(f).value)) for f in (0.2, 0.5, 0.8, 0.9)}
    if not np.isfinite(list(radii.values())).all():
        return {}
    half = len(light) / 2
    x, y = float(source.x_centroid), float(source.y_centroid)
    rows, columns = np.indices(light.shape)
    away = np.hypot(rows - y, columns - x)
    core = away <= max(radii[0.5] / 2, 1.5)
    disc = (away > radii[0.5]) & (away <= radii[0.9]) & ~other
    inside = (away <= radii[0.9]) & ~other
    means = [
        colours[region].mean(0) if region.any() else np.full(3, np.nan) for region in (core, disc)
    ]
    grain = (light - gaussian_filter(light, 1.0))[inside]
    return {
        "half-light radius": radii[0.5] / half,
        "90 % radius": radii[0.9] / half,
        "concentration": 5 * np.log10(radii[0.8] / max(radii[0.2], 0.3)),
        "asymmetry": _asymmetry(light, x, y, radii[0.9], other),
        "ellipticity": float(source.ellipticity),
        "core colour": float((means[0][0] - means[0][2]) / max(means[0].mean(), 1)),
        "disc colour": float((means[1][0] - means[1][2]) / max(means[1].mean(), 1)),
        "core green": float((3 * means[0][1] - means[0].sum()) / max(means[0].mean(), 1)),
        "peak": float(light[core].max()),
        "signal to noise": float(np.log10(max(light[away <= radii[0.5]].mean(), 0.1) / scatter)),
        "galaxy grain": float(np.log10(grain.std() / max(light[inside].mean(), 1))),
    }


def _asymmetry(light: Levels, x: float, y: float, radius: float, other) -> float:
    # Conselice+00: the smallest over centres near the centroid, less what the sky's scatter gives.
    reach, best = int(min(radius, len(light) / 2 - 3)) + 1, np.inf
    for row in range(round(y) - 1, round(y) + 2):
        for column in range(round(x) - 1, round(x) + 2):
            part = (
                slice(max(row - reach, 0), row + reach + 1),
                slice(max(column - reach, 0), column + reach + 1),
            )
            patch, hidden = light[part], other[part]
            if patch.shape != (2 * reach + 1, 2 * reach + 1):
                continue
            seen = ~(hidden | hidden[::-1, ::-1])
            seen &= np.hypot(*(np.indices(patch.shape) - reach)) <= radius
            differences = np.abs(patch - patch[::-1, ::-1])[seen].sum()
            best = min(best, float(differences / max(np.abs(patch[seen]).sum(), 1)))
            count, total = seen.sum(), max(np.abs(patch[seen]).sum(), 1)
    if not np.isfinite(best):
        return np.nan
    edge = np.concatenate([corner.ravel() for corner in _corners(light[..., None], 10)])
    # The mean absolute difference of two normal draws is 2 / sqrt(pi) of their scatter.
    _, _, scatter = sigma_clipped_stats(edge, sigma=3)
    return best - float(2 / np.sqrt(np.pi) * scatter * count / total)


def _sky(
    image: Levels, full: Levels, corners: Levels, level: float, scatter: float
) -> dict[str, float]:
    colour = corners[..., 0] - corners[..., 2]
    _, tint, spread = sigma_clipped_stats(colour, sigma=3)
    fine = _corners(full, 20).mean(-1)
    fine = fine - np.median(fine, axis=(1, 2), keepdims=True)
    calm = np.abs(fine) < 4 * scatter + 4
    pairs = calm[:, :, 1:] & calm[:, :, :-1]
    product = (fine[:, :, 1:] * fine[:, :, :-1])[pairs].mean() if pairs.any() else np.nan
    variance = (fine[calm] ** 2).mean() if calm.any() else np.nan
    return {
        "sky": level,
        "sky colour": float(tint),
        "sky scatter": scatter,
        "sky colour scatter": float(spread) / scatter,
        "sky grain": float(product / max(variance, 1e-3)),
    }


def _corners(image: Levels, width: int) -> Levels:
    return np.stack(
        [
            image[a, b]
            for a in (slice(width), slice(-width, None))
            for b in (slice(width), slice(-width, None))
        ]
    )

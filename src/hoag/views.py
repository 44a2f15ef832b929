"""Views of galaxies made in batches on the training device: one warp and one colour matrix each.

The steps are torchvision's for the paper's pipeline: rotate about the centre of the frame, cut a
random resized crop out of it, flip, jitter colours, perhaps make grey. Rotation, crop, flips and
resize are composed into one bilinear warp, so that a ring 1-3 pixels wide is interpolated once.
Brightness, contrast, saturation, hue and grey make one 3 x 4 matrix; `hoag.colours` says where
that differs from torchvision.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from hoag.colours import blur_some, colour_matrix, coloured
from hoag.errors import HoagError
from hoag.options import option
from hoag.randomness import PIXEL_NOISE, normal, uniform

_TRIES = 10  # torchvision's, before it falls back to a central crop
_DRAWS = (
    "angle", "flip_horizontal", "flip_vertical", "x", "y", "jitter", "brightness", "contrast",
    "saturation", "hue", "grey", "blur", "blur_sigma", "noise",
)  # fmt: skip
# Most input pixels an output pixel may span: beyond, a bilinear warp would skip pixels.
_COARSEST = 1.5
# Pixels of the views that are made at once on a CPU: they and what they are made of stay in its
# caches, and memory is used again rather than asked for, which is twice as fast.
_AT_ONCE = 2**19


@dataclass(frozen=True)
class ViewSettings:
    """Which random views of a galaxy are made; the defaults are the paper's contrastive views."""

    area: tuple[float, float] = option((0.3, 0.85), "least and most share of the frame in a crop")
    ratio: tuple[float, float] = option((0.8, 1.2), "least and most width / height of a crop")
    rotation: float = option(180.0, "largest rotation either way, degrees")
    flip_horizontal: float = option(0.5, "probability of a left-right flip")
    flip_vertical: float = option(0.5, "probability of an up-down flip")
    jitter_probability: float = option(0.8, "probability that colours are jittered at all")
    brightness: float = option(0.4, "factor in [1 - b, 1 + b]")
    contrast: float = option(0.4, "factor in [1 - c, 1 + c], about the view's mean grey")
    saturation: float = option(0.4, "factor in [1 - s, 1 + s]; grey is 0")
    hue: float = option(0.1, "largest turn of the hue either way, in whole turns, 0 to 0.5")
    grey_probability: float = option(0.3, "probability that a view is made grey")
    blur_probability: float = option(0.0, "probability of a Gaussian blur")
    blur_sigma: tuple[float, float] = option((0.1, 2.0), "least and most sigma of it, pixels")
    noise_probability: float = option(0.0, "probability of Gaussian noise on every pixel")
    noise_sigma: float = option(0.05, "its sigma; images span 0 to 1")
    fill: str = option("zeros", "outside the frame: zeros (black) or reflect")

    def __post_init__(self) -> None:
        for name in ("area", "ratio", "blur_sigma"):
            object.__setattr__(self, name, _rising(name, getattr(self, name)))
        _demand(self.area[1] <= 1, "area", self.area, "rise and lie in (0, 1]")
        for name in self.__dataclass_fields__:
            if name.startswith("flip_") or name.endswith("_probability"):
                value = getattr(self, name)
                _demand(0 <= value <= 1, name, value, "lie in [0, 1]")
        for name in ("brightness", "contrast", "saturation", "noise_sigma"):
            _demand(0 <= getattr(self, name) < math.inf, name, getattr(self, name), "be 0 or more")
        _demand(0 <= self.rotation <= 180, "rotation", self.rotation, "lie in [0, 180] degrees")
        _demand(0 <= self.hue <= 0.5, "hue", self.hue, "lie in [0, 0.5] turns")
        _demand(self.fill in ("zeros", "reflect"), "fill", self.fill, "be 'zeros' or 'reflect'")


def _rising(name: str, value: Any) -> tuple[float, float]:
    wanted = "rise and lie in (0, 1]" if name == "area" else "be two positive numbers that rise"
    try:
        low, high = (float(part) for part in value)
    except (TypeError, ValueError):
        raise HoagError(f"views.{name}: {value!r} must {wanted}") from None
    _demand(0 < low <= high < math.inf, name, (low, high), wanted)
    return low, high


def _demand(good: bool, name: str, value: object, wanted: str) -> None:
    if not good:
        raise HoagError(f"views.{name}: {value!r} must {wanted}")


class Views:
    """Random views by the settings, `size` pixels on a side.

    A view is a function of settings, image, seed, step, key and stream, whatever else is in the
    batch. Crops are cut as by torchvision's RandomResizedCrop: area uniform, ratio log-uniform, ten
    tries to fit into the frame, then the largest central crop; here without rounding to pixels.
    """

    def __init__(self, settings: ViewSettings, size: int) -> None:
        self.settings = settings
        self.size = size

    @torch.no_grad()
    def __call__(
        self, images: Tensor, *, seed: int, step: int, keys: Tensor, stream: int
    ) -> Tensor:
        """Make one view of each image.

        Parameters
        ----------
        images
            (batch, 3, height, width) uint8; never changed.
        seed, step, keys, stream
            Where the randomness comes from, see `hoag.randomness.uniform`; keys (batch,) int64.

        Returns
        -------
        Tensor
            (batch, 3, size, size) float32 in [0, 1], on the device of `images`.
        """
        _check_images(images)
        views = images.new_empty((len(images), 3, self.size, self.size), dtype=torch.float32)
        # Autocast would round coordinates to 8 bits, which shifts pixels.
        with torch.autocast(images.device.type, enabled=False):
            columns = len(_DRAWS) + 2 * _TRIES
            numbers = uniform(seed, step, keys, columns, stream, images.device)
            draws = dict(zip(_DRAWS, numbers[:, : len(_DRAWS)].unbind(1), strict=True))
            geometry = self._geometry(draws, numbers[:, len(_DRAWS) :], *self._frame(images))
            factors = self._factors(draws)
            for part in _parts(images, self.size):
                out = views[part]
                warped = self._warped(images[part], *(each[..., part] for each in geometry))
                if factors:
                    chosen = {name: values[part] for name, values in factors.items()}
                    coloured(warped, *colour_matrix(warped.mean((2, 3)), **chosen), out=out)
                else:
                    out.copy_(warped)
                self._blur(out, draws["blur"][part], draws["blur_sigma"][part])
                self._add_noise(out, draws["noise"][part], keys[part], (seed, step, stream))
                out.clamp_(0.0, 1.0)
        return views

    def _frame(self, images: Tensor) -> tuple[int, int]:
        """Height and width of the frames that are sampled: reduced where views are far smaller."""
        height, width = images.shape[2:]
        largest = math.ceil(_COARSEST * self.size / math.sqrt(self.settings.area[1]))
        if min(height, width) <= largest:
            return height, width
        scale = largest / min(height, width)
        return max(1, round(height * scale)), max(1, round(width * scale))

    def _geometry(
        self, draws: dict[str, Tensor], tries: Tensor, height: int, width: int
    ) -> tuple[Tensor, ...]:
        """Give whether each view is flipped across and down, (batch,), and its map to the frame.

        The map, (3, batch) for x and for y, takes (x, y, 1) in the view, where [-1, 1] is its side,
        to [-1, 1] in the frame. There is none where only a flip and a resize are asked for.
        """
        chosen = self.settings
        across = draws["flip_horizontal"] < chosen.flip_horizontal
        down = draws["flip_vertical"] < chosen.flip_vertical
        if chosen.rotation == 0 and chosen.area == (1, 1) and chosen.ratio == (1, 1):
            return across, down
        crop_width, crop_height = crop_sizes(tries, chosen.area, chosen.ratio, height, width)
        x = (draws["x"] - 0.5) * (width - crop_width)
        y = (draws["y"] - 0.5) * (height - crop_height)
        angle = (2.0 * draws["angle"] - 1.0) * math.radians(chosen.rotation)
        cos, sin = angle.cos(), angle.sin()
        half_x = crop_width / 2 * torch.where(across, -1.0, 1.0)
        half_y = crop_height / 2 * torch.where(down, -1.0, 1.0)
        along_x = torch.stack([cos * half_x, -sin * half_y, cos * x - sin * y]) * (2 / width)
        along_y = torch.stack([sin * half_x, cos * half_y, sin * x + cos * y]) * (2 / height)
        return across, down, along_x, along_y

    def _warped(self, images: Tensor, across: Tensor, down: Tensor, *along: Tensor) -> Tensor:
        if not along:
            views = _resized(images, self.size)
            views = torch.where(across[:, None, None, None], views.flip(3), views)
            return torch.where(down[:, None, None, None], views.flip(2), views)
        frames = images.float().div_(255)
        if frames.shape[2:] != self._frame(images):
            frames = _antialiased(frames, *self._frame(images))
        return F.grid_sample(
            frames,
            self._grid(*along),
            mode="bilinear",
            padding_mode="zeros" if self.settings.fill == "zeros" else "reflection",
            align_corners=False,
        )

    def _grid(self, along_x: Tensor, along_y: Tensor) -> Tensor:
        # F.affine_grid is a matrix product, in which TF32 would round coordinates to 11 bits.
        axis = (torch.arange(self.size, device=along_x.device) + 0.5) * (2 / self.size) - 1
        grid = along_x.new_empty((along_x.shape[1], self.size, self.size, 2))
        for part, (by_x, by_y, start) in enumerate((along_x, along_y)):
            rows = torch.addcmul(start[:, None], by_y[:, None], axis)
            columns = by_x[:, None] * axis
            torch.add(rows[:, :, None], columns[:, None, :], out=grid[..., part])
        return grid

    def _factors(self, draws: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give what `colour_matrix` takes beside the mean, (batch,) each; {} to leave colours."""
        chosen = self.settings
        if chosen.jitter_probability == 0 and chosen.grey_probability == 0:
            return {}
        jitter = draws["jitter"] < chosen.jitter_probability
        factors = {}
        for name in ("brightness", "contrast", "saturation"):
            spread = getattr(chosen, name)
            low = max(0.0, 1.0 - spread)
            factors[name] = torch.where(jitter, low + (1.0 + spread - low) * draws[name], 1.0)
        factors["turns"] = torch.where(jitter, (2.0 * draws["hue"] - 1.0) * chosen.hue, 0.0)
        grey = draws["grey"] < chosen.grey_probability
        factors["saturation"] = torch.where(grey, 0.0, factors["saturation"])
        return factors

    def _blur(self, views: Tensor, draw: Tensor, sigma: Tensor) -> None:
        """Blur some of the views in place."""
        if self.settings.blur_probability == 0:
            return
        rows = (draw < self.settings.blur_probability).nonzero()[:, 0]
        if len(rows):
            low, high = self.settings.blur_sigma
            sigma = low + (high - low) * sigma[rows]
            radius = min(math.ceil(3 * high), self.size - 1)
            blur_some(views, rows, sigma, radius)

    def _add_noise(
        self, views: Tensor, draw: Tensor, keys: Tensor, where: tuple[int, int, int]
    ) -> None:
        """Add noise to some of the views in place."""
        if self.settings.noise_probability == 0 or self.settings.noise_sigma == 0:
            return
        rows = (draw < self.settings.noise_probability).nonzero()[:, 0]
        if len(rows):
            seed, step, stream = where
            chosen = keys.to(views.device)[rows]
            noise = normal(seed, step, chosen, views[0].numel(), stream + PIXEL_NOISE)
            noise = noise.view(-1, *views.shape[1:])
            views.index_add_(0, rows, noise, alpha=self.settings.noise_sigma)


def _parts(images: Tensor, size: int) -> list[slice]:
    """Cut a batch in parts; on a CPU, whose caches should hold a part, several."""
    count = len(images)
    at_once = max(1, _AT_ONCE // (3 * size**2)) if images.device.type == "cpu" else max(1, count)
    return [slice(start, start + at_once) for start in range(0, count, at_once)]


def crop_sizes(
    tries: Tensor, area: tuple[float, float], ratio: tuple[float, float], height: int, width: int
) -> tuple[Tensor, Tensor]:
    """Choose widths and heights of crops, each (batch,) float32 pixels, not rounded.

    Parameters
    ----------
    tries
        (batch, 2 n) uniform in [0, 1): area and ratio of n tries, of which the first to fit into
        the frame counts.
    area, ratio
        Least and most fraction of the frame's area, drawn uniformly; least and most width / height,
        drawn log-uniformly.
    height, width
        Of the frame, pixels.
    """
    areas = (area[0] + (area[1] - area[0]) * tries[:, 0::2]) * (height * width)
    logs = (math.log(ratio[0]), math.log(ratio[1]))
    ratios = torch.exp(logs[0] + (logs[1] - logs[0]) * tries[:, 1::2])
    widths, heights = (areas * ratios).sqrt(), (areas / ratios).sqrt()
    fits = (widths <= width) & (heights <= height)
    first = fits.int().argmax(1, keepdim=True)
    central = min(max(width / height, ratio[0]), ratio[1])
    fallback = (min(width, height * central), min(height, width / central))
    fit = fits.any(1)
    return (
        torch.where(fit, widths.gather(1, first)[:, 0], fallback[0]),
        torch.where(fit, heights.gather(1, first)[:, 0], fallback[1]),
    )


@torch.no_grad()
def evaluation_view(images: Tensor, size: int, area: float = 1.0) -> Tensor:
    """Make the view that evaluation, embedding and catalogues use: no randomness.

    Parameters
    ----------
    images
        (batch, 3, height, width) uint8; never changed.
    size
        Side of the views in pixels; the resize is antialiased.
    area
        Fraction of the frame's area in a central crop; 1 for all of it, as in the paper's code.

    Returns
    -------
    Tensor
        (batch, 3, size, size) float32 in [0, 1].
    """
    if not 0 < area <= 1:
        raise HoagError(f"evaluation area: {area} must lie in (0, 1]")
    _check_images(images)
    height, width = images.shape[2:]
    rows, columns = round(height * math.sqrt(area)), round(width * math.sqrt(area))
    top, left = (height - rows) // 2, (width - columns) // 2
    return _resized(images[:, :, top : top + rows, left : left + columns], size)


def _check_images(images: Tensor) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
        shape = tuple(images.shape)
        raise HoagError(
            f"images must be (batch, 3, height, width) uint8, not {shape} {images.dtype}"
        )


def _resized(images: Tensor, size: int) -> Tensor:
    views = images.to(torch.float32, memory_format=torch.contiguous_format).div_(255)
    if images.shape[2:] == (size, size):
        return views
    return _antialiased(views, size, size).clamp_(0.0, 1.0)


def _antialiased(images: Tensor, height: int, width: int) -> Tensor:
    if images.device.type == "mps":  # has no antialiased kernel; the CPU's result is the same
        return _antialiased(images.cpu(), height, width).to(images.device)
    return F.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=True
    )

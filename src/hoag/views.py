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

from hoag.blurring import Blur
from hoag.colours import colour_matrix, coloured
from hoag.errors import HoagError
from hoag.options import option
from hoag.pixel_noise import Noise
from hoag.randomness import uniform

_TRIES = 10  # torchvision's, before it falls back to a central crop
_DRAWS = (
    "angle", "flip_horizontal", "flip_vertical", "x", "y", "jitter", "brightness", "contrast",
    "saturation", "hue", "grey", "blur", "blur_sigma", "noise",
)  # fmt: skip
# Most input pixels an output pixel may span: beyond, a bilinear warp would skip pixels.
_COARSEST = 1.5
# Pixels of the views that are made at once on a CPU: few enough for its caches and for memory to be
# used again, which is twice as fast as to ask for it, and many enough for few calls.
_AT_ONCE = 2**20


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
            colours = self._colours(draws)
            blur, noise = self._blur(draws), self._noise(draws, seed, step, keys, stream)
            for part in _parts(images, self.size):
                out = views[part]
                warped = self._warped(images[part], *(each[part] for each in geometry))
                if colours:
                    coloured(warped, colours[0][part], colours[1][part], out)
                else:
                    torch.div(warped, 255, out=out)
                for change in (blur, noise):
                    if change:
                        change(out, part.start)
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

        The map is a column and a row of complex numbers, (batch, size) each: the sum of two is the
        place, x + iy, that a pixel is taken from, where [-1, 1] is the frame's side. There is none
        where only a flip and a resize are asked for.
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
        # F.affine_grid is a matrix product, in which TF32 would round coordinates to 11 bits.
        axis = (torch.arange(self.size, device=x.device) + 0.5) * (2 / self.size) - 1
        by_x, by_y, start = torch.complex(along_x, along_y)[..., None]
        return across, down, start + by_y * axis, by_x * axis

    def _warped(self, images: Tensor, across: Tensor, down: Tensor, *map_: Tensor) -> Tensor:
        """Cut and turn; 0 to 255 still, so that the division is one with what follows."""
        if not map_:
            views = _antialiased(_floats(images), self.size, self.size)
            views = torch.where(across[:, None, None, None], views.flip(3), views)
            return torch.where(down[:, None, None, None], views.flip(2), views)
        column, row = map_
        return F.grid_sample(
            _antialiased(images.float(), *self._frame(images)),
            torch.view_as_real(column[:, :, None] + row[:, None]),
            mode="bilinear",
            padding_mode="zeros" if self.settings.fill == "zeros" else "reflection",
            align_corners=False,
        )

    def _colours(self, draws: dict[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Give what `coloured` takes, which also brings 255 to 1; None to leave colours."""
        chosen = self.settings
        if chosen.jitter_probability == 0 and chosen.grey_probability == 0:
            return None
        jitter = draws["jitter"] < chosen.jitter_probability
        factors = {}
        for name in ("brightness", "contrast", "saturation"):
            spread = getattr(chosen, name)
            low = max(0.0, 1.0 - spread)
            factors[name] = torch.where(jitter, low + (1.0 + spread - low) * draws[name], 1.0)
        factors["turns"] = torch.where(jitter, (2.0 * draws["hue"] - 1.0) * chosen.hue, 0.0)
        grey = draws["grey"] < chosen.grey_probability
        factors["saturation"] = torch.where(grey, 0.0, factors["saturation"])
        matrix, share = colour_matrix(**factors)
        return matrix / 255, share / 255

    def _blur(self, draws: dict[str, Tensor]) -> Blur | None:
        """Give the blur of some of the views."""
        if self.settings.blur_probability == 0:
            return None
        rows = (draws["blur"] < self.settings.blur_probability).nonzero()[:, 0]
        low, high = self.settings.blur_sigma
        sigma = low + (high - low) * draws["blur_sigma"][rows]
        radius = min(math.ceil(3 * high), self.size - 1)
        return Blur(rows, sigma, radius, (3, self.size, self.size))

    def _noise(
        self, draws: dict[str, Tensor], seed: int, step: int, keys: Tensor, stream: int
    ) -> Noise | None:
        """Give the noise of some of the views."""
        if self.settings.noise_probability == 0 or self.settings.noise_sigma == 0:
            return None
        rows = (draws["noise"] < self.settings.noise_probability).nonzero()[:, 0]
        chosen = keys.to(rows.device)[rows]
        return Noise(rows, self.settings.noise_sigma, seed, step, chosen, stream)


def _parts(images: Tensor, size: int) -> list[slice]:
    """Cut a batch in even parts; on a CPU, whose caches should hold a part, several."""
    count = len(images)
    parts = -(-count * 3 * size**2 // _AT_ONCE) if images.device.type == "cpu" else 1
    at_once = -(-count // max(1, min(parts, count)))
    return [slice(start, start + at_once) for start in range(0, count, max(1, at_once))]


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
    return _antialiased(_floats(images), size, size).div_(255).clamp_(0.0, 1.0)


def _floats(images: Tensor) -> Tensor:
    return images.to(torch.float32, memory_format=torch.contiguous_format)


def _antialiased(images: Tensor, height: int, width: int) -> Tensor:
    if images.shape[2:] == (height, width):
        return images
    if images.device.type == "mps":  # has no antialiased kernel; the CPU's result is the same
        return _antialiased(images.cpu(), height, width).to(images.device)
    return F.interpolate(
        images, (height, width), mode="bilinear", align_corners=False, antialias=True
    )

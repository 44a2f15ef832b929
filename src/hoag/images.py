"""Decoding and encoding of single images: always RGB, whole, antialiased, or one clear refusal.

A JPEG is decoded by simplejpeg, straight from memory to memory. It calls the same libjpeg-turbo as
Pillow, so every pixel is the same (all 44,510 real galaxies at hand were compared), at a third of
the time for a small image. What it does not take, or warns of, is Pillow's to decode or refuse.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hoag.errors import HoagError

Pixels = npt.NDArray[np.uint8]

# Anything else (FITS planes, floats) has no agreed stretch to 8 bits, so hoag does not guess one.
FORMATS = ("JPEG", "PNG")
_JPEG = b"\xff\xd8"
_MARKERS = ((_JPEG, b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"))  # start, end
_MOST_PIXELS = 80_000_000  # below what Pillow warns of, so that the refusal is in one place
_SPARE = 1.5  # times the size asked for, that the shorter side of a reduced JPEG has at least


def decode(
    data: bytes | memoryview | str | Path,
    size: int | None = None,
    where: str = "image",
    out: Pixels | None = None,
) -> Pixels:
    """Decode a JPEG or PNG to RGB.

    Grey images are repeated in three channels, 16-bit grey is scaled to 8 bits (PNG's own rule,
    value / 257), transparency is laid on black, CMYK is converted.

    Parameters
    ----------
    data
        The file's bytes, or the path of a file.
    size
        Side of the returned square in pixels. The centre square of an image that is not square is
        taken, then resized with an antialiasing, non-negative (triangle) filter, which leaves no
        dark ring around a bright core. None: the image as it is.
    where
        Name of the image in error messages: its galaxy and file.
    out
        (size, size, 3) uint8, contiguous, that the image is written to.

    Returns
    -------
    array
        (height, width, 3) uint8, 0 to 255.

    Raises
    ------
    HoagError
        If the file is missing, empty, cut short, corrupt, or not a JPEG or PNG.
    """
    pixels, _ = _read(_content(data, where), size, where, out)
    if size is not None and pixels.shape[:2] != (size, size):
        pixels = _resized(_centre_square(pixels), size)
    if out is not None and pixels is not out:
        out[...] = pixels
    return pixels if out is None else out


def _read(
    content: bytes, size: int | None, where: str, out: Pixels | None = None
) -> tuple[Pixels, bool]:
    """Decode to RGB, smaller if `size` allows, and tell whether the file was whole and RGB.

    `out` is used if the image is of its size, and then returned.
    """
    if content.startswith(_JPEG):
        found = _read_jpeg(content, size, out)
        if found is not None:
            return found
    with _opened(content, where) as image:
        plain = image.mode == "RGB" and "transparency" not in image.info
        width, height = image.size
        scale = _scale(width, height, size)
        if scale > 1:
            image.draft(None, (width // scale, height // scale))
        image.load()
        return np.array(_rgb(image, where)), plain and image.size == (width, height)


def _read_jpeg(content: bytes, size: int | None, out: Pixels | None) -> tuple[Pixels, bool] | None:
    """Decode a JPEG, or leave it to Pillow: one that is damaged, huge or of other colours."""
    import simplejpeg

    try:
        height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
        # Of CMYK the two libraries make RGB that differs by one level.
        if colours not in ("YCbCr", "RGB", "Gray") or height * width > _MOST_PIXELS:
            return None
        scale = _scale(width, height, size)
        if scale > 1:
            down, across = -(-height // scale), -(-width // scale)
            pixels = simplejpeg.decode_jpeg(content, "RGB", min_height=down, min_width=across)
        elif out is not None and out.shape == (height, width, 3):
            simplejpeg.decode_jpeg(content, "RGB", buffer=out)
            pixels = out
        else:
            pixels = simplejpeg.decode_jpeg(content, "RGB")
    except ValueError:
        return None
    return pixels, scale == 1 and colours != "Gray"


def _scale(width: int, height: int, size: int | None) -> int:
    """Decode a JPEG at 1/1, 1/2, 1/4 or 1/8: the least that leaves some spare over `size`.

    Leaving out frequencies is a filter as good as the triangle that follows: on 400 real cutouts
    of 424 px, reduced to 128 px, a pixel differs from the whole one reduced by a quarter of a level
    in the mean and by 11 at most.
    """
    if size is None:
        return 1
    return next((n for n in (8, 4, 2) if min(width, height) >= _SPARE * n * size), 1)


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[Any]:
    """Open an image; whatever goes wrong with it, then or later, is one sentence."""
    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            opened = Image.open(io.BytesIO(data), formats=FORMATS)
        with opened as image:
            yield image
    except UnidentifiedImageError:
        raise HoagError(f"{where}: not a JPEG or PNG image; convert it to one of them") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise HoagError(f"{where}: too large to be a cutout of one galaxy; cut it out") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise HoagError(
            f"{where}: the image is cut short or corrupt ({error}); fetch it again or drop the row"
        ) from None


def encode_jpeg(array: Pixels, quality: int = 95) -> bytes:
    """Encode RGB pixels as JPEG with full-resolution colour.

    Parameters
    ----------
    array
        (height, width, 3) uint8.
    quality
        1 to 95, as libjpeg means it.
    """
    from PIL import Image

    if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
        raise HoagError(
            f"an image to encode must be (height, width, 3) uint8, not {array.shape} {array.dtype}"
        )
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()


def decode_square(
    content: bytes, size: int, where: str = "image", many: bool = False
) -> tuple[Pixels, bool]:
    """Decode to a square, and tell whether the image is 8-bit RGB of that size already.

    As `decode` but for the resize: where images are not `many` it is Pillow's, which is within a
    level of torch's and takes 0.2 ms longer, but each process of a build need not load torch, which
    takes 1.5 s and 270 MB.
    """
    pixels, plain = _read(_content(content, where), size, where)
    return resize_square(pixels, size, many), plain and pixels.shape[:2] == (size, size)


def resize_square(pixels: Pixels, size: int, many: bool = False) -> Pixels:
    """Resize the centre square of an image as `decode_square` does; (size, size, 3) uint8."""
    from PIL import Image

    if pixels.shape[:2] == (size, size):
        return pixels
    square = _centre_square(pixels)
    if many:
        return _resized(square, size)
    resized = Image.fromarray(square).resize((size, size), Image.Resampling.BILINEAR)
    return np.array(resized)


def _content(data: bytes | memoryview | str | Path, where: str) -> bytes:
    if isinstance(data, str | Path):
        try:
            data = Path(data).read_bytes()
        except OSError as error:
            raise HoagError(f"{where}: cannot be read ({error.strerror or error})") from None
    content = bytes(data)
    if not content:
        raise HoagError(f"{where}: the image is empty (0 bytes); fetch it again or drop the row")
    # Pillow forgives a file whose last bytes are missing if the decoder happened to be done.
    for start, end in _MARKERS:
        if content.startswith(start) and content.rfind(end, len(content) // 2) < 0:
            raise HoagError(
                f"{where}: the image is cut short (no end marker); fetch it again or drop the row"
            )
    return content


def _centre_square(pixels: Pixels) -> Pixels:
    height, width, _ = pixels.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return pixels[top : top + side, left : left + side]


def _resized(square: Pixels, size: int) -> Pixels:
    """Resize by torch's kernel of 8-bit integers, the same filter as Pillow's, faster."""
    import torch
    from torch.nn import functional as F

    image = torch.from_numpy(square)[None].permute(0, 3, 1, 2)
    image = F.interpolate(image, (size, size), mode="bilinear", antialias=True)
    return image.permute(0, 2, 3, 1)[0].numpy()


def _rgb(image: Any, where: str) -> Any:
    from PIL import Image

    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        values = np.asarray(image).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise HoagError(f"{where}: grey values beyond 16 bits; convert it to 8-bit RGB")
        image = Image.fromarray(((values + 128) // 257).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        opaque = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", opaque.size, "black"), opaque).convert("RGB")
    if image.mode in ("L", "P", "CMYK", "YCbCr", "1", "LAB", "HSV"):
        return image.convert("RGB")
    raise HoagError(f"{where}: images of mode {image.mode} are not read; convert it to 8-bit RGB")

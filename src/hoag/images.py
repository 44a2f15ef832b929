"""Decoding and encoding of single images: always RGB, whole, antialiased, or one clear refusal."""

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
_MARKERS = ((b"\xff\xd8", b"\xff\xd9"), (b"\x89PNG", b"IEND\xaeB`\x82"))  # start, end


def decode(
    data: bytes | memoryview | str | Path, size: int | None = None, where: str = "image"
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

    Returns
    -------
    array
        (height, width, 3) uint8, 0 to 255.

    Raises
    ------
    HoagError
        If the file is missing, empty, cut short, corrupt, or not a JPEG or PNG.
    """
    with _opened(_content(data, where), where) as image:
        if size is None:
            image.load()
            return np.array(_rgb(image, where))
        return _square(image, size, where)


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


def decode_square(content: bytes, size: int, where: str = "image") -> tuple[Pixels, bool]:
    """Decode as `decode` does, and tell whether the image is 8-bit RGB of that size already."""
    with _opened(_content(content, where), where) as image:
        plain = image.mode == "RGB" and "transparency" not in image.info
        as_is = plain and image.size == (size, size)
        return _square(image, size, where), as_is


def resize_square(pixels: Pixels, size: int) -> Pixels:
    """Resize the centre square of an image as `decode` does; (size, size, 3) uint8."""
    from PIL import Image

    return _resized(Image.fromarray(pixels), size)


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


def _square(image: Any, size: int, where: str) -> Pixels:
    short = min(image.size)
    # A JPEG is decoded at 1/2, 1/4 or 1/8 when that leaves at least twice the size asked for.
    image.draft(None, (image.width * 2 * size // short, image.height * 2 * size // short))
    image.load()
    return _resized(_rgb(image, where), size)


def _resized(image: Any, size: int) -> Pixels:
    from PIL import Image

    width, height = image.size
    side = min(width, height)
    left, top = (width - side) // 2, (height - side) // 2
    if (width, height) != (size, size):
        box = (left, top, left + side, top + side)
        image = image.resize((size, size), Image.Resampling.BILINEAR, box=box)
    return np.array(image)


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

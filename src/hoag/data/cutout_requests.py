"""Asking a hips2fits service for cutouts: politely, again after failures, checking the answer."""

from __future__ import annotations

import io
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import numpy as np

from hoag.data.fits_images import FitsSettings, is_fits, read_fits
from hoag.errors import HoagError
from hoag.images import decode

_AGAIN = (408, 425, 429, 500, 502, 503, 504)
_LONGEST_WAIT = 300.0  # s; a server that asks for more is asked another day


class NotFetched(Exception):
    """Why a cutout could not be had; `blank` if the survey has nothing there."""

    def __init__(self, reason: str, *, blank: bool = False):
        super().__init__(reason)
        self.blank = blank


class Pace:
    """At most so many requests a second over all threads, and pauses that a server asks for."""

    def __init__(self, per_second: float):
        self.gap = 1 / per_second
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self) -> None:
        """Sleep until the next request may be sent."""
        with self._lock:
            start = max(time.monotonic(), self._next)
            self._next = start + self.gap
        time.sleep(max(0.0, start - time.monotonic()))

    def pause(self, seconds: float) -> None:
        """Let no thread send anything for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


@dataclass(frozen=True)
class Asked:
    """One cutout: centre in degrees, side in arcsec."""

    ra: float
    dec: float
    field: float


class Service:
    """A hips2fits service, asked through astroquery.

    Parameters
    ----------
    server
        Address of the service.
    hips
        HiPS to ask for, by the name of the band ("" for the colour picture).
    form
        "jpg" or "fits".
    pixels
        Side of the cutouts.
    per_second, retries, timeout
        Requests a second in all, times a failed one is repeated, seconds to wait for an answer.
    """

    def __init__(
        self, server: str, hips: Mapping[str, str], form: str, pixels: int, *,
        per_second: float, retries: int, timeout: float,
    ):  # fmt: skip
        self.server, self.hips, self.form, self.pixels = server, dict(hips), form, pixels
        self.retries, self.timeout = retries, timeout
        self.pace = Pace(per_second)
        self._local = threading.local()  # a connection for each thread
        try:
            import astroquery  # noqa: F401
        except ImportError:
            raise HoagError("cutouts need astroquery; run: pip install 'hoag[cutouts]'") from None

    def fetch(self, asked: Asked) -> bytes:
        """Get one cutout, whole and with something on it: a JPEG, or a FITS file of all bands.

        Raises
        ------
        NotFetched
            If the server refuses, keeps failing, or has nothing there.
        """
        if self.form == "jpg":
            return self._whole(asked, *next(iter(self.hips.items())))
        return _joined({band: self._whole(asked, band, hips) for band, hips in self.hips.items()})

    def _whole(self, asked: Asked, band: str, hips: str) -> bytes:
        import requests

        reason = ""
        for attempt in range(self.retries + 1):
            self.pace.wait()
            wait = random.uniform(0.5, 1.0) * min(0.5 * 2**attempt, 60)
            try:
                response = self._ask(asked, hips)
            except requests.RequestException as error:
                reason = f"no answer from the server ({_short(error)})"
            else:
                if response.status_code == 200:
                    try:
                        return _checked(response.content, self.form, self.pixels)
                    except HoagError as error:
                        reason = str(error).removeprefix("cutout: ")
                elif response.status_code in _AGAIN:
                    reason = f"the server says {response.status_code} {response.reason}"
                    told = _retry_after(response.headers.get("Retry-After"))
                    if told > _LONGEST_WAIT:
                        raise NotFetched(f"{reason}, to come back in {told:.0f} s")
                    if told:
                        self.pace.pause(told)
                        wait = 0
                else:
                    raise NotFetched(f"the server refuses {hips}: {_message(response)}")
            if attempt < self.retries:
                time.sleep(wait)
        raise NotFetched(f"{reason}, {self.retries + 1} times")

    def _ask(self, asked: Asked, hips: str) -> Any:
        from astropy import units as u
        from astropy.coordinates import Angle, Latitude, Longitude

        return self._client().query_async(
            hips=hips, width=self.pixels, height=self.pixels, projection="TAN",
            ra=Longitude(asked.ra * u.deg), dec=Latitude(asked.dec * u.deg),
            fov=Angle(asked.field * u.arcsec), coordsys="icrs", rotation_angle=Angle(0 * u.deg),
            format=self.form, min_cut=0.5, max_cut=99.5, stretch="asinh", cmap="Greys_r",
        )  # fmt: skip

    def _client(self) -> Any:
        if not hasattr(self._local, "client"):
            from astroquery.hips2fits import hips2fitsClass

            client = hips2fitsClass()
            client.server, client.timeout = self.server, self.timeout
            self._local.client = client
        return self._local.client


def _checked(content: bytes, form: str, pixels: int) -> bytes:
    """Pass on an answer that is a whole picture of the right size with something on it."""
    if form == "fits":
        try:
            read_fits(content, FitsSettings("auto", bands=() if is_fits(content) else ("0",)),
                      "cutout")  # fmt: skip
        except HoagError as error:
            if "blank" in str(error) or "no good pixel" in str(error):
                raise NotFetched("outside the survey: the cutout is blank", blank=True) from None
            raise
        return content
    picture = decode(content, where="cutout")
    if picture.shape[:2] != (pixels, pixels):
        raise NotFetched(f"the server sent {picture.shape[1]} x {picture.shape[0]} pixels, not "
                         f"{pixels} x {pixels}")  # fmt: skip
    if np.ptp(picture.reshape(-1, 3), axis=0).max() == 0:
        raise NotFetched("outside the survey: the cutout is blank", blank=True)
    return content


def _joined(bands: Mapping[str, bytes]) -> bytes:
    """Join the FITS images of several bands in one file, an extension each, named by its band."""
    from astropy.io import fits

    joined = fits.HDUList([fits.PrimaryHDU()])
    for band, content in bands.items():
        with fits.open(io.BytesIO(content), memmap=False) as hdus:
            header = hdus[0].header.copy()
            joined.append(fits.ImageHDU(np.array(hdus[0].data), header, name=band or "IMAGE"))
    memory = io.BytesIO()
    joined.writeto(memory, output_verify="silentfix")
    return memory.getvalue()


def _retry_after(value: str | None) -> float:
    """Seconds that a Retry-After header asks for, as a number or a date; 0 for none."""
    if not value:
        return 0.0
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def _message(response: Any) -> str:
    """Say what a refusal says: hips2fits sends JSON with a title and a description."""
    try:
        body = response.json()
        text = ": ".join(str(body[key]) for key in ("title", "description") if body.get(key))
    except (ValueError, AttributeError, TypeError):
        text = ""
    return f"{response.status_code} {' '.join(text.split())[:160] or response.reason}"


def _short(error: Exception) -> str:
    return type(error).__name__ if len(str(error)) > 80 else " ".join(str(error).split())

"""A local server that answers as hips2fits does, with faults on demand, for tests of cutouts."""

import io
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from PIL import Image

# What the sky holds: a round source at each of these positions, so many arcsec in size.
SOURCES = [(150.0 + 0.1 * k, 2.0 + 0.05 * k, 2.0 + 0.2 * k) for k in range(60)]
EDGE = 88.0  # degrees of declination; beyond it the survey has no image


def sky(ra: float, dec: float, field: float, pixels: int) -> tuple[np.ndarray, WCS]:
    """Render the sky about a position: noise fixed to it, and the sources in the field."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [pixels / 2 + 0.5] * 2
    wcs.wcs.cdelt = [-field / pixels, field / pixels]
    image = np.random.default_rng(int(ra * 1e4) + int(dec * 1e4)).normal(0, 0.01, (pixels, pixels))
    y, x = np.mgrid[:pixels, :pixels]
    for source_ra, source_dec, size in SOURCES:
        if abs(source_ra - ra) > 1 or abs(source_dec - dec) > 1:
            continue
        px, py = wcs.world_to_pixel_values(source_ra, source_dec)
        width = size / 3600 / field * pixels
        image += np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * width**2))
    return image.astype(np.float32), wcs


class CutoutServer:
    """A running server; `faults[ra]` lists what goes wrong with the next requests for an ra.

    Faults: a status number, (status, headers), "drop", "truncate", "html", "wrong size", "slow".
    """

    def __init__(self) -> None:
        self.faults: dict[float, list[Any]] = defaultdict(list)
        self.requests: list[tuple[float, dict[str, str]]] = []
        self.most_at_once = self.now = 0
        self.lock = threading.Lock()
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.http.daemon_threads = True
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http.server_port}/hips-image-services/hips2fits"

    def __enter__(self) -> "CutoutServer":
        self.thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()

    def queries(self) -> list[dict[str, str]]:
        return [query for _, query in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                with server.lock:
                    server.now += 1
                    server.most_at_once = max(server.most_at_once, server.now)
                try:
                    server.answer(self)
                finally:
                    with server.lock:
                        server.now -= 1

            def log_message(self, *_: Any) -> None:
                pass

        return Handler

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        query = {k: v[0] for k, v in parse_qs(urlsplit(handler.path).query).items()}
        ra, dec = round(float(query["ra"]), 6), float(query["dec"])
        with self.lock:
            self.requests.append((time.monotonic(), query))
            faults = self.faults.get(ra)
            fault = faults.pop(0) if faults else None
        if "nowhere" in query["hips"]:
            body = b'{"title": "Bad request", "description": "No HiPS matching nowhere"}'
            return self.send(handler, 400, body, {"Content-Type": "application/json"})
        if isinstance(fault, int | tuple):
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            return self.send(handler, status, b"trouble", headers)
        if fault == "html":
            return self.send(handler, 200, b"<html><body>Service down</body></html>", {})
        if fault == "slow":
            time.sleep(1.0)
        pixels = int(query["width"]) + (7 if fault == "wrong size" else 0)
        body = render(ra, dec, float(query["fov"]), pixels, query["format"], query["hips"])
        if fault == "truncate":
            return self.send(handler, 200, body[: len(body) // 2], {})
        if fault == "drop":
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[: len(body) // 2])
            handler.close_connection = True
            return None
        return self.send(handler, 200, body, {})

    @staticmethod
    def send(
        handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)


def render(ra: float, dec: float, field: float, pixels: int, form: str, hips: str) -> bytes:
    image, wcs = sky(ra, dec, field, pixels)
    memory = io.BytesIO()
    if form == "fits":
        bright = {"g": 1.0, "r": 2.0, "z": 3.0, "i": 2.5}.get(hips.rsplit("/", 1)[-1], 1.0)
        data = np.full_like(image, np.nan) if dec > EDGE else image * bright
        fits.PrimaryHDU(data, wcs.to_header()).writeto(memory)
    else:
        grey = np.clip(20 + 200 * image[::-1], 0, 255).astype(np.uint8)
        grey = np.zeros_like(grey) if dec > EDGE else grey
        Image.fromarray(np.stack([grey] * 3, axis=-1)).save(memory, "JPEG", quality=92)
    return memory.getvalue()

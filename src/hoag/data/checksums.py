"""Checksums of files: SHA-256 and MD5 as published, and Git's for small files on the Hub."""

import hashlib
from pathlib import Path


def digests(path: Path, *kinds: str) -> dict[str, str]:
    """Give checksums of a file in hexadecimal, read once.

    Parameters
    ----------
    path
        The file.
    kinds
        "sha256", "md5", or "git", the SHA-1 of the file as a blob of Git.
    """
    makers = {kind: hashlib.new("sha1" if kind == "git" else kind) for kind in kinds}
    if "git" in makers:
        makers["git"].update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            for maker in makers.values():
                maker.update(chunk)
    return {kind: maker.hexdigest() for kind, maker in makers.items()}

"""What a build is made from, in a form that is the same wherever its inputs lie."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from hoag._version import __version__
from hoag.catalogue import PARQUET
from hoag.data.inputs import Inputs, Source, Task
from hoag.data.places import image_files
from hoag.data.resizing import Settings
from hoag.schema import Schema


def identity_of(inputs: Inputs, settings: Settings, schema: Schema) -> dict[str, Any]:
    """Describe the inputs and settings of a build; "hash" is 32 hex digits over the rest.

    Tables count by their content, folders of images by the names and sizes of their files; image
    files that a table names by its column ``file_loc`` count by those names alone.
    """
    content = {
        "hoag": __version__,
        "schema": schema.hash,
        "name": inputs.name,
        "description": inputs.description,
        "size": settings.size,
        "quality": settings.quality,
        "sources": [_source(source) for source in inputs.sources],
        "tasks": [_task(task) for task in inputs.tasks],
    }
    text = json.dumps(content, sort_keys=True)
    return {**content, "hash": hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}


def _source(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "kind": source.kind,
        "campaign": source.campaign,
        "survey": source.survey,
        "fits": source.fits.to_dict(),
        "tables": [[table.name, hash_of_table(table)] for table in source.tables],
        "images": None if source.images is None else _hash_of_folder(source.images),
    }


def _task(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "labels": [[table.name, hash_of_table(table)] for table in task.labels],
        "label": task.label,
        "key": task.key,
        "images": [table.name for table in task.images],
        "content": task.content,
    }


def hash_of_table(path: Path) -> str:
    """Hash of a table, 32 hex digits: of Parquet its size and footer, of others every byte."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        if path.suffix.lower() in PARQUET:
            size = file.seek(0, 2)
            file.seek(max(0, size - 8))
            length = int.from_bytes(file.read(4), "little")
            file.seek(max(0, size - 8 - length))
            digest.update(str(size).encode())
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _hash_of_folder(folder: Path) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for path in image_files(folder):
        digest.update(f"{path.relative_to(folder)}\n{path.stat().st_size}\n".encode())
    return digest.hexdigest()

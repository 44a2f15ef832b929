"""Load an exported model by plain timm and by onnxruntime, and compare them with hoag.

python runs/check_export.py EXPORT GALAXIES OUT
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import timm
import torch

import hoag
from hoag.embedding import vectors
from hoag.files import write_json
from hoag.provenance import full_stamp

BATCHES = (1, 2, 7, 64, 512)


def main() -> None:
    export, table, out = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    model = hoag.load(export, device="cpu")
    galaxies = hoag.open(table, schema=model.schema).take(np.arange(max(BATCHES)))
    size = model.recipe.images.size
    images = galaxies.pixels(np.arange(len(galaxies)), size).astype(np.float32) / 255
    features, classes = vectors(model.embed(galaxies)), model.answer(galaxies)

    encoder = timm.create_model(f"local-dir:{export}", pretrained=True).eval()
    with torch.inference_mode():
        by_timm = encoder(torch.from_numpy(images)).numpy()

    session = onnxruntime.InferenceSession(
        str(export / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    by_batch = {}
    for count in BATCHES:
        vector, probability = session.run(None, {"images": images[:count]})
        by_batch[str(count)] = {
            "feature": float(np.abs(vector - features[:count]).max()),
            "probability": float(np.abs(probability - classes[:count]).max()),
        }
    found = {
        "galaxies": len(galaxies),
        "largest_feature": float(np.abs(features).max()),
        "timm": {"feature": float(np.abs(by_timm - features).max())},
        "onnxruntime": by_batch,
        "versions": {m.__name__: m.__version__ for m in (timm, onnxruntime)},
    }
    print(found)
    write_json(out, {"stamp": full_stamp(), **found})


if __name__ == "__main__":
    main()

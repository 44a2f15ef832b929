"""Embedding and predicting a catalogue against the bare forward pass and zoobot's predict."""

from turns import Bench, Peer

from cases import made


def predict(bench: Bench) -> None:
    """Embed and predict a catalogue of 128 px images with ResNet18, 2 threads."""
    import torch

    from hoag import load_schema
    from hoag.loading import random_model
    from hoag.models import FEW
    from hoag.recipe import load_recipe

    bench.use_threads(2)
    side, count = bench.size(128, 32), bench.size(512, 8)
    files = made.native_files(bench.folder / "stored", count, side)
    galaxies = made.opened(bench.folder, files)
    slim = {"encoder.options": {"channels": [8, 8, 8, 8]}} if bench.tiny else {}
    recipe = load_recipe("paper/pretrained").changed(
        {"encoder.name": "resnet18", "images.size": side, "images.decode": side, **slim}
    )
    model = random_model(recipe, load_schema(), device="cpu")
    network = random_model(recipe, load_schema(), device="cpu").encoder.eval()
    network.to(memory_format=torch.channels_last)
    constant = torch.rand(min(FEW, count), 3, side, side)
    constant = constant.contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def bare() -> None:
        for _batch in range(count // len(constant)):
            network(constant)

    given = {
        "encoder": "resnet18", "questions": made.questions(), "files": files,
        "batch": bench.size(256, 4), "size": side, "workers": 2, "folder": bench.folder,
    }  # fmt: skip
    bench.compare(
        "embed", {"hoag": lambda: model.embed(galaxies, quiet=True), "floor": bare},
        {"floor": 0.9}, count=count, repeats=5,
    )  # fmt: skip
    bench.compare(
        "predict", {"hoag": lambda: model.predict(galaxies, quiet=True), "floor": bare},
        {"floor": 0.9, "peer": 1.8}, count=count, repeats=5,
        peer=lambda: Peer("predict", 2, **given),
    )  # fmt: skip


CASES = {"predict": predict}

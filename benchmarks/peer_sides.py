"""The peers' side of the cases, run by their own Python: used as their documentation says.

Started by `turns.Peer`; answers each line of its input with the seconds that one turn took.
Nothing of hoag is imported here.
"""

import contextlib
import json
import logging
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

Turn = Callable[[], object]


def vote_loss(
    votes: str, concentration: str, questions: dict[str, list[str]], turns: int, **_: Any
) -> Turn:
    """zoobot's Dirichlet loss over all questions, forward and backward."""
    import numpy as np
    import torch
    from zoobot.pytorch.estimators.define_model import get_dirichlet_loss_func

    loss = get_dirichlet_loss_func(questions)
    counts, alpha = torch.tensor(np.load(votes)), torch.tensor(np.load(concentration))
    keys = [question + answer for question, all_ in questions.items() for answer in all_]
    labels = {key: counts[:, n] for n, key in enumerate(keys)}  # as its step makes them
    # Its own rounding in float32 is some 2e-4, so its formula is evaluated in float64.
    written = alpha.double().requires_grad_()
    value = loss(written, labels)
    value.sum().backward()
    np.savez(votes + ".peer.npz", value=value.detach().numpy(), gradient=written.grad.numpy())

    def turn() -> None:
        for _turn in range(turns):
            inputs = alpha.clone().requires_grad_()
            loss(inputs, labels).sum().backward()

    return turn


def pretrained_step(
    encoder: str, questions: dict[str, list[str]], votes: str, images: str, **_: Any
) -> Turn:
    """zoobot's training step from scratch: ZoobotTree, its AdamW, its metrics."""
    import numpy as np
    import torch
    from zoobot.pytorch.estimators.define_model import ZoobotTree

    answers = sum(map(len, questions.values()))
    model = ZoobotTree(
        answers, questions, dict.fromkeys(questions), architecture_name=encoder
    ).train()  # fmt: skip
    optimiser = model.configure_optimizers()
    pixels = torch.tensor(np.load(images)).float() / 255
    counts = torch.tensor(np.load(votes))
    batch = {key: counts[:, n] for n, key in enumerate(model.schema.label_cols)}
    batch["image"] = pixels

    def turn() -> None:
        loss = model.training_step(batch, 0)["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return turn


def train_loader(files: list[str], batch: int, size: int, workers: int, **_: Any) -> Turn:
    """galaxy-datasets' training batches of a catalogue with its default transforms."""
    import pandas as pd
    from galaxy_datasets.pytorch.galaxy_datamodule import CatalogDataModule
    from galaxy_datasets.transforms import default_view_config, get_galaxy_transform

    config = default_view_config()
    config.output_size = size
    catalogue = pd.DataFrame({"id_str": files, "file_loc": files, "label": 0})
    data = CatalogDataModule(
        ["label"], train_transform=get_galaxy_transform(config), train_catalog=catalogue,
        val_catalog=catalogue[:1], batch_size=batch, num_workers=workers,
    )  # fmt: skip
    data.setup("fit")

    def turn() -> None:
        for _batch in data.train_dataloader():
            pass

    return turn


def byol_loader(files: list[str], batch: int, size: int, workers: int, **_: Any) -> Turn:
    """lightly's BYOL transform and the torch loader that its documentation puts around it."""
    from torch.utils.data import DataLoader

    data = _lightly_data(files, size)

    def turn() -> None:
        loader = DataLoader(data, batch, shuffle=True, drop_last=True, num_workers=workers)
        for _batch in loader:
            pass

    return turn


def _lightly_data(files: list[str], size: int) -> Any:
    from lightly.transforms import BYOLTransform, BYOLView1Transform, BYOLView2Transform
    from PIL import Image

    transform = BYOLTransform(
        view_1_transform=BYOLView1Transform(input_size=size),
        view_2_transform=BYOLView2Transform(input_size=size),
    )

    class Images:
        def __len__(self) -> int:
            return len(files)

        def __getitem__(self, number: int) -> Any:
            return transform(Image.open(files[number]).convert("RGB"))

    return Images()


def byol_step(
    encoder: str, files: list[str], batch: int, size: int, workers: int, **_: Any
) -> Turn:
    """lightly's BYOL as in its example, from its loader: one step a turn."""
    import copy

    import timm
    import torch
    from lightly.loss import NegativeCosineSimilarity
    from lightly.models.modules import BYOLPredictionHead, BYOLProjectionHead
    from lightly.models.utils import deactivate_requires_grad, update_momentum
    from torch.utils.data import DataLoader

    backbone = timm.create_model(encoder, num_classes=0)
    features = backbone.num_features
    projection, prediction = (
        BYOLProjectionHead(features, 1024, 256), BYOLPredictionHead(256, 1024, 256)
    )  # fmt: skip
    target, target_projection = copy.deepcopy(backbone), copy.deepcopy(projection)
    deactivate_requires_grad(target)
    deactivate_requires_grad(target_projection)
    criterion = NegativeCosineSimilarity()
    learned = [*backbone.parameters(), *projection.parameters(), *prediction.parameters()]
    optimiser = torch.optim.SGD(learned, lr=0.06)

    def endless() -> Any:
        data = _lightly_data(files, size)
        while True:
            yield from DataLoader(data, batch, shuffle=True, drop_last=True, num_workers=workers)

    batches = endless()

    def turn() -> None:
        one, two = next(batches)[:2]
        update_momentum(backbone, target, m=0.99)
        update_momentum(projection, target_projection, m=0.99)
        online = [prediction(projection(backbone(view).flatten(1))) for view in (one, two)]
        with torch.no_grad():
            wanted = [target_projection(target(view).flatten(1)) for view in (one, two)]
        loss = 0.5 * (criterion(online[0], wanted[1]) + criterion(online[1], wanted[0]))
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()

    return turn


def predict(
    encoder: str, questions: dict[str, list[str]], files: list[str], batch: int, size: int,
    workers: int, folder: str, **_: Any,
) -> Turn:  # fmt: skip
    """zoobot's predict_on_catalog over files."""
    import pandas as pd
    import timm
    from galaxy_datasets.transforms import get_galaxy_transform, minimal_view_config
    from zoobot.pytorch.predictions.predict_on_catalog import predict as predict_catalogue
    from zoobot.pytorch.training.finetune import FinetuneableZoobotTree
    from zoobot.shared.schemas import Schema

    answers = [question + answer for question, all_ in questions.items() for answer in all_]
    # Its ZoobotTree does not take what its own data module gives when predicting.
    model = FinetuneableZoobotTree(
        Schema(questions, dict.fromkeys(questions)),
        encoder=timm.create_model(encoder, num_classes=0),
    )
    config = minimal_view_config()
    config.output_size = size
    catalogue = pd.DataFrame({"id_str": files, "file_loc": files})
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu"}

    def turn() -> None:
        predict_catalogue(
            catalogue, model, f"{folder}/predictions.csv", answers, get_galaxy_transform(config),
            {"batch_size": batch, "num_workers": workers}, quiet,
        )  # fmt: skip

    return turn


SIDES: dict[str, Callable[..., Turn]] = {
    side.__name__.replace("_", "-"): side
    for side in (vote_loss, pretrained_step, train_loader, byol_loader, byol_step, predict)
}


def _processor_time() -> float:
    parts = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(r.ru_utime + r.ru_stime for r in map(resource.getrusage, parts))


def main() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    import torch

    given = json.loads(sys.argv[2])
    torch.set_num_threads(given["threads"])
    torch.manual_seed(0)
    turn = SIDES[sys.argv[1]](**given)
    print(json.dumps({"torch": torch.__version__}), file=answers, flush=True)
    for _line in sys.stdin:
        before, began = _processor_time(), time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            turn()
        took = {
            "wall": time.perf_counter() - began, "processor": _processor_time() - before
        }  # fmt: skip
        print(json.dumps(took), file=answers, flush=True)


if __name__ == "__main__":
    main()

"""Train classifiers to tell simulated galaxies from real ones, and see by what they tell them.

python runs/simulator/telltale.py SKY SHARED OUT [GALAXIES]

The same small convolutional network sees the whole 64 px image or a part of what is in it (colours
only, a corner, the centre, grey, blurred, fine detail); a logistic regression sees the families of
quantities that morphology.py measures. 0.5 is an AUC of galaxies that cannot be told apart, 1 of
ones always told; each galaxy is judged by the half trained without it. OUT/telltale.json;
OUT/telltale.png: where the network looks in simulated galaxies (mean size of the gradient).
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from measures import measured
from morphology import QUANTITIES
from numpy.typing import NDArray
from pairs import PAIRS, STORED, encoded_pair, hashes, images, simulator_of
from scipy.ndimage import gaussian_filter
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import QuantileTransformer
from torch import nn

from hoag.files import write_json
from hoag.provenance import full_stamp

SEED, FOLDS, EPOCHS, BATCH = 0, 2, 12, 32
Levels = NDArray[np.float32]

FAMILIES = {
    "shape": ("half-light radius", "90 % radius", "concentration", "asymmetry", "ellipticity"),
    "colour": ("core colour", "disc colour", "core green"),
    "brightness": ("peak", "signal to noise"),
    "sky": ("sky", "sky colour", "sky scatter", "sky colour scatter", "sky grain"),
    "grain of the galaxy": ("galaxy grain",),
    "everything measured": tuple(QUANTITIES),
}


def reductions(stack: Levels) -> dict[str, Levels]:
    """Versions of (galaxies, 64, 64, 3) levels that keep a part of what is in them."""
    grey = stack.mean(-1, keepdims=True)
    blurred = gaussian_filter(grey, (0, 2.5, 2.5, 0))
    coarse = stack.reshape(-1, 8, 8, 8, 8, 3).mean((2, 4))
    return {
        "whole": stack,
        "colours only": 100 * coarse / coarse.mean(-1, keepdims=True).clip(4),
        "corner": stack[:, :16, :16],
        "centre": stack[:, 24:40, 24:40],
        "grey": grey,
        "grey, blurred": blurred[:, ::2, ::2],
        "grey, fine detail": grey - gaussian_filter(grey, (0, 1, 1, 0)),
    }


def network(channels: int) -> nn.Module:
    layers: list[nn.Module] = []
    for width in (16, 32, 48):
        layers += [nn.Conv2d(channels, width, 3, 2, 1), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
    # Mean and largest response of each pattern, wherever it is.
    return nn.Sequential(*layers, Pooled(), nn.Linear(2 * channels, 1))


class Pooled(nn.Module):
    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return torch.cat([maps.mean((2, 3)), maps.amax((2, 3))], 1)


def trained(stack: torch.Tensor, real: torch.Tensor) -> nn.Module:
    torch.manual_seed(SEED)
    net = network(stack.shape[1])
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3, weight_decay=0.01)
    steps = EPOCHS * (len(stack) // BATCH)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    loss = nn.BCEWithLogitsLoss(pos_weight=(1 - real).sum() / real.sum())
    for _ in range(EPOCHS):
        order = torch.randperm(len(stack))
        for rows in order[: len(order) // BATCH * BATCH].split(BATCH):
            batch = stack[rows]
            for axis in (2, 3):
                if torch.rand(()) < 0.5:
                    batch = batch.flip(axis)
            optimiser.zero_grad()
            loss(net(batch)[:, 0], real[rows]).backward()
            optimiser.step()
            pace.step()
    return net.eval()


def told(stack: Levels, real: NDArray[np.float32]) -> tuple[float, Levels]:
    """AUC over the held-out halves, and the mean size of the gradient for simulated galaxies."""
    scaled = (stack - stack.mean((0, 1, 2))) / stack.std((0, 1, 2))
    inputs = torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32))
    truth = torch.from_numpy(real)
    scores, looks = np.zeros(len(real)), np.zeros(stack.shape[1:3])
    for train, test in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(stack, real):
        net = trained(inputs[train], truth[train])
        held = inputs[test].clone().requires_grad_()
        logits = net(held)[:, 0]
        scores[test] = logits.detach().numpy()
        logits[truth[test] == 0].sum().backward()
        looks += held.grad.abs().sum((0, 1)).numpy()
    return float(roc_auc_score(real, scores)), looks / looks.mean()


def families(rows: list[dict], real: NDArray[np.float32]) -> dict[str, float]:
    found = {}
    for name, quantities in FAMILIES.items():
        table = np.array([[row.get(q, np.nan) for q in quantities] for row in rows])
        table = np.where(np.isfinite(table), table, np.nanmedian(table, 0))
        # Two features a quantity, so that a scatter that is too small tells as well as a shift.
        ranks = QuantileTransformer(n_quantiles=100, output_distribution="normal")
        table = ranks.fit_transform(table)
        table = np.concatenate([table, table**2], 1)
        model = make_pipeline(LogisticRegression(max_iter=1000, class_weight="balanced"))
        folds = StratifiedKFold(5, shuffle=True, random_state=SEED)
        odds = cross_val_predict(model, table, real, cv=folds, method="predict_proba")[:, 1]
        found[name] = round(float(roc_auc_score(real, odds)), 3)
    return found


def main() -> None:
    sky, shared, out = map(Path, sys.argv[1:4])
    count = int(sys.argv[4]) if len(sys.argv) > 4 else 600
    torch.use_deterministic_algorithms(True)
    by_network, by_quantities, sides, maps = {}, {}, {}, {}
    for name in PAIRS:
        made, true = encoded_pair(sky, shared, name, count, SEED)
        real = np.repeat(np.float32([0, 1]), [len(made), len(true)])
        stack, full = images(made + true), images(made + true, STORED)
        sides[name] = {"simulated": len(made), "real": len(true)}
        by_network[name] = {}
        for kind, reduced in reductions(stack).items():
            auc, looks = told(reduced, real)
            by_network[name][kind] = round(auc, 3)
            if kind == "whole":
                maps[name] = looks
        by_quantities[name] = families([measured(*p) for p in zip(stack, full, strict=True)], real)
        print(name, by_network[name], by_quantities[name], flush=True)
    out.mkdir(parents=True, exist_ok=True)
    draw(maps, out / "telltale.png")
    write_json(
        out / "telltale.json",
        {
            "simulator": simulator_of(sky),
            "galaxies": sides,
            "auc_of_network": by_network,
            "auc_of_quantities": by_quantities,
            "families": FAMILIES,
            "data": hashes(sky, shared),
            "made_by": full_stamp(seed=SEED),
        },
    )


def draw(maps: dict[str, Levels], path: Path) -> None:
    figure, axes = plt.subplots(1, len(maps), figsize=(2.4 * len(maps), 2.6))
    for axis, (name, looks) in zip(axes, maps.items(), strict=True):
        axis.imshow(gaussian_filter(looks, 1), vmin=0, cmap="magma")
        axis.set_title(f"simulated {name}", fontsize=8)
        axis.set_axis_off()
    figure.tight_layout(pad=0.3)
    figure.savefig(path, dpi=80, bbox_inches="tight")


if __name__ == "__main__":
    main()

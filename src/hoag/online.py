"""Online probes: at each validation, a linear classifier on each downstream task, for the log.

They see the train half of a task only, and choose nothing unless a recipe asks (probe.select).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from hoag.batches import in_chunks
from hoag.fitting import OnlineProbe
from hoag.objectives import Objective
from hoag.probing import cross_validated_accuracy
from hoag.recipe import Recipe
from hoag.tasks import Task
from hoag.views import evaluation_view


def make_online_probe(tasks: Sequence[Task], recipe: Recipe) -> OnlineProbe:
    """Make the function that probes an objective's encoder on each task.

    Parameters
    ----------
    tasks
        Loaded downstream tasks; of each at most ``probe.galaxies`` are used, the first by key, and
        none of its test half.
    recipe
        Gives ``probe.galaxies``, the images' size and the seed.

    Returns
    -------
    callable
        From (objective, device) to ``{"probe/<task>/accuracy": ...}``: the accuracy of logistic
        regression over a 5-fold cut, the same cut at every validation.
    """
    chosen = []
    for task in tasks:
        rows = _first(task, recipe.probe.galaxies)
        chosen.append((task.name, task.galaxies.take(rows), task.labels[rows]))

    def probe(objective: Objective, device: torch.device) -> dict[str, float]:
        modes = [(part, part.training) for part in objective.modules()]
        objective.eval()
        found = {}
        for name, galaxies, labels in chosen:
            parts = []
            for batch in in_chunks(galaxies, recipe.images.stored, size=256):
                images = evaluation_view(batch.images.to(device), recipe.images.size)
                with torch.no_grad():
                    parts.append(objective.representation(images).float().cpu().numpy())
            vectors = np.concatenate(parts)
            accuracy = cross_validated_accuracy(galaxies.ids, vectors, labels, recipe.seed)
            found[f"probe/{name}/accuracy"] = accuracy
        for part, mode in modes:
            part.training = mode
        return found

    return probe


def _first(task: Task, most: int) -> npt.NDArray[np.int64]:
    """Rows of the first open galaxies by key; as many of each class where the task is balanced."""
    ordered = task.open_rows[np.argsort(task.galaxies.keys[task.open_rows], kind="stable")]
    if task.balance:
        labels = task.labels[ordered]
        counts = np.bincount(labels)
        rank = np.empty(len(ordered), np.int64)
        for number in np.unique(labels):
            members = np.flatnonzero(labels == number)
            rank[members] = np.arange(len(members))
        ordered = ordered[rank < counts[counts > 0].min()]
    return np.sort(ordered[:most])

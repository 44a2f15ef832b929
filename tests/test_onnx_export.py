import json

import numpy as np
import onnxruntime
import pytest
import torch

import hoag
from hoag.errors import HoagError
from hoag.goal_heads import Goal
from hoag.models import Model
from hoag.objectives import make_objective
from hoag.onnx_export import Whole, compare, write_onnx
from hoag.recipe import load_recipe
from hoag.tuned import Tuned

from .conftest import TINY

GOAL = Goal("numbers", ("mass",), ("mass",))


def make(arm, goal=None, classes=None):
    preset = "hoag/finetune" if goal else f"paper/{arm}"
    recipe = load_recipe(preset).changed({**TINY, "encoder.options": {"channels": [4, 8, 8, 16]}})
    schema = hoag.load_schema("gz2")
    objective = make_objective(recipe, schema, classes, goal)
    return (Tuned if goal else Model)(objective, recipe, schema, classes, device="cpu")


@pytest.mark.parametrize(
    ("model", "outputs", "columns"),
    [
        (lambda: make("hybrid"), ["representation", "concentrations"], 30),
        (lambda: make("finetune", GOAL), ["representation", "values"], 2),
        (lambda: make("direct", classes=["a", "b", "c"]), ["representation", "probabilities"], 3),
    ],
)
def test_onnxruntime_gives_the_same_at_any_batch_size(model, outputs, columns, galaxies, tmp_path):
    made = model()
    write_onnx(made, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert [output.name for output in session.get_outputs()] == outputs
    for count in (1, 3, 17):
        images = galaxies.pixels(np.arange(count), 24).astype(np.float32) / 255
        theirs = session.run(None, {"images": images})
        with torch.no_grad():
            ours = Whole(made).eval()(torch.from_numpy(images))
        for one, other in zip(ours, theirs, strict=True):
            assert len(other) == count
            np.testing.assert_allclose(other, one.numpy(), rtol=1e-4, atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert len(json.loads(about["columns"])) == columns
    assert json.loads(about["hoag"])["model"] == made.hash


def test_answers_are_those_of_predict(galaxies, tmp_path):
    made = make("finetune", GOAL)
    few = galaxies.take(np.arange(4))
    images = torch.from_numpy(few.pixels(np.arange(4), 24)).float() / 255
    with torch.no_grad():
        values = Whole(made).eval()(images)[1].numpy()
    np.testing.assert_allclose(values, made.answer(few, quiet=True), rtol=1e-5)


def test_another_model_is_told_apart(galaxies, tmp_path):
    made = make("hybrid")
    write_onnx(made, tmp_path / "m.onnx")
    whole = Whole(made).eval()
    with torch.no_grad():
        made.objective.vote_head.linear.bias += 0.1
    with pytest.raises(HoagError, match="onnxruntime gives another concentrations for 1 galaxies"):
        compare(tmp_path / "m.onnx", whole, torch.rand(5, 3, 24, 24))


def test_missing_packages_are_named(monkeypatch, tmp_path):
    import hoag.onnx_export as home

    monkeypatch.setattr(home, "NEEDED", ("onnx", "no_such_package"))
    with pytest.raises(HoagError, match=r"ONNX needs no_such_package; pip install 'hoag\[onnx\]'"):
        write_onnx(make("hybrid"), tmp_path / "m.onnx")

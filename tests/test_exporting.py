import json
import re

import numpy as np
import pytest
import timm
import torch

import hoag
from hoag.embedding import vectors
from hoag.errors import HoagError
from hoag.exporting import timm_config
from hoag.fitting import fit
from hoag.models import Model
from hoag.objectives import make_objective
from hoag.recipe import load_recipe

from .conftest import TINY


@pytest.fixture(scope="module")
def hybrid(galaxies, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "hybrid"
    recipe = load_recipe("paper/hybrid").changed(TINY)
    return fit(
        recipe, galaxies.split("train"), galaxies.split("val"), out, device="cpu", quiet=True
    )


@pytest.fixture(scope="module")
def tuned(hybrid, simulated, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "tuned"
    steps = ["training.steps=4", "training.validate_every=2", "batch.size=16"]
    hoag.finetune(
        hybrid, simulated / "rings.parquet", label="ring", out=out, overrides=steps, device="cpu"
    )
    return out


def test_plain_timm_gives_the_same_features(hybrid, galaxies, tmp_path):
    hoag.export(hybrid, tmp_path / "out")
    encoder = timm.create_model(f"local-dir:{tmp_path / 'out'}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(encoder)
    assert tuple(config["input_size"]) == (3, 24, 24)
    assert (tuple(config["mean"]), tuple(config["std"])) == ((0, 0, 0), (1, 1, 1))
    few = np.arange(6)
    images = torch.from_numpy(galaxies.pixels(few, 24)).float() / 255
    with torch.no_grad():
        theirs = encoder(images).numpy()
    ours = vectors(hoag.load(hybrid, device="cpu").embed(galaxies.take(few), quiet=True))
    np.testing.assert_allclose(theirs, ours, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "size"), [("mobilenetv3_small_050", 32), ("vit_tiny_patch16_224", 32)]
)
def test_other_architectures_are_the_same_in_timm_too(name, size, tmp_path):
    model = hoag.load(f"timm:{name}", size=size, device="cpu")
    hoag.export(model, tmp_path / "out")
    again = hoag.load(tmp_path / "out", device="cpu")
    assert again.hash == model.hash and again.recipe.images.size == size


def test_an_exported_model_is_the_model(hybrid, galaxies, tmp_path):
    hoag.export(hybrid, tmp_path / "out")
    run, out = (hoag.load(place, device="cpu") for place in (hybrid, tmp_path / "out"))
    assert (out.hash, out.votes_hash, out.schema.hash) == (
        run.hash,
        run.votes_hash,
        run.schema.hash,
    )
    np.testing.assert_array_equal(
        out.predict(galaxies, quiet=True), run.predict(galaxies, quiet=True)
    )
    assert out.embed(galaxies, quiet=True).equals(run.embed(galaxies, quiet=True))
    names = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert {"config.json", "model.safetensors", "README.md", "recipe.toml", "schema.json"} <= names
    weights = hoag.checkpoint.load_weights(tmp_path / "out" / "hoag")
    assert {name.split(".")[0] for name in weights} == {"vote_head"}


def test_a_finetuned_model_predicts_the_same_from_its_export(tuned, simulated, tmp_path):
    hoag.export(tuned, tmp_path / "out")
    rings = hoag.open(simulated / "rings.parquet")
    run, out = (hoag.load(place, device="cpu") for place in (tuned, tmp_path / "out"))
    assert out.predict(rings, quiet=True).equals(run.predict(rings, quiet=True))
    assert (tmp_path / "out" / "hoag" / "results.json").is_file()


def test_temperatures_go_with_the_model(hybrid, galaxies, tmp_path):
    import shutil

    from hoag.temperatures import Temperatures, write_temperatures

    shutil.copytree(hybrid, tmp_path / "run")
    model = hoag.load(tmp_path / "run", device="cpu")
    questions = {question.name: 2.0 for question in model.schema.questions}
    about = {"weights": model.votes_hash}
    write_temperatures(tmp_path / "run" / "best", Temperatures(questions, about))
    hoag.export(tmp_path / "run", tmp_path / "out")
    exported = hoag.load(tmp_path / "out", device="cpu")
    assert dict(exported.temperatures.by_question) == questions


def test_what_a_model_is_normalised_by_stands_in_its_config(tmp_path):
    from .test_timm_models import MEAN, STD, zoobot_like

    zoobot_like(tmp_path / "zoo")
    hoag.export(tmp_path / "zoo", tmp_path / "out")
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["pretrained_cfg"]["mean"], config["pretrained_cfg"]["std"]) == (MEAN, STD)
    assert hoag.load(tmp_path / "out").hash == hoag.load(tmp_path / "zoo").hash
    card = (tmp_path / "out" / "README.md").read_text()
    assert "images = (images - mean) / std" in card


def test_a_folder_that_is_there_is_left_as_it_is(hybrid, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(HoagError, match="is there already; delete it or choose another OUT"):
        hoag.export(hybrid, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["thesis.tex"]


def test_features_that_differ_in_timm_are_refused_and_nothing_is_left(tiny, galaxies, tmp_path):
    recipe = tiny("pretrained")
    model = Model(make_objective(recipe, galaxies.schema), recipe, galaxies.schema, device="cpu")
    model.encoder.register_forward_hook(lambda module, inputs, output: 1.001 * output)
    with pytest.raises(HoagError, match=r"gives other features than hoag, by up to 1\.0e-03"):
        hoag.export(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_the_config_is_one_that_timm_writes(hybrid):
    config = timm_config(hoag.load(hybrid, device="cpu"))
    assert config["architecture"] == "resnet18" and config["num_classes"] == 0
    assert config["model_args"] == {"channels": [4, 8, 8, 16]}
    assert config["pretrained_cfg"]["custom_load"] is False


def test_the_cards_own_code_runs(tuned, tmp_path, monkeypatch):
    hoag.export(tuned, tmp_path / "FOLDER")
    card = (tmp_path / "FOLDER" / "README.md").read_text()
    monkeypatch.chdir(tmp_path)
    code = re.findall(r"```python\n(.*?)```", card, re.DOTALL)
    assert len(code) == 2
    scope = {}
    exec(code[0], scope)
    assert scope["features"].shape == (2, 16)
    assert 'table = model.predict(hoag.open("galaxies.parquet"))' in code[1]

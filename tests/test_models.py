import numpy as np
import pytest
import torch

import hoag
from hoag.embedding import vectors
from hoag.errors import HoagError
from hoag.fitting import fit
from hoag.loading import random_model
from hoag.objectives import make_objective


@pytest.fixture(scope="module")
def hybrid(galaxies, tmp_path_factory):
    from hoag.recipe import load_recipe

    from .conftest import TINY

    recipe = load_recipe("paper/hybrid").changed(TINY)
    out = tmp_path_factory.mktemp("runs") / "hybrid"
    return fit(
        recipe, galaxies.split("train"), galaxies.split("val"), out, device="cpu", quiet=True
    )


def test_embedding_is_one_row_a_galaxy_with_its_provenance(hybrid, galaxies):
    import json

    model = hoag.load(hybrid, device="cpu")
    table = model.embed(galaxies)
    assert table["id_str"].to_pylist() == galaxies.ids
    assert vectors(table).shape == (len(galaxies), 16)
    stamp = json.loads(table.schema.metadata[b"hoag"])
    assert stamp["model"] == model.hash and stamp["schema_hash"] == galaxies.schema.hash


def test_predictions_depend_on_no_neighbour_order_or_number(hybrid, galaxies):
    model = hoag.load(hybrid, device="cpu")
    order = np.random.default_rng(0).permutation(len(galaxies))
    whole = model.predict(galaxies)
    shuffled = model.predict(galaxies.take(order))
    alone = model.predict(galaxies.take([7]))
    np.testing.assert_allclose(shuffled, whole[order], rtol=1e-5)
    np.testing.assert_allclose(alone[0], whole[7], rtol=1e-5)


def test_results_left_on_the_device_for_a_while_lose_no_row(hybrid, galaxies, monkeypatch):
    model = hoag.load(hybrid, device="cpu")
    whole = model.predict(galaxies)
    for unread in (1, 3):
        monkeypatch.setattr("hoag.models.UNREAD", unread)
        assert np.array_equal(model.predict(galaxies), whole)


def test_using_a_model_leaves_every_bit_of_it(hybrid, galaxies):
    model = hoag.load(hybrid, device="cpu")
    before = {name: value.clone() for name, value in model.objective.state_dict().items()}
    model.embed(galaxies)
    model.objective.train(False)
    model.predict(galaxies)
    for name, value in model.objective.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_eight_symmetries_make_a_representation_blind_to_orientation(hybrid, galaxies):
    model = hoag.load(hybrid, device="cpu")
    few = galaxies.take([0, 1, 2])
    mean = vectors(model.embed(few, symmetries=8))
    images = torch.from_numpy(few.pixels([0, 1, 2], 24)).float() / 255
    with torch.no_grad():
        views = [model.encoder(torch.rot90(images, k, (2, 3))) for k in range(4)]
        views += [model.encoder(torch.rot90(images, k, (2, 3)).flip(3)) for k in range(4)]
    np.testing.assert_allclose(mean, torch.stack(views).mean(0).numpy(), rtol=1e-4, atol=1e-5)
    with pytest.raises(HoagError, match="symmetries = 3 must be 1 or 8"):
        model.embed(few, symmetries=3)


def test_concentrations_lie_in_the_sigmoids_range(hybrid, galaxies):
    predicted = hoag.load(hybrid, device="cpu").predict(galaxies)
    assert predicted.shape == (len(galaxies), 206)
    assert predicted.min() > 1 and predicted.max() < 101


def test_random_weights_are_those_every_arm_starts_from(tiny, galaxies):
    baseline = random_model(tiny("hybrid"), galaxies.schema, device="cpu")
    for arm in ("pretrained", "contrastive", "hybrid"):
        encoder = make_objective(tiny(arm), galaxies.schema).encoder
        for name, value in encoder.state_dict().items():
            assert torch.equal(value, baseline.encoder.state_dict()[name])


def test_what_a_model_cannot_do_is_said(hybrid, galaxies, tiny):
    with pytest.raises(HoagError, match="hybrid model has no classes"):
        hoag.load(hybrid, device="cpu").classify(galaxies)
    from hoag.models import Model

    recipe = tiny("contrastive")
    bare = Model(make_objective(recipe, galaxies.schema), recipe, galaxies.schema, device="cpu")
    with pytest.raises(HoagError, match="contrastive model has no vote head"):
        bare.predict(galaxies)


def test_what_is_no_model_is_said(tmp_path, hybrid):
    with pytest.raises(HoagError, match="holds no recipe.toml"):
        hoag.load(tmp_path)
    with pytest.raises(HoagError, match="has no middle/ checkpoint"):
        hoag.load(hybrid, which="middle")


def test_weights_of_another_recipe_are_refused(hybrid, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(hybrid, copy)
    text = (copy / "recipe.toml").read_text()
    (copy / "recipe.toml").write_text(text.replace("projector_out = 8 ", "projector_out = 9 "))
    with pytest.raises(HoagError, match="the weights do not fit the recipe beside them"):
        hoag.load(copy)


def test_an_unknown_encoder_is_named(tiny, galaxies):
    with pytest.raises(HoagError, match="resnet18"):
        make_objective(tiny("pretrained", **{"encoder.name": "resnet81"}), galaxies.schema)


def test_an_unknown_device_is_named(hybrid):
    with pytest.raises(HoagError, match="device 'tpu' must be one of auto, cpu, cuda, mps"):
        hoag.load(hybrid, device="tpu")


def test_weights_carry_version_seed_and_schema(hybrid, galaxies, tmp_path):
    import json
    import shutil

    from hoag.checkpoint import load_stamp

    stamp = load_stamp(hybrid / "best")
    assert stamp["hoag"] == hoag.__version__
    assert (stamp["seed"], stamp["schema_hash"]) == (0, galaxies.schema.hash)
    copy = tmp_path / "copy"
    shutil.copytree(hybrid, copy)
    other = hoag.load_schema("gz2").to_dict()
    (copy / "schema.json").write_text(json.dumps(other))
    with pytest.raises(HoagError, match="put back the schema.json of the run"):
        hoag.load(copy)


def test_random_weights_are_measured_on_clean_images_when_given_some(tiny, galaxies):
    bare = random_model(tiny("hybrid"), galaxies.schema, device="cpu")
    measured = random_model(
        tiny("hybrid"), galaxies.schema, galaxies.take(np.arange(100)), device="cpu"
    )
    images = torch.from_numpy(galaxies.pixels(np.arange(100), 24)).float() / 255
    stem = measured.encoder.conv1(images)
    torch.testing.assert_close(
        measured.encoder.bn1.running_mean, stem.mean((0, 2, 3)), atol=1e-4, rtol=1e-3
    )
    for name, value in bare.encoder.named_parameters():
        assert torch.equal(value, dict(measured.encoder.named_parameters())[name])

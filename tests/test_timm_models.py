import json

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import hoag
from hoag.embedding import stamp_of, vectors
from hoag.errors import HoagError

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def zoobot_like(folder, *, classifier=False, **changes):
    """A folder as the Hub's Zoobot encoders are: config.json and model.safetensors of timm."""
    folder.mkdir()
    torch.manual_seed(5)
    encoder = timm.create_model("resnet18", num_classes=3 if classifier else 0)
    config = {
        "architecture": "resnet18", "num_classes": 0, "num_features": 512, "global_pool": "avg",
        "model_args": {"num_classes": 0},
        "pretrained_cfg": {
            "input_size": [3, 32, 32], "fixed_input_size": False, "interpolation": "bicubic",
            "mean": MEAN, "std": STD, "num_classes": 0, "first_conv": "conv1", "classifier": "fc",
        },
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config | changes))
    save_file(encoder.state_dict(), folder / "model.safetensors", metadata={"format": "pt"})
    return encoder.eval()


def test_the_hubs_layout_gives_the_features_that_timm_gives(tmp_path, galaxies):
    zoobot_like(tmp_path / "zoo")
    model = hoag.load(tmp_path / "zoo", device="cpu")
    few = galaxies.take(np.arange(5))
    ours = vectors(model.embed(few, quiet=True))
    plain = timm.create_model(f"local-dir:{tmp_path / 'zoo'}", pretrained=True).eval()
    images = torch.from_numpy(few.pixels(np.arange(5), 32)).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    with torch.no_grad():
        theirs = plain((images - mean) / std).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert model.recipe.images.size == 32 and model.recipe.arm == "encoder"


def test_hf_takes_a_folder_and_the_cache(tmp_path, galaxies, monkeypatch):
    zoobot_like(tmp_path / "zoo")
    first = hoag.load(f"hf:{tmp_path / 'zoo'}", device="cpu")
    assert first.name == "hf:zoo"
    cache = tmp_path / "cache" / "models--zoo--bot"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("a" * 40)
    (cache / "snapshots").mkdir()
    (tmp_path / "zoo").rename(cache / "snapshots" / ("a" * 40))
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    model = hoag.load("hf:zoo/bot", device="cpu")
    assert model.hash == first.hash and model.name == "hf:zoo/bot"
    table = model.embed(galaxies.take([0, 1]), quiet=True)
    assert stamp_of(table)["model"] == model.hash and stamp_of(table)["name"] == "hf:zoo/bot"
    with pytest.raises(HoagError, match="cannot be reached and the model is not in the cache"):
        hoag.load("hf:zoo/absent")


def test_how_images_are_normalised_is_part_of_the_hash(tmp_path):
    zoobot_like(tmp_path / "a")
    zoobot_like(tmp_path / "b", pretrained_cfg={"input_size": [3, 32, 32]})
    assert hoag.load(tmp_path / "a").hash != hoag.load(tmp_path / "b").hash


def test_a_classifier_among_the_weights_is_left_out(tmp_path):
    with_head = zoobot_like(tmp_path / "a", classifier=True)
    model = hoag.load(tmp_path / "a", device="cpu")
    assert torch.equal(model.encoder.conv1.weight, with_head.conv1.weight)


def test_random_weights_are_said_seeded_and_as_large_as_asked(capsys, galaxies):
    one, again = (hoag.load("timm:resnet18", size=32, device="cpu") for _ in range(2))
    assert "random weights from seed 0, 32 px" in capsys.readouterr().err
    assert one.hash == again.hash
    assert hoag.load("timm:resnet18", seed=1).hash != one.hash
    table = one.embed(galaxies.take([0, 1]), quiet=True)
    assert vectors(table).shape == (2, 512)
    fixed = hoag.load("timm:vit_tiny_patch16_224", size=32, device="cpu")
    assert vectors(fixed.embed(galaxies.take([0, 1]), quiet=True)).shape == (2, 192)
    assert hoag.load("timm:vit_tiny_patch16_224").recipe.images.size == 224


def test_an_encoder_alone_has_no_answers(galaxies):
    model = hoag.load("timm:resnet18", size=32, device="cpu")
    with pytest.raises(HoagError, match="this encoder model has no vote head"):
        model.predict(galaxies)
    with pytest.raises(HoagError, match="use hoag finetune MODEL"):
        model.objective(None)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "resnet81"}, "timm has no architecture 'resnet81'; did you mean"),
        ({"architecture": "resnet34"}, "model.safetensors does not fit config.json"),
        ({"pretrained_cfg": {"input_size": [1, 32, 32]}}, "images of 1 channels"),
    ],
)
def test_what_does_not_fit_is_said(changes, said, tmp_path):
    zoobot_like(tmp_path / "zoo", **changes)
    with pytest.raises(HoagError, match=said):
        hoag.load(tmp_path / "zoo")


def test_what_is_missing_is_said(tmp_path):
    zoobot_like(tmp_path / "zoo")
    (tmp_path / "zoo" / "model.safetensors").rename(tmp_path / "zoo" / "pytorch_model.bin")
    with pytest.raises(HoagError, match="has no model.safetensors; other formats can run code"):
        hoag.load(tmp_path / "zoo")
    (tmp_path / "zoo" / "config.json").write_text("{}")
    with pytest.raises(HoagError, match="names no 'architecture'"):
        hoag.load(tmp_path / "zoo")
    with pytest.raises(HoagError, match="timm has no architecture 'resnet81'"):
        hoag.load("timm:resnet81")
    with pytest.raises(HoagError, match="neither a folder here nor an id of the Hub"):
        hoag.load("hf:not an id")
    with pytest.raises(HoagError, match="convnext_atto does not take images of 16 px"):
        hoag.load("timm:convnext_atto", size=16)
    with pytest.raises(HoagError, match="holds no recipe.toml and no config.json"):
        hoag.load(tmp_path)


def test_the_hub_that_cannot_be_reached_is_said(monkeypatch, tmp_path):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HoagError, match="hf:zoo/bot: http://127.0.0.1:9 cannot be reached"):
        hoag.load("hf:zoo/bot")

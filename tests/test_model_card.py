import re

import pytest
from huggingface_hub import ModelCard

import hoag
from hoag.fitting import fit
from hoag.model_card import credited, write_card
from hoag.recipe import load_recipe

from .conftest import TINY


@pytest.fixture(scope="module")
def hybrid(galaxies, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "hybrid"
    recipe = load_recipe("paper/hybrid").changed(TINY)
    return fit(
        recipe, galaxies.split("train"), galaxies.split("val"), out, device="cpu", quiet=True
    )


def card_of(model, folder, **how):
    (folder / "hoag").mkdir(parents=True, exist_ok=True)
    return write_card(model, folder, "Ring finder: a | b", **how).read_text()


def test_the_hub_reads_its_front_matter(hybrid, tmp_path):
    text = card_of(hoag.load(hybrid, device="cpu"), tmp_path, licence="cc-by-4.0", place="me/rings")
    data = ModelCard(text).data
    assert data.library_name == "timm" and data.license == "cc-by-4.0"
    assert data.model_name == "Ring finder: a | b"
    assert {"timm", "astronomy", "galaxy-zoo", "hoag"} <= set(data.tags)
    assert 'timm.create_model("hf_hub:me/rings", pretrained=True)' in text
    assert 'hoag.load("hf:me/rings")' in text


def test_it_tells_data_votes_results_and_whom_to_cite(hybrid, galaxies, tmp_path):
    model = hoag.load(hybrid, device="cpu")
    text = card_of(model, tmp_path)
    train = galaxies.split("train")
    assert f"| votes | {train.votes_given:,} answers of volunteers |" in text
    assert f"| galaxies | {len(train):,}, stopped by {len(galaxies.split('val'))} others |" in text
    assert f"| train, hash | `{train.hash}` |" in text
    assert "| `gz2` Galaxy Zoo 2 | SDSS DR7 (Sloan 2.5 m) | 10 | 30 |" in text
    assert "Best `val/contrastive` on the validation split:" in text
    assert "arXiv:1308.3496" in text and "Galaxy Zoo volunteers" in text
    assert "No licence has been chosen" in text
    assert set(credited(model)) == {name for name in train.campaign if name}


def test_results_of_finetuning_are_a_table(hybrid, simulated, tmp_path):
    steps = ["training.steps=2", "training.validate_every=1", "batch.size=16"]
    rings = simulated / "rings.parquet"
    hoag.finetune(hybrid, rings, label="ring", out=tmp_path / "run", overrides=steps, device="cpu")
    hoag.export(tmp_path / "run", tmp_path / "out")
    text = (tmp_path / "out" / "README.md").read_text()
    assert re.search(r"On \d+ galaxies of the test split, none of which it has learned from:", text)
    assert re.search(r"accuracy 0\.\d{3}, balanced accuracy 0\.\d{3}", text)
    assert re.search(r"\| `yes` \| \d+ \| \d\.\d{3} \|", text)
    assert "](hoag/confusion.png)" in text
    assert (tmp_path / "out" / "hoag" / "confusion.png").read_bytes()[:4] == b"\x89PNG"
    assert "| started from | hybrid resnet18, weights" in text
    assert ModelCard(text).data.pipeline_tag == "image-classification"
    assert "Galaxy Zoo volunteers" in text  # the weights it started from saw their votes


def test_no_command_or_folder_of_the_users_is_published(hybrid, tmp_path):
    hoag.export(hybrid, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes(), path
    assert "command" not in (tmp_path / "out" / "hoag" / "run.json").read_text()


def test_an_encoder_from_elsewhere_claims_no_training(tmp_path):
    text = card_of(hoag.load("timm:resnet18", size=32, device="cpu"), tmp_path)
    assert "## Training" not in text and "volunteers" not in text

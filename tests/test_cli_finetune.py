"""The verbs finetune and export, as typed."""

import pytest
from cyclopts import App

from hoag.cli_finetune import export, finetune
from hoag.cli_predict import predict
from hoag.errors import HoagError
from hoag.files import read_json
from hoag.recipe import load_recipe


@pytest.fixture
def typed():
    app = App(help_format="plaintext")
    app.command(finetune)
    app.command(export)
    app.command(predict)

    def run(*words):
        app(
            [str(word) for word in words],
            exit_on_error=False,
            print_error=False,
            result_action="return_value",
        )

    return run


QUICK = ["training.steps=4", "training.validate_every=2", "batch.size=16", "images.size=24"]


def test_finetune_then_export(typed, simulated, tmp_path, capsys):
    rings = simulated / "rings.parquet"
    typed("finetune", "timm:mobilenetv3_small_050", rings, rings, *QUICK, "--label", "ring",
          "--train", "head", "--class-weights", "balanced", "--out", tmp_path / "run",
          "--device", "cpu")  # fmt: skip
    assert capsys.readouterr().out == f"{tmp_path / 'run'}\n"
    recipe = load_recipe(tmp_path / "run" / "recipe.toml")
    assert (recipe.finetune.train, recipe.finetune.class_weights) == ("head", "balanced")
    assert recipe.training.steps == 4 and recipe.images.size == 24
    assert set(read_json(tmp_path / "run" / "results.json")["test"]["by"]) == {"no", "yes"}
    typed("export", tmp_path / "run", tmp_path / "out", "--licence", "cc-by-4.0", "--name", "Rings")
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    assert (tmp_path / "out" / "README.md").read_text().splitlines()[1] == 'license: "cc-by-4.0"'


def test_predict_writes_what_was_learned(typed, simulated, tmp_path, capsys):
    from hoag.catalogue import read_table

    rings = simulated / "rings.parquet"
    typed("finetune", "timm:mobilenetv3_small_050", rings, rings, *QUICK, "--label", "ring",
          "--out", tmp_path / "run", "--device", "cpu")  # fmt: skip
    typed("predict", tmp_path / "run", rings, tmp_path / "out.fits", "--keep", "ring")
    assert capsys.readouterr().out.endswith(f"{tmp_path / 'out.fits'}\n")
    table = read_table(tmp_path / "out.fits")
    assert table.column_names == ["id_str", "ring", "ring_predicted", "ring_no", "ring_yes"]
    assert not (tmp_path / "out.fits.parts").exists()
    with pytest.raises(HoagError, match=r"only models of votes are mixed \(--also\)"):
        typed("predict", tmp_path / "run", rings, tmp_path / "b.csv", "--also", tmp_path / "run")


def test_its_length_follows_from_the_labels():
    from hoag.finetuning import _paced

    recipe = load_recipe("hoag/finetune")
    few, many = (_paced(recipe, [], n).training for n in (50, 7_000))
    assert (few.steps, few.validate_every) == (200, 5)
    assert (many.steps, many.validate_every) == (4375, 109)
    shorter = ["training.steps=80"]
    own = _paced(load_recipe("hoag/finetune", shorter), shorter, 50).training
    assert (own.steps, own.validate_every) == (80, 2)


def test_bad_input_is_one_sentence(typed, simulated, tmp_path):
    rings = simulated / "rings.parquet"
    out = ("--out", tmp_path / "run")
    for words, said in (
        (("finetune", tmp_path / "none", rings, rings, *out), "holds no recipe.toml"),
        (("finetune", "timm:resnet18", tmp_path / "none", rings, *out), "none"),
        (("finetune", "timm:resnet18", rings, tmp_path / "none.csv", *out), "no such file"),
        (("finetune", "timm:resnet18", rings, rings, *out), "'ring', 'ring_votes'"),
        (("export", tmp_path / "none", tmp_path / "out"), "holds no recipe.toml"),
        (("export", "timm:resnet18", tmp_path), "is there already"),
    ):
        with pytest.raises(HoagError, match=said) as error:
            typed(*words)
        assert "\n" not in str(error.value)

import tomllib

import pytest

from hoag.errors import HoagError
from hoag.recipe import ARMS, load_recipe, presets, write_recipe


@pytest.mark.parametrize("name", presets())
def test_every_preset_loads_and_survives_being_written(name, tmp_path):
    recipe = load_recipe(name)
    assert recipe.arm == name.split("/")[1]
    path = tmp_path / "recipe.toml"
    path.write_text(write_recipe(recipe))
    assert load_recipe(path) == recipe


def test_each_family_has_the_four_arms():
    arms = {f"{family}/{arm}" for family in ("paper", "hoag") for arm in ARMS}
    assert set(presets()) == arms | {"hoag/finetune"}


def test_paper_preset_holds_the_papers_values():
    hybrid, pretrained = load_recipe("paper/hybrid"), load_recipe("paper/pretrained")
    assert hybrid.images.size == 128
    assert hybrid.optimiser.learning_rate == 0.001
    assert hybrid.optimiser.betas == (0.9, 0.999)
    assert hybrid.views.area == (0.3, 0.85)
    assert pretrained.encoder.name == "efficientnet_b0"
    assert pretrained.views.area == (0.7, 0.8)


@pytest.mark.parametrize("name", presets())
def test_every_line_of_a_paper_preset_says_where_its_value_is_from(name):
    from hoag.recipe import find_recipe

    if not name.startswith("paper/"):
        return
    section, unmarked = "", []
    for line in find_recipe(name).read_text().splitlines():
        if line.startswith("["):
            section = line.split("]")[0][1:]
        elif "=" in line and not line.startswith("#"):
            marked = any(mark in line for mark in ("[paper]", "[code]", "[open]"))
            if not marked and section not in ("training", "views", "labels", "encoder", "batch"):
                unmarked.append(line)
    assert unmarked == []


def test_written_recipe_documents_every_option():
    lines = write_recipe(load_recipe("paper/hybrid")).splitlines()
    assert all("# " in line for line in lines if "=" in line)


def test_overrides_take_toml_values_and_bare_words():
    recipe = load_recipe(
        "paper/hybrid",
        ["encoder.name=resnet34", "views.area=[0.5, 1]", "encoder.options={drop_rate = 0.1}"],
    )
    assert recipe.encoder.name == "resnet34"
    assert recipe.views.area == (0.5, 1.0)
    assert recipe.encoder.options == {"drop_rate": 0.1}


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("encoder.nam=x", "did you mean 'name'"),
        ("encodr.name=x", "did you mean 'encoder'"),
        ("batch.size=1.5", "batch.size = 1.5 must be a whole number"),
        ("batch.size=true", "must be a whole number"),
        ("batch.size=1", "2 or more"),
        ("views.area=[2, 1]", "views.area"),
        ("views.area=3", "views.area"),
        ("objective.mixing=magic", "paper, equation3, fixed, ema_norm"),
        ("arm=magic", "direct, pretrained, contrastive, hybrid"),
        ("optimiser.betas=[0.9]", "optimiser.betas"),
        ("target.tau=1.2", "target.tau"),
        ("seed=-1", "seed"),
        ("encoder=resnet18", "table"),
        ("nonsense", "key=value"),
    ],
)
def test_a_bad_override_is_named(override, said):
    with pytest.raises(HoagError, match=".") as raised:
        load_recipe("paper/hybrid", [override])
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_typo_in_a_file_names_file_and_option(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('arm = "hybrid"\n[optimiser]\nlearning_rat = 0.1\n')
    with pytest.raises(
        HoagError, match="mine.toml: unknown option 'optimiser.learning_rat'; did you"
    ):
        load_recipe(path)


def test_broken_toml_names_file_and_line(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("arm = \n")
    with pytest.raises(HoagError, match=r"mine.toml: not valid TOML .*line 1"):
        load_recipe(path)


def test_a_missing_recipe_lists_the_presets():
    with pytest.raises(HoagError, match="paper/hybrid"):
        load_recipe("paper/hybird")


def test_quotes_and_unicode_survive_writing():
    recipe = load_recipe("paper/direct", ['labels.column="a \\"b\\" é"'])
    assert tomllib.loads(write_recipe(recipe))["labels"]["column"] == 'a "b" é'

"""Roles: tables by what they are for, and no tested galaxy among those trained on."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import hoag
from hoag import HoagError
from hoag.arrow_copy import make_copies
from hoag.catalogue import write_table
from hoag.conditions import parse_conditions, rows_where
from hoag.galaxies import write_galaxies
from hoag.role_tables import Tables
from hoag.roles import load_downstream, load_pretraining, read_roles
from hoag.splits import half_names, split_names

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared"
PIXELS = np.zeros((8, 8, 3), np.uint8)


def galaxies(ids, **columns):
    for n, id_str in enumerate(ids):
        yield {"id_str": id_str, "image": PIXELS, **{k: v[n] for k, v in columns.items()}}


@pytest.fixture
def folder(tmp_path):
    """400 labelled and 300 unlabelled galaxies, ring labels of 200 of them and of 20 others."""
    ids = [f"g{n}" for n in range(700)]
    write_galaxies(galaxies(ids[:400], **{"bar-gz2_yes": [3] * 400}), tmp_path / "gz2.parquet")
    kind = ["disc" if n % 2 else "ball" for n in range(300)]
    write_galaxies(galaxies(ids[400:], kind=kind), tmp_path / "rest.parquet")
    labels = {
        "id_str": [*ids[:200], *(f"none{n}" for n in range(20))],
        "ring": [n % 2 for n in range(219)] + [None],
        "face_on": [int(n % 4 < 3) for n in range(220)],
    }
    write_table(pa.table(labels), tmp_path / "rings.csv")
    return tmp_path


BASE = """
name = "test"
[[pretraining]]
table = "gz2.parquet"
[[unlabelled]]
table = "rest.parquet"
"""
RINGS = """
[[downstream]]
name = "rings"
labels = "rings.csv"
images = "gz2.parquet"
label = "ring"
"""
KINDS = """
[[downstream]]
name = "kinds"
labels = "rest.parquet"
label = "kind"
protocol = "repeated"
"""


def roles(folder, text, **options):
    (folder / "dataset.toml").write_text(text)
    return read_roles(folder, **options)


def trained(pretraining):
    return {i for name in ("train", "val") for i in pretraining.galaxies.split(name).ids}


def test_labels_are_joined_to_images_by_key(folder, capsys):
    task = roles(folder, BASE + RINGS + "where = 'face_on == 1 and ring >= 0'").task("rings")
    loaded = load_downstream(task)
    expected = [n for n in range(200) if n % 4 < 3]
    assert loaded.galaxies.ids == [f"g{n}" for n in expected]
    assert loaded.labels.tolist() == [n % 2 for n in expected] and loaded.classes == ("0", "1")
    assert loaded.keys.tolist() == loaded.galaxies.ids
    assert (task.protocol, task.balance, task.keep_out) == ("halves", False, False)
    said = capsys.readouterr().err
    assert "150 galaxies (0: 100, 1: 50); 15 labels without an image" in said


def test_rows_without_a_label_are_dropped_and_counted(folder, capsys):
    loaded = load_downstream(roles(folder, BASE + RINGS).task("rings"))
    assert len(loaded.galaxies) == 200
    assert "19 labels without an image; 1 rows without a label" in capsys.readouterr().err


def test_text_labels_are_classes_in_the_order_given_or_sorted(folder):
    task = roles(folder, BASE + KINDS).task("kinds")
    loaded = load_downstream(task)
    assert loaded.classes == ("ball", "disc") and loaded.labels[:4].tolist() == [0, 1, 0, 1]
    ordered = roles(folder, BASE + KINDS + "classes = ['disc', 'ball']").task("kinds")
    assert load_downstream(ordered).labels[:4].tolist() == [1, 0, 1, 0]
    short = roles(folder, BASE + KINDS + "classes = ['disc', 'box']").task("kinds")
    with pytest.raises(HoagError, match="label 'ball' is not among its classes"):
        load_downstream(short)


def test_no_galaxy_of_a_test_half_is_trained_on(folder, capsys):
    pretraining = load_pretraining(roles(folder, BASE + RINGS))
    ids = np.array([f"g{n}" for n in range(200)])
    tested = set(ids[half_names(ids) == "test"])
    leaking = tested & set(ids[split_names(ids) != "test"])
    assert not trained(pretraining) & tested
    assert pretraining.removed == {"rings": len(leaking)} and pretraining.removed_in_all > 0
    assert f"{len(leaking)} of 700 galaxies taken out" in capsys.readouterr().err
    # Nothing else is touched: train halves stay, and so does the pretraining test split.
    assert len(pretraining.galaxies) == 700 - len(leaking)
    assert set(ids[half_names(ids) == "train"]) <= trained(pretraining)


def test_a_repeated_task_and_one_kept_out_are_trained_on_nowhere(folder):
    for text, ids in (
        (KINDS, {f"g{n}" for n in range(400, 700)}),
        (RINGS + "keep_out = true", {f"g{n}" for n in range(200)}),
    ):
        pretraining = load_pretraining(roles(folder, BASE + text))
        assert not trained(pretraining) & ids
        assert set(pretraining.galaxies.split("test").ids) & ids
    with pytest.raises(HoagError, match="keep_out cannot be false"):
        roles(folder, BASE + KINDS + "keep_out = false")


@pytest.mark.parametrize("task", [RINGS, KINDS])
def test_what_may_leak_is_trained_on_and_said(folder, task, capsys):
    found = roles(folder, BASE + task + "may_leak = true")
    pretraining = load_pretraining(found)
    (name,) = pretraining.removed
    assert pretraining.removed == {name: 0} and len(pretraining.galaxies) == 700
    assert set(load_downstream(found.task(name)).galaxies.ids) <= set(pretraining.galaxies.ids)
    assert f"task '{name}' is tested on may be trained on" in capsys.readouterr().err
    with pytest.raises(HoagError, match="keep_out keeps .* and may_leak lets them in; choose one"):
        roles(folder, BASE + task + "may_leak = true\nkeep_out = true")


def test_of_two_tasks_only_the_one_that_says_so_leaks(folder):
    other = RINGS.replace('"rings"', '"leaky"', 1) + "may_leak = true"
    both = load_pretraining(roles(folder, BASE + RINGS + other))
    alone = load_pretraining(roles(folder, BASE + RINGS))
    assert both.removed == {"rings": alone.removed["rings"], "leaky": 0}
    assert both.galaxies.ids == alone.galaxies.ids


def test_a_task_on_the_test_split_takes_nothing_out(folder):
    found = roles(folder, BASE + KINDS + 'split = "test"')
    loaded, pretraining = load_downstream(found.task("kinds")), load_pretraining(found)
    assert set(split_names(loaded.keys)) == {"test"} and 20 < len(loaded.labels) < 120
    assert pretraining.removed == {"kinds": 0} and len(pretraining.galaxies) == 700
    assert not trained(pretraining) & set(loaded.galaxies.ids)


def test_galaxies_at_one_place_do_not_leak_under_another_id(tmp_path):
    # The downstream table has other ids for the galaxies that pretraining has, 1 arcsec away.
    ra = [float(n) for n in range(300)]
    write_galaxies(
        galaxies([f"a{n}" for n in range(300)], ra=ra, dec=[1.0] * 300), tmp_path / "a.parquet"
    )
    labels = {"ra": ra, "dec": [1.0 + 1 / 3600] * 300, "ring": [n % 2 for n in range(300)]}
    write_galaxies(galaxies([f"b{n}" for n in range(300)], **labels), tmp_path / "b.parquet")
    text = (
        '[[pretraining]]\ntable = "a.parquet"\n[[downstream]]\nname = "r"\nlabels = "b.parquet"\n'
    )
    found = roles(tmp_path, text + 'label = "ring"')
    loaded, pretraining = load_downstream(found.task("r")), load_pretraining(found)
    tested = np.array(loaded.galaxies.ids)[half_names(loaded.keys) == "test"]
    assert not {i.replace("a", "b") for i in trained(pretraining)} & set(tested)
    assert pretraining.removed_in_all > 50
    alone = load_pretraining(roles(tmp_path, 'group = "id_str"\n' + text + 'label = "ring"'))
    assert alone.removed_in_all == 0


def test_a_users_group_column_spans_tables(folder, tmp_path):
    field = [f"f{n // 10}" for n in range(200)]
    write_galaxies(galaxies([f"g{n}" for n in range(200)], field=field), tmp_path / "gz2.parquet")
    found = roles(folder, 'group = "field"\n' + BASE + RINGS)
    keys = load_downstream(found.task("rings")).keys
    assert keys.tolist() == field
    with pytest.raises(HoagError, match="group = 'nowhere', but no table has 'nowhere'"):
        load_pretraining(roles(folder, 'group = "nowhere"\n' + BASE + RINGS))


def built(folder, group="group"):
    """Shards as a build leaves them: a group column everywhere, every galaxy in one table."""
    start, random = 0, np.random.default_rng(0)
    for table, shards in (("labelled", 2), ("unlabelled", 2), ("downstream", 1)):
        for shard in range(shards):
            ids = [f"g{n:03d}" for n in range(start, start + 60)]
            group = [f"p{n // 3}" if n % 2 else None for n in random.permutation(60) + start // 2]
            votes = {"bar-gz2_yes": [3] * 60} if table != "unlabelled" else {}
            name = f"{table}-{shard:05d}-of-{shards:05d}.parquet"
            write_galaxies(galaxies(ids, group=group, **votes), folder / name)
            start += 60
    chosen = [f"g{n:03d}" for n in (*range(0, 60), *range(240, 300))]
    write_table(pa.table({"id_str": chosen, "ring": [n % 2 for n in range(120)]}),
                folder / "rings.parquet")  # fmt: skip


BUILT = """
[[pretraining]]
table = "labelled-*.parquet"
[[unlabelled]]
table = "unlabelled-*.parquet"
[[downstream]]
name = "rings"
labels = "rings.parquet"
images = ["labelled-*.parquet", "downstream-*.parquet"]
label = "ring"
"""


@pytest.mark.parametrize("copied", [False, True])
def test_the_group_column_of_a_built_set_is_used_as_it_is(tmp_path, monkeypatch, copied):
    built(tmp_path)
    if copied:
        make_copies(sorted(tmp_path.glob("*-of-*.parquet")))
    slow = roles(tmp_path, BUILT)  # looks at all tables together
    expected, tested = load_pretraining(slow), load_downstream(slow.task("rings"))
    fast = roles(tmp_path, 'group = "group"\n' + BUILT)
    monkeypatch.setattr(Tables, "_joint_keys", lambda _: pytest.fail("ids put in a dict"))
    found, loaded = load_pretraining(fast), load_downstream(fast.task("rings"))
    assert found.galaxies.ids == expected.galaxies.ids
    assert found.galaxies.groups.tolist() == expected.galaxies.groups.tolist()
    assert (found.removed, found.removed_in_all) == (expected.removed, expected.removed_in_all)
    assert 0 < found.removed_in_all < 120
    assert loaded.keys.tolist() == tested.keys.tolist()
    assert loaded.galaxies.ids == tested.galaxies.ids and (loaded.labels == tested.labels).all()
    assert found.galaxies.labelled.sum() == (np.array(found.galaxies.ids) < "g120").sum()
    with_image = [store.name for store in found.galaxies._images.stores]
    assert len(with_image) == 2  # shards of one table are one store, shared with the task
    assert loaded.galaxies._images.stores[0] is found.galaxies._images.stores[0]


def test_a_galaxy_in_two_tables_is_grouped_over_both(tmp_path):
    write_galaxies(galaxies(["a", "b"], group=["G", "H"]), tmp_path / "one.parquet")
    write_galaxies(galaxies(["b", "c"], group=["I", "I"]), tmp_path / "two.parquet")
    text = 'group = "group"\n[[pretraining]]\ntable = "one.parquet"\n[[downstream]]\nname = "t"\n'
    write_table(pa.table({"id_str": ["b", "c"], "x": [0, 1]}), tmp_path / "x.csv")
    found = roles(tmp_path, text + 'labels = "x.csv"\nimages = "two.parquet"\nlabel = "x"')
    assert load_downstream(found.task("t")).keys.tolist() == ["H", "H"]


def test_unlabelled_tables_give_no_votes_and_conditions_choose_rows(folder):
    text = """
    [[pretraining]]
    table = "gz2.parquet"
    where = "id_str != 'g0'"
    """
    assert len(load_pretraining(roles(folder, text)).galaxies) == 399
    silent = load_pretraining(roles(folder, '[[unlabelled]]\ntable = "gz2.parquet"'))
    assert not silent.galaxies.labelled.any()


def test_opening_a_folder_with_roles_gives_its_pretraining_galaxies(folder):
    found = roles(folder, BASE + RINGS)
    assert hoag.open(folder).ids == load_pretraining(found).galaxies.ids


def test_opening_a_folder_reads_the_votes_that_its_roles_name(folder):
    (folder / "mine.toml").write_text(
        'campaign = "mine"\ntitle = "M"\n[[question]]\nname = "a"\nanswers = ["yes", "no"]\n'
    )
    ids = [f"m{n}" for n in range(20)]
    write_galaxies(galaxies(ids, **{"a-mine_yes": [2] * 20}), folder / "gz2.parquet")
    roles(folder, 'schema = ["gz-evo", "mine.toml"]\n[[pretraining]]\ntable = "gz2.parquet"')
    opened = hoag.open(folder)
    assert set(opened.campaign) == {"mine"} and opened.votes_given == 40
    assert not hoag.open(folder, schema="gz-evo").labelled.any()


def test_a_shard_in_two_roles_is_refused_however_the_roles_name_it(tmp_path):
    built(tmp_path)
    text = """
    group = "group"
    [[pretraining]]
    table = "labelled-00000-of-00002.parquet"
    [[unlabelled]]
    table = "labelled-*.parquet"
    """
    with pytest.raises(HoagError, match="'g000' is in both .*labelled"):
        load_pretraining(roles(tmp_path, text))


def test_images_are_shared_between_roles(folder):
    found = roles(folder, BASE + RINGS)
    task = load_downstream(found.task("rings")).galaxies
    assert task._images.stores[0] in load_pretraining(found).galaxies._images.stores


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nmae = 'x'", "dataset.toml: unknown key 'nmae'; did you mean 'name'"),
        ("[[pretraining]]\ntabel = 'gz2.parquet'", r"\[\[pretraining\]\] 1: unknown key 'tabel'"),
        ("[[pretraining]]\n", "'table' is missing"),
        ("[[pretraining]]\ntable = 'gone.parquet'", "no table 'gone.parquet' in"),
        ("[[pretraining]]\ntable = 3", "'table' must be the name of a table"),
        ("pretraining = 3", r"'pretraining' is written as \[\[pretraining\]\]"),
        ("a = = 2", "not valid TOML"),
        (RINGS + "protocol = 'thirds'", "'protocol' is 'thirds'; it can be 'halves', 'repeated'"),
        (RINGS + "balance = 1", "'balance' must be true or false, not 1"),
        (RINGS + "repeats = -1", "'repeats' must be a whole number, 0 or more, not -1"),
        (RINGS + "repeats = true", "'repeats' must be a whole number, 0 or more, not True"),
        (RINGS.replace("'ring'", "").replace('"ring"', '"rings"'), "no column 'rings'; it has"),
        (RINGS + "where = 'fase_on == 1'", "rings.csv: no column 'fase_on'; it has"),
        (RINGS + "where = 'face_on = 1'", "'face_on = 1' is not understood"),
        (RINGS + "key = 'name'", "no column 'name'"),
        (RINGS + "classes = [0, 0]", "must be different texts or whole numbers"),
        (RINGS + RINGS, "two downstream tasks are named 'rings'"),
    ],
)  # fmt: skip
def test_mistakes_in_roles_are_one_sentence(folder, text, message):
    with pytest.raises(HoagError, match=message) as caught:
        roles(folder, text)
    assert "\n" not in str(caught.value)


def test_mistakes_in_labels_are_one_sentence(folder):
    table = pa.table({"id_str": ["g1", "g1"], "ring": [0, 1]})
    write_table(table, folder / "rings.csv")
    with pytest.raises(HoagError, match="rings.csv: column 'id_str', row 1: 'g1' has two labels"):
        load_downstream(roles(folder, BASE + RINGS).task("rings"))
    write_table(pa.table({"id_str": ["g1", "g2"], "ring": [0.5, 1]}), folder / "rings.csv")
    with pytest.raises(HoagError, match="column 'ring', row 0: 0.5 is no class"):
        load_downstream(roles(folder, BASE + RINGS).task("rings"))
    write_table(pa.table({"id_str": ["g1", "g2"], "ring": [1, 1]}), folder / "rings.csv")
    with pytest.raises(HoagError, match="of one class, 1"):
        load_downstream(roles(folder, BASE + RINGS).task("rings"))
    write_table(pa.table({"id_str": ["x", "y"], "ring": [0, 1]}), folder / "rings.csv")
    with pytest.raises(HoagError, match="no galaxy has both a label and an image"):
        load_downstream(roles(folder, BASE + RINGS).task("rings"))


def test_missing_roles_say_what_to_do(tmp_path):
    with pytest.raises(HoagError, match="dataset.toml: no such file; say what its tables are for"):
        read_roles(tmp_path)
    with pytest.raises(HoagError, match="no such folder"):
        read_roles(tmp_path / "gone")
    (tmp_path / "dataset.toml").write_text("name = 'x'")
    with pytest.raises(HoagError, match=r"names no \[\[pretraining\]\] and no"):
        load_pretraining(read_roles(tmp_path))
    with pytest.raises(HoagError, match="no downstream task 'rings'"):
        read_roles(tmp_path).task("rings")


# Conditions


def test_conditions_choose_rows():
    table = pa.table(
        {
            "n": [1, 2, 3, None],
            "bar-gz2_yes": [0.5, 1.5, 2.5, 3.5],
            "name": ["a", "b and c", "it's", None],
            "flag": [True, False, None, True],
        }
    )
    for text, expected in {
        "": [1, 1, 1, 1],
        "n == 1": [1, 0, 0, 0],
        "n != 1": [0, 1, 1, 0],
        "n >= 2 and bar-gz2_yes < 2": [0, 1, 0, 0],
        "n>1 and n<=3": [0, 1, 1, 0],
        "name == 'b and c'": [0, 1, 0, 0],
        'name == "it\'s" and n == 3': [0, 0, 1, 0],
        "flag == true": [1, 0, 0, 1],
        "bar-gz2_yes > -1e3": [1, 1, 1, 1],
    }.items():
        assert rows_where(table, parse_conditions(text)).tolist() == [bool(e) for e in expected], (
            text
        )


def test_19_digit_numbers_are_compared_exactly():
    table = pa.table({"n": [1237648720693755918, 1237648720693755919]})
    chosen = rows_where(table, parse_conditions("n == 1237648720693755918"))
    assert chosen.tolist() == [True, False]


@pytest.mark.parametrize(
    "text",
    ["n", "n = 1", "== 1", "n == 1 or n == 2", "n == 1 and", "n == 1andn == 2", "__import__('os')",
     "n == a", "n == 'a", "n == 1; n"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    with pytest.raises(HoagError, match="not understood|no number"):
        parse_conditions(text)


def test_text_is_not_compared_with_numbers():
    with pytest.raises(HoagError, match="column 'n' has 'a', which cannot be compared with 1"):
        rows_where(pa.table({"n": ["a"]}), parse_conditions("n > 1"))


# The real folder


@pytest.mark.skipif(not (SHARED / "galaxies").exists(), reason="../shared/galaxies is absent")
def test_roles_of_the_shared_galaxies():
    found = read_roles(SHARED / "galaxies", ROOT / "recipes" / "shared-galaxies.toml")
    pretraining = load_pretraining(found)
    training = trained(pretraining)
    assert int(pretraining.galaxies.labelled.sum()) > 3000
    sizes = {"gz2-rings-face-on": [908, 182], "decals-rings": [161, 173]}
    for task in found.downstream:
        loaded = load_downstream(task)
        assert not training & set(loaded.galaxies.ids)
        if task.name in sizes:
            assert np.bincount(loaded.labels).tolist() == sizes[task.name]
    rings = load_downstream(found.task("gz2-rings-face-on"))
    fixed = split_names(rings.keys)
    assert pretraining.removed["gz2-rings-face-on"] == int((fixed != "test").sum())
    coarse = load_downstream(found.task("coarse-classes"))
    assert len(coarse.classes) == 5 and np.bincount(coarse.labels).min() > 100


def test_a_star_names_all_shards(tmp_path):
    for shard in range(3):
        ids = [f"s{shard}g{n}" for n in range(10)]
        name = f"votes-{shard:05d}-of-00003.parquet"
        write_galaxies(galaxies(ids, **{"bar-gz2_yes": [3] * 10}), tmp_path / name)
    found = roles(tmp_path, "[[pretraining]]\ntable = 'votes-*.parquet'\n")
    assert len(load_pretraining(found).galaxies) == 30
    with pytest.raises(HoagError, match=r"'table': no table 'vote-\*.parquet' in"):
        roles(tmp_path, "[[pretraining]]\ntable = 'vote-*.parquet'\n")

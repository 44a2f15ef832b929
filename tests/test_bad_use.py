"""A careless user of the verbs about models: one sentence, exit status 1 or 2, nothing left behind.

Each case is a command as typed. `in` holds what is there, good and bad; `out` is where the command
should write, and must stay as it was.
"""

import resource
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import hoag as library
from hoag import HoagError, loading
from hoag.catalogue import read_table, write_table
from hoag.embedding import make_table, write_embeddings
from hoag.exporting import export
from hoag.recipe import load_recipe
from hoag.schema import load_schema

from .conftest import TINY
from .test_cli import hoag


def damaged(model, place, name, file, content):
    """Copy a model and spoil one of its files; None takes the file away."""
    folder = place / name
    shutil.copytree(model, folder)
    if content is None:
        (folder / file).unlink()
    else:
        (folder / file).write_bytes(content)


def make_models(place):
    recipe = load_recipe("paper/pretrained").changed(TINY)
    model = loading.random_model(recipe, load_schema("gz-evo"), device="cpu")
    good = export(model, place / "model")
    weights = (good / "model.safetensors").read_bytes()
    damaged(good, place, "cut", "model.safetensors", weights[: len(weights) // 2])
    damaged(good, place, "noise", "model.safetensors", b"no tensors at all" * 9)
    damaged(good, place, "weightless", "model.safetensors", None)
    damaged(good, place, "headless", "hoag/model.safetensors", None)
    damaged(good, place, "norecipe", "hoag/recipe.toml", b"size = [")
    damaged(good, place, "noschema", "hoag/schema.json", b"{")
    damaged(good, place, "emptyschema", "hoag/schema.json", b"{}")
    damaged(good, place, "norecord", "hoag/run.json", b"[1")
    damaged(good, place, "listrecord", "hoag/run.json", b"[]")
    damaged(good, place, "hot", "hoag/temperatures.json", b'{"temperatures": {"bar-gz2": 0}}')
    return model.hash


def make_tables(place, simulated, model_hash):
    galaxies = pq.read_table(simulated / "pretraining.parquet").slice(0, 60)
    write_table(galaxies, place / "galaxies.parquet")
    write_table(galaxies.slice(0, 0), place / "empty.parquet")
    ids = galaxies["id_str"].to_pylist()
    again = pa.concat_tables([galaxies.slice(0, 3), galaxies.slice(0, 1)])
    write_table(again, place / "twice.parquet")
    write_table(galaxies.drop_columns(["image"]), place / "blind.parquet")
    (place / "noise.parquet").write_bytes(b"PAR1 and nothing else")
    (place / "noise.fits").write_bytes(b"SIMPLE  = but not true")
    (place / "noise.vot").write_bytes(b"<VOTABLE><oops")
    (place / "noise.csv").write_bytes(bytes(range(128, 200)))
    (place / "zero.csv").write_bytes(b"")
    (place / "zero.parquet").write_bytes(b"")
    (place / "header.csv").write_text("id_str,label\n")
    (place / "notes.txt").write_text("not a table")
    whole = (place / "galaxies.parquet").read_bytes()
    (place / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    vectors = np.random.default_rng(0).normal(size=(60, 16)).astype(np.float32)
    write_embeddings(make_table(ids, vectors, {"model": "f" * 16}), place / "other.parquet")
    write_embeddings(make_table(ids, vectors, {"model": model_hash}), place / "vectors.parquet")
    write_table(pa.table({"id_str": ids, "name": ids}), place / "textual.csv")
    holes = vectors.copy()
    holes[4, 2] = np.nan
    lists = pa.table({"id_str": ids, "representation": holes.tolist()})
    write_table(lists, place / "holes.parquet")

    def labels(name, values, ids=ids, column="label"):
        write_table(pa.table({"id_str": ids[: len(values)], column: values}), place / name)

    labels("labels.csv", ["yes", "no"] * 20)
    labels("one.csv", ["yes"] * 40)
    labels("strangers.csv", ["yes", "no"] * 5, [f"x{n}" for n in range(10)])
    labels("repeated.csv", ["yes", "no"] * 5, ids[:5] * 2)
    labels("nan.csv", [float("nan")] * 20)
    labels("few.csv", ["yes", "no"])
    labels("unlike.csv", [f"kind {n}" for n in range(40)])
    infinite = [1.0, 2.0, float("inf"), *np.arange(30.0)]
    labels("infinite.parquet", infinite)
    write_table(
        pa.table({"id_str": ids, "ring": ["yes", "no"] * 30, "bar": ["no", "yes"] * 30}),
        place / "two.csv",
    )
    write_table(pa.table({"name": ids, "label": ["yes", "no"] * 30}), place / "nameless.csv")


@pytest.fixture(scope="module")
def place(tmp_path_factory, simulated):
    folder = tmp_path_factory.mktemp("careless") / "in"
    folder.mkdir()
    make_tables(folder, simulated, make_models(folder))
    (folder / "folder").mkdir()
    (folder / "folder.parquet").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "dataset.toml").write_text("name = [")
    return folder


G, V = "in/galaxies.parquet", "in/vectors.parquet"
CASES = {
    # predict
    "predict in/absent {G} out/p.csv": ["in/absent"],
    "predict in/folder {G} out/p.csv": ["in/folder", "no recipe.toml"],
    "predict in/notes.txt {G} out/p.csv": ["in/notes.txt"],
    "predict {G} {G} out/p.csv": [G],
    "predict in/cut {G} out/p.csv": ["in/cut"],
    "predict in/noise {G} out/p.csv": ["in/noise"],
    "predict in/weightless {G} out/p.csv": ["in/weightless"],
    "predict in/headless {G} out/p.csv": ["in/headless"],
    "predict in/norecipe {G} out/p.csv": ["norecipe", "recipe.toml"],
    "predict in/noschema {G} out/p.csv": ["schema.json", "JSON"],
    "predict in/emptyschema {G} out/p.csv": ["schema.json"],
    "predict in/norecord {G} out/p.csv": ["run.json"],
    "predict in/listrecord {G} out/p.csv": ["run.json"],
    "predict in/hot {G} out/p.csv": ["temperatures.json"],
    "predict in/model in/absent.parquet out/p.csv": ["in/absent.parquet"],
    "predict in/model in/folder out/p.csv": ["in/folder"],
    "predict in/model in/folder.parquet out/p.csv": ["in/folder.parquet"],
    "predict in/model in/broken out/p.csv": ["dataset.toml"],
    "predict in/model in/notes.txt out/p.csv": ["in/notes.txt"],
    "predict in/model in/empty.parquet out/p.csv": ["in/empty.parquet"],
    "predict in/model in/twice.parquet out/p.csv": ["in/twice.parquet"],
    "predict in/model in/blind.parquet out/p.csv": ["in/blind.parquet", "image"],
    "predict in/model in/noise.parquet out/p.csv": ["in/noise.parquet"],
    "predict in/model in/cut.parquet out/p.csv": ["in/cut.parquet"],
    "predict in/model in/zero.parquet out/p.csv": ["in/zero.parquet"],
    "predict in/model in/noise.fits out/p.csv": ["in/noise.fits"],
    "predict in/model in/noise.vot out/p.csv": ["in/noise.vot"],
    "predict in/model in/noise.csv out/p.csv": ["in/noise.csv"],
    "predict in/model in/zero.csv out/p.csv": ["in/zero.csv"],
    "predict in/model {V} out/p.csv": ["no campaign"],
    "predict in/model {G} out/p.txt": ["out/p.txt"],
    "predict in/model {G} out/p": ["out/p"],
    "predict in/model {G} {G}": [G],
    "predict in/model {G} in/folder.parquet": ["in/folder.parquet"],
    "predict in/model {G} in/notes.txt/p.csv": ["in/notes.txt"],
    "predict in/model {G} out/p.csv --campaign gz3": ["gz3"],
    "predict in/model {G} out/p.csv --volunteers many": ["many"],
    "predict in/model {G} out/p.csv --volunteers 0": ["0"],
    "predict in/model {G} out/p.csv --level 2": ["level"],
    "predict in/model {G} out/p.csv --level nan": ["level"],
    "predict in/model {G} out/p.csv --keep absent": ["absent"],
    "predict in/model {G} out/p.csv --also in/folder": ["in/folder"],
    "predict in/model {G} out/p.csv --symmetries 4": ["symmetries"],
    "predict in/model {G} out/p.csv --device abacus": ["device"],
    "predict in/model {G} out/p.csv --which worst": ["which"],
    "predict in/model {G}": ["OUT"],
    # embed
    "embed in/model {G} --out out/e.csv": ["out/e.csv", ".parquet"],
    "embed in/model {G} --out {G}": [G],
    "embed in/model {G} --out in/folder.parquet": ["in/folder.parquet"],
    "embed in/model in/empty.parquet --out out/e.parquet": ["in/empty.parquet"],
    "embed in/model in/blind.parquet --out out/e.parquet": ["in/blind.parquet"],
    "embed in/cut {G} --out out/e.parquet": ["in/cut"],
    # calibrate
    "calibrate in/model in/blind.parquet out/c": ["in/blind.parquet"],
    "calibrate in/model in/absent/of/all out/c": ["in/absent"],
    "calibrate in/model {G} in/notes.txt": ["in/notes.txt"],
    "calibrate in/model {G} out/c --by absent": ["absent"],
    "calibrate in/model {G} out/c --where absent>1": ["absent"],
    "calibrate in/model {G} out/c --where ((": ["(("],
    # surveys
    "surveys in/model {G} out/s --column absent": ["absent"],
    "surveys in/model in/empty.parquet out/s": ["in/empty.parquet"],
    "surveys in/model {G} in/notes.txt": ["in/notes.txt"],
    "surveys in/model {G} out/s --neighbours 0": ["neighbours"],
    # search
    "search {V}": ["nothing to search by"],
    "search in/absent.parquet --id x": ["in/absent.parquet"],
    "search in/folder.parquet --id x": ["in/folder.parquet"],
    "search in/noise.parquet --id x": ["in/noise.parquet"],
    "search in/zero.parquet --id x": ["in/zero.parquet"],
    "search in/textual.csv --id x": ["in/textual.csv"],
    "search in/holes.parquet --id x": ["in/holes.parquet", "row 5"],
    "search {G} --id x": [G],
    "search {V} --id absent --out out/s.csv": ["absent"],
    "search {V} --examples in/strangers.csv --out out/s.csv": ["'x0'"],
    "search {V} --examples in/header.csv --out out/s.csv": ["in/header.csv"],
    "search {V} --examples in/nameless.csv --out out/s.csv": ["in/nameless.csv", "id_str"],
    "search {V} --examples in/absent.csv --out out/s.csv": ["in/absent.csv"],
    "search {V} --examples in/labels.csv --out out/s.txt": ["out/s.txt"],
    "search {V} --examples in/labels.csv --top 0": ["top"],
    "search {V} --examples in/labels.csv --where z<1": ["catalogue"],
    "search {V} --examples in/labels.csv --where z<1 --catalogue in/two.csv": ["z"],
    "search {V} --examples in/labels.csv --galaxies in/absent/of/all": ["in/absent"],
    "search {V} --image in/notes.txt --model in/model": ["in/notes.txt"],
    "search {V} --image in/absent.jpg --model in/model": ["in/absent.jpg"],
    "search in/other.parquet --image in/notes.txt --model in/model": ["f" * 16],
    "search {V} --examples in/labels.csv --out {V}": [V],
    # map
    "map in/absent.parquet out/m": ["in/absent.parquet"],
    "map {V} in/notes.txt": ["in/notes.txt"],
    "map {V} out/m --colour absent": ["absent"],
    "map {V} out/m --colour absent --catalogue in/two.csv": ["absent"],
    "map {V} out/m --method tsne": ["method"],
    "map {V} out/m --thumbnails -3 --galaxies {G}": ["thumbnails"],
    # find
    "find {V} in/absent.csv out/f.csv": ["in/absent.csv"],
    "find {V} in/header.csv out/f.csv": ["in/header.csv"],
    "find {V} in/one.csv out/f.csv": ["0 no, 40 yes"],
    "find {V} in/few.csv out/f.csv": ["1 no, 1 yes"],
    "find {V} in/nan.csv out/f.csv": ["in/nan.csv"],
    "find {V} in/unlike.csv out/f.csv": ["1 kind 0"],
    "find {V} in/infinite.parquet out/f.csv": ["in/infinite.parquet"],
    "find {V} in/strangers.csv out/f.csv": ["'x0'"],
    "find {V} in/repeated.csv out/f.csv": ["in/repeated.csv"],
    "find {V} in/nameless.csv out/f.csv": ["in/nameless.csv"],
    "find {V} in/two.csv out/f.csv": ["in/two.csv", "ring", "bar"],
    "find {V} in/labels.csv out/f.csv --label absent": ["absent"],
    "find {V} in/labels.csv out/f.csv --target maybe": ["maybe"],
    "find {V} in/labels.csv out/f.csv --kind numbers": ["in/labels.csv"],
    "find {V} in/labels.csv out/f.csv --prior 7": ["prior"],
    "find {V} in/labels.csv out/f.csv --prior much": ["much"],
    "find {V} in/labels.csv out/f.csv --suggest -1": ["suggest"],
    "find {V} in/labels.csv out/f.docx": ["out/f.docx"],
    "find {V} in/labels.csv {V}": [V],
    "find {V} in/labels.csv in/labels.csv": ["in/labels.csv"],
    "find in/holes.parquet in/labels.csv out/f.csv": ["in/holes.parquet"],
    "find in/noise.vot in/labels.csv out/f.csv": ["in/noise.vot"],
    # probe
    "probe {V} in/absent.csv": ["in/absent.csv"],
    "probe {V} in/strangers.csv": ["in/strangers.csv"],
    "probe {V} in/one.csv --no-halves": ["one"],
    "probe {V} in/repeated.csv": ["in/repeated.csv"],
    "probe {V} in/labels.csv --label absent": ["absent"],
    "probe {V} in/labels.csv --key absent": ["absent"],
    "probe {V} in/labels.csv --folds 1": ["folds"],
    "probe {V} in/labels.csv --sizes 0": ["size 0"],
    "probe {V} in/labels.csv --sizes 100000": ["100"],
    "probe {V} in/two.csv": ["label"],
    "probe {V} in/header.csv": ["in/header.csv"],
    "probe {V} in/labels.csv --out in/notes.txt": ["in/notes.txt"],
    "probe in/holes.parquet in/labels.csv": ["in/holes.parquet"],
    # finetune
    "finetune in/absent {G} in/labels.csv --out out/t": ["in/absent"],
    "finetune in/model in/absent/of/all in/labels.csv --out out/t": ["in/absent"],
    "finetune in/model {G} in/absent.csv --out out/t": ["in/absent.csv"],
    "finetune in/model {G} in/header.csv --out out/t": ["in/header.csv"],
    "finetune in/model {G} in/one.csv --out out/t": ["one.csv"],
    "finetune in/model {G} in/strangers.csv --out out/t": ["in/strangers.csv"],
    "finetune in/model {G} in/repeated.csv --out out/t": ["in/repeated.csv"],
    "finetune in/model {G} in/two.csv --out out/t": ["in/two.csv"],
    "finetune in/model {G} in/nan.csv --out out/t": ["in/nan.csv"],
    "finetune in/model {G} in/infinite.parquet --out out/t": ["in/infinite.parquet"],
    "finetune in/model {G} in/labels.csv --label absent --out out/t": ["absent"],
    "finetune in/model {G} in/labels.csv --kind numbers --out out/t": ["label"],
    "finetune in/model {G} in/labels.csv training.stepps=3 --out out/t": ["stepps"],
    "finetune in/model {G} in/labels.csv --out in/notes.txt": ["in/notes.txt"],
    "finetune in/model {G} in/labels.csv --out in/model": ["in/model"],
    "finetune timm:resnet0 {G} in/labels.csv --out out/t": ["resnet0"],
    # export
    "export in/absent out/x": ["in/absent"],
    "export in/model in/model": ["in/model"],
    "export in/model in/folder": ["in/folder"],
    "export in/model in/notes.txt/x": ["in/notes.txt"],
    "export in/cut out/x": ["in/cut"],
    "export timm:resnet0 out/x": ["resnet0"],
    "export in/model out/x --push noslash": ["noslash"],
}  # fmt: skip


def listing(folder):
    """Files and their sizes, without the copies of images that are made once for good."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    found = {str(path.relative_to(folder)): path.stat().st_size for path in files}
    return {name: size for name, size in found.items() if ".arrow/" not in name}


@pytest.mark.parametrize("command", CASES)
def test_one_sentence_and_nothing_left(command, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(place.parent)
    shutil.rmtree("out", ignore_errors=True)
    before = listing(place)
    words = command.replace("{G}", G).replace("{V}", V).split()
    status, out, err = hoag(capsys, *words)
    last = err.strip().splitlines()[-1] if err.strip() else ""
    assert status in (1, 2), (status, out, err)
    assert last.startswith("hoag: ") and "Traceback" not in err, err
    for word in CASES[command]:
        assert word in last, last
    assert listing(place) == before
    assert not listing(place.parent / "out")


WRITERS = [
    "predict in/model {G} out/p.parquet --campaign gz2",
    "predict in/model {G} out/p.csv --campaign gz2",
    "predict in/model {G} out/p.fits --campaign gz2",
    "predict in/model {G} out/p.vot --campaign gz2",
    "embed in/model {G} --out out/e.parquet",
    "search {V} --examples in/labels.csv --out out/s.vot",
    "map {V} out/m",
    "export in/model out/x",
]


@pytest.fixture
def little_room(place):
    """Let no file grow beyond two kilobytes, as on a disk that is full."""
    library.open(place / "galaxies.parquet").prepare()  # whose copy of the images needs more
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("command", WRITERS)
def test_a_full_disk_is_said_and_nothing_half_written(
    command, place, little_room, monkeypatch, capsys
):
    monkeypatch.chdir(place.parent)
    shutil.rmtree("out", ignore_errors=True)
    status, _, err = hoag(capsys, *command.replace("{G}", G).replace("{V}", V).split())
    last = err.strip().splitlines()[-1]
    assert status == 2 and last.startswith("hoag: out/") and "Traceback" not in err, err
    assert "File too large" in last, last
    assert not listing(place.parent / "out")


@pytest.mark.parametrize("verb", ["predict in/model {G} {out}", "embed in/model {G} --out {out}"])
def test_a_place_nobody_may_write_to_is_said(verb, place, monkeypatch, capsys):
    if not Path("/proc").is_dir():
        pytest.skip("no /proc here, where not even root may write")
    monkeypatch.chdir(place.parent)
    words = verb.replace("{G}", G).replace("{out}", "/proc/hoag/out.parquet").split()
    status, _, err = hoag(capsys, *words)
    last = err.strip().splitlines()[-1]
    assert status == 2 and last.startswith("hoag: /proc/hoag/out.parquet"), err
    assert "Traceback" not in err


def test_an_output_never_replaces_a_folder(place, tmp_path):
    table = read_table(place / "labels.csv")
    (tmp_path / "kept.csv").mkdir()
    (tmp_path / "kept.csv" / "work").write_text("of years")
    with pytest.raises(HoagError, match="is a folder, which no file replaces"):
        write_table(table, tmp_path / "kept.csv")
    assert (tmp_path / "kept.csv" / "work").read_text() == "of years"

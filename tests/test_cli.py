"""The command line as a user meets it: help, verbs on small real work, bad input."""

import csv
import json
import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from hoag.cli import main

from .conftest import TINY


def hoag(capsys, *arguments):
    """Run a command in this process; gives its exit status, output and messages."""
    capsys.readouterr()
    try:
        main([str(argument) for argument in arguments])
        status = 0
    except SystemExit as stop:
        status = stop.code or 0
    said = capsys.readouterr()
    return status, said.out, said.err


TINY_OPTIONS = [
    f"{name}={value}"
    for name, value in TINY.items()
    if name not in ("encoder.options", "encoder.name", "training.precision")
] + [
    "encoder.name=resnet18",
    "encoder.options={channels = [4, 8, 8, 16]}",
    "training.precision=32-true",
]


@pytest.fixture(scope="module")
def run(simulated, tmp_path_factory):
    out = tmp_path_factory.mktemp("cli") / "run"
    arguments = ["train", "paper/hybrid", str(simulated), *TINY_OPTIONS]
    with pytest.raises(SystemExit) as stop:
        main([*arguments, "--out", str(out), "--device", "cpu"])
    assert not stop.value.code
    return out


def test_help_names_every_verb(capsys):
    status, out, _ = hoag(capsys, "--help")
    assert status == 0
    for verb in (
        "demo",
        "reproduce",
        "simulate",
        "train",
        "embed",
        "probe",
        "schema",
        "doctor",
        "cite",
    ):
        assert f" {verb} " in out


@pytest.mark.parametrize(
    "verb", ["demo", "reproduce", "simulate", "train", "embed", "probe", "doctor", "cite", "recipe"]
)
def test_every_verb_has_help(verb, capsys):
    status, out, _ = hoag(capsys, verb, "--help")
    assert status == 0 and f"hoag {verb}" in out


def test_help_imports_nothing_heavy():
    code = (
        "import sys\nfrom hoag.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'numpy', 'astropy', 'pandas', 'pyarrow', 'matplotlib', 'sklearn'}\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_version(capsys):
    from hoag import __version__

    status, out, _ = hoag(capsys, "--version")
    assert (status, out.strip()) == (0, __version__)


def test_schema_show_draws_the_tree(capsys):
    _, out, _ = hoag(capsys, "schema", "show", "gz2")
    assert "smooth-or-featured" in out and "spiral-arm-count" in out


def test_recipe_show_prints_what_train_takes(capsys, tmp_path):
    from hoag.recipe import load_recipe

    _, out, _ = hoag(capsys, "recipe", "show", "paper/hybrid", "seed=4")
    path = tmp_path / "mine.toml"
    path.write_text(out)
    assert load_recipe(path) == load_recipe("paper/hybrid", ["seed=4"])


def test_doctor_and_cite_answer(capsys):
    status, out, _ = hoag(capsys, "doctor")
    assert status == 0 and "torch" in out
    status, out, _ = hoag(capsys, "cite", "gz2", "--style", "bibtex")
    assert status == 0 and "@" in out


def test_train_embed_probe(run, simulated, capsys, tmp_path):
    table = tmp_path / "rings.parquet"
    status, out, _ = hoag(capsys, "embed", run, simulated / "rings.parquet", "--out", table)
    assert (status, out.strip()) == (0, str(table))
    assert pq.read_table(table).num_rows == 160
    status, out, err = hoag(
        capsys, "probe", table, simulated / "rings.parquet", "--label", "ring", "--sizes", 20, 40,
        "--subsets", 3, "--out", tmp_path / "probe",
    )  # fmt: skip
    assert status == 0 and "kept for --final" in err
    with (tmp_path / "probe" / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["size"] for row in rows] == ["20", "40"]
    record = json.loads((tmp_path / "probe" / "curve.json").read_text())
    assert record["stamp"]["hoag"] and record["stamp"]["seed"] == 0
    assert record["paired"] == []  # nothing to compare with
    assert (tmp_path / "probe" / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_probe_final_scores_the_test_half_only_when_told(run, simulated, capsys, tmp_path):
    from hoag.splits import half_names

    table = tmp_path / "rings.parquet"
    hoag(capsys, "embed", run, simulated / "rings.parquet", "--out", table)
    rings = pq.read_table(simulated / "rings.parquet", columns=["id_str"])["id_str"].to_pylist()
    closed = int((half_names(rings) == "test").sum())
    arguments = [
        "probe",
        table,
        simulated / "rings.parquet",
        "--label",
        "ring",
        "--sizes",
        40,
        "--subsets",
        2,
    ]
    status, _, err = hoag(capsys, *arguments, "--final")
    assert status == 0 and f"{closed} kept for --final" in err


def test_other_peoples_embeddings_join_the_benchmark(run, simulated, capsys, tmp_path):
    ours = tmp_path / "ours.parquet"
    hoag(capsys, "embed", run, simulated / "rings.parquet", "--out", ours)
    ids = pq.read_table(ours)["id_str"].to_pylist()
    theirs = tmp_path / "theirs.csv"
    theirs.write_text("id_str,a,b\n" + "".join(f"{n},{i % 7},{i % 5}\n" for i, n in enumerate(ids)))
    status, out, _ = hoag(
        capsys, "probe", ours, simulated / "rings.parquet", theirs, "--label", "ring", "--sizes",
        40, "--subsets", 2,
    )  # fmt: skip
    assert status == 0 and "ours" in out and "theirs" in out


BAD = [
    (["train", "paper/hybird", "x", "--out", "r"], "paper/hybird: no such recipe"),
    (["train", "paper/hybrid", "nowhere", "--out", "r"], "nowhere"),
    (["train", "paper/hybrid", "{sim}", "batch.sise=3", "--out", "r"], "did you mean 'size'"),
    (["train", "paper/hybrid", "{sim}", "encoder.name=resnet81", "--out", "r"], "resnet81"),
    (
        ["train", "paper/direct", "{sim}/rings.parquet", "labels.column=rign", "--out", "r"],
        "'rign' is no column",
    ),
    (["train", "paper/hybrid", "{sim}", "--out", "r", "--device", "tpu"], "device"),
    (["train"], "requires an argument"),
    (["embed", "{sim}", "{sim}/rings.parquet", "--out", "r.parquet"], "holds no recipe.toml"),
    (["probe", "nowhere.parquet", "{sim}/rings.parquet"], "nowhere.parquet: no such file"),
    (["probe", "{sim}/rings.parquet", "{sim}/rings.parquet"], "rings.parquet"),
    (["reproduce", "nowhere"], "nowhere"),
    (["reproduce", "{sim}", "--protocol", "tyni"], "tyni: no such protocol"),
    (["demo", "--scale", "0"], "--scale 0"),
    (["simulate", "r", "--galaxies", "-1"], "galaxies"),
    (["schema", "show", "gz3"], "gz3"),
    (["cite", "gz3"], "gz3"),
    (["recipe", "show", "paper/hybrid", "seed"], "key=value"),
    (["dmeo"], "Did you mean"),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_gives_one_sentence_and_status_2(
    arguments, said, simulated, capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    filled = [argument.replace("{sim}", str(simulated)) for argument in arguments]
    status, out, err = hoag(capsys, *filled)
    assert status == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith("hoag: ") and said in last
    assert "Traceback" not in err
    assert list(tmp_path.iterdir()) == []


def test_probe_takes_the_halves_of_a_folder(run, simulated, capsys, tmp_path):
    from hoag.roles import read_roles
    from hoag.tasks import load_tasks

    table = tmp_path / "rings.parquet"
    hoag(capsys, "embed", run, simulated / "rings.parquet", "--out", table)
    again = tmp_path / "rings@1.parquet"  # a second pretraining seed of the same arm
    same = tmp_path / "same.parquet"
    for copy in (again, same):
        copy.write_bytes(table.read_bytes())
    status, _, err = hoag(
        capsys, "probe", table, simulated, again, same, "--sizes", 40, "--subsets", 2, "--out",
        tmp_path / "probe",
    )  # fmt: skip
    (task,) = load_tasks(read_roles(simulated))
    assert status == 0
    assert f"{len(task.open_rows)} labels are open, {len(task.closed_rows)} kept" in err
    record = json.loads((tmp_path / "probe" / "curve.json").read_text())
    assert [row["runs"] for row in record["curve"]] == [2, 1]
    [row] = record["paired"]
    assert (row["a"], row["b"], row["size"], row["difference"]) == ("same", "rings", 40, 0)
    assert record["stamp"]["schema_hash"] == record["embeddings"]["rings"]["schema_hash"]
    status, _, err = hoag(capsys, "probe", table, simulated, "--task", "bars")
    assert status == 2 and "no downstream task 'bars'" in err

"""A whole set has no problems; a set damaged in one place says which, and what."""

import hashlib
import json
import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hoag.data import verify_shards
from hoag.data.shards import CONTENT_KEY, add_to_digest
from hoag.data.verify import verify
from hoag.errors import HoagError
from hoag.schema import load_schema
from hoag.splits import half_names

from .made_built import make_built
from .made_sources import jpeg


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return make_built(tmp_path_factory.mktemp("set"))


@pytest.fixture
def built(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "evo")


def shard(folder, table="labelled"):
    return next((folder / "data").glob(f"{table}-*.parquet"))


def rewrite(path, change, *, content=True):
    """Change a table and write it again, with the content hash it had or one that fits."""
    old = pq.ParquetFile(path)
    table = change(old.read())
    said = (old.metadata.metadata or {}).get(CONTENT_KEY.encode())
    with pq.ParquetWriter(path, table.schema) as writer:
        writer.write_table(table, row_group_size=512)
        if said is not None and content:
            digest = hashlib.blake2b(digest_size=16)
            answers = [n for n in load_schema("gz-evo").columns if n in table.column_names]
            for start in range(0, table.num_rows, 512):
                add_to_digest(digest, table.slice(start, 512).combine_chunks(), answers)
            said = digest.hexdigest().encode()
        if said is not None:
            writer.add_key_value_metadata({CONTENT_KEY: said.decode()})


def replaced(table, name, row, value):
    values = table[name].to_pylist()
    values[row] = value
    place = table.column_names.index(name)
    return table.set_column(place, table.schema.field(name), pa.array(values, table[name].type))


def edit_record(folder, change):
    record = json.loads((folder / "build.json").read_text())
    change(record)
    (folder / "build.json").write_text(json.dumps(record))


def in_shard(name, row, value, table="labelled"):
    def change(folder):
        rewrite(
            shard(folder, table), lambda t: replaced(t, name, row, value), content=value is not None
        )

    return change


def in_table(file, name, row, value):
    return lambda folder: rewrite(folder / file, lambda t: replaced(t, name, row, value))


def in_record(change):
    return lambda folder: edit_record(folder, change)


def cut(path, share=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def flip_a_vote_and_back(folder):
    """Move a vote between galaxies: sums and layout stay, the content does not."""

    def change(table):
        name = "bar-gz2_no"
        votes = table[name].to_pylist()
        table = replaced(table, name, 0, votes[0] + 1)
        return replaced(table, name, 1, votes[1] - 1)

    rewrite(shard(folder), change, content=False)


def leak(folder):
    """Give a training galaxy the group of one that the task is tested on."""
    labels = pq.read_table(folder / "labels" / "rings.parquet")["id_str"].to_pylist()
    groups = pq.read_table(shard(folder, "downstream"), columns=["id_str", "group"]).to_pylist()
    tested = next(row["group"] for row in groups if row["id_str"] in labels)
    assert half_names([tested])[0] in ("train", "test")
    in_shard("group", 5, tested)(folder)


def image(content):
    return {"bytes": content, "path": "x.jpg"}


DAMAGES = {
    "a shard is gone": (lambda f: shard(f).unlink(), "labelled-00000-of-00001.*missing"),
    "a shard is cut short": (lambda f: cut(shard(f)), "cannot be read as Parquet"),
    "a shard too many": (
        lambda f: shutil.copy(shard(f), f / "data" / "labelled-00007-of-00009.parquet"),
        "00007-of-00009.*no shard of this set"),
    "a vote moved": (flip_a_vote_and_back, "its content is not what was built"),
    "a vote changed": (in_shard("bar-gz2_no", 0, 9), "'bar-gz2_no' has .* votes, but build.json"),
    "a negative vote": (in_shard("bar-gz2_no", 2, -1), "'bar-gz2_no', row 2: -1 is negative"),
    "a missing vote": (in_shard("bar-gz2_no", 3, None), "'bar-gz2_no', row 3: is missing"),
    "a missing id": (in_shard("id_str", 3, None), "'id_str', row 3: is missing"),
    "a missing group": (in_shard("group", 4, None), "'group', row 4: is missing"),
    "an id twice": (
        in_shard("id_str", 0, "J00120", "unlabelled"),
        "galaxy 'J00120' is in unlabelled and in unlabelled",
    ),
    "a column is gone": (
        lambda f: rewrite(shard(f), lambda t: t.drop_columns(["survey"])), "no column .*survey"),
    "a column of another type": (
        lambda f: rewrite(shard(f), lambda t: t.set_column(
            t.column_names.index("bar-gz2_no"), "bar-gz2_no", t["bar-gz2_no"].cast("int64"))),
        "'bar-gz2_no' is int64, not int32"),
    "votes among the unlabelled": (
        lambda f: rewrite(shard(f, "unlabelled"), lambda t: t.append_column(
            "bar-gz2_no", pa.array(np.ones(t.num_rows), pa.int32()))),
        "'bar-gz2_no'.* among galaxies that are to have none"),
    "a galaxy is gone": (
        lambda f: rewrite(shard(f, "unlabelled"), lambda t: t.slice(1)),
        "table unlabelled has .* galaxies, but build.json says"),
    "no hash of the content": (
        lambda f: pq.write_table(pq.read_table(shard(f)).replace_schema_metadata(None), shard(f)),
        "no hash of its content"),
    "an image is empty": (
        in_shard("image", 0, image(b"")), "galaxy 'J0.*empty"),
    "an image is cut short": (in_shard("image", 0, image(jpeg(1)[:300])), "galaxy 'J0.*cut short"),
    "an image of another size": (
        in_shard("image", 0, image(jpeg(1, 80))), "80 x 80 px, not 64"),
    "rows in": (
        in_record(lambda r: r["rows"].update({"in": 3})), "build.json says 3 rows in"),
    "votes in the record": (
        in_record(lambda r: r["campaigns"]["gz2"].update(votes=7)), "campaign gz2 has .* says 7"),
    "a campaign is gone from the record": (
        in_record(lambda r: r["campaigns"].pop("dr5")), "votes that build.json knows nothing of"),
    "set aside by another source": (
        in_table("set-aside.parquet", "source", 0, "gz2"), "source gz2 had 1 rows set_aside"),
    "merged into nobody": (
        in_table("merged.parquet", "into", 0, "nobody"), "'nobody', which is no galaxy here"),
    "a pair with nobody": (
        in_table("near-duplicates.parquet", "id_str_2", 0, "nobody"), "'nobody' is no galaxy here"),
    "set-aside is gone": (lambda f: (f / "set-aside.parquet").unlink(), "set-aside.*missing"),
    "merged is cut short": (lambda f: cut(f / "merged.parquet"), "merged.*cannot be read"),
    "near-duplicates lack a column": (
        lambda f: rewrite(f / "near-duplicates.parquet", lambda t: t.drop_columns(["zoom"])),
        "has no 'zoom'"),
    "a label of nobody": (
        in_table("labels/rings.parquet", "id_str", 0, "nobody"), "'nobody' has a label but"),
    "a label is gone": (
        lambda f: rewrite(f / "labels" / "rings.parquet", lambda t: t.slice(1)),
        "37 labels, but build.json says 38"),
    "labels are gone": (lambda f: (f / "labels" / "rings.parquet").unlink(), "labels/rings"),
    "a leak": (leak, "1 galaxies of table labelled are in groups that task 'rings' is tested on"),
    "the card is gone": (lambda f: (f / "README.md").unlink(), "no README.md"),
    "an old Arrow copy": (
        lambda f: (shard(f).with_suffix(".arrow") / "source.json").write_text("{}"),
        "not the copy of labelled"),
    "the roles are gone": (lambda f: (f / "dataset.toml").unlink(), "dataset.toml"),
}  # fmt: skip


def test_a_whole_set_has_no_problems(whole):
    assert verify(whole) == []
    assert verify(whole, full=True) == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named(built, damage):
    change, said = DAMAGES[damage]
    change(built)
    problems = verify(built, full=True)
    assert any(re.search(said, problem) for problem in problems), problems
    assert all("\n" not in problem and len(problem) < 400 for problem in problems)


@pytest.mark.parametrize("part", ["rows", "tables", "sources", "campaigns", "tasks"])
@pytest.mark.parametrize("content", [None, 3, "x", [1], {}])
def test_a_record_that_makes_no_sense_is_refused(built, part, content):
    edit_record(built, lambda record: record.update({part: content}))
    if content == {} and part == "campaigns":
        assert any("knows nothing of" in problem for problem in verify(built))
        return
    with pytest.raises(HoagError, match=r"build\.json"):
        verify(built)


def test_a_sample_of_images_is_decoded_unless_all_are_asked_for(built, monkeypatch):
    in_shard("image", 0, image(jpeg(1, 80)))(built)
    monkeypatch.setattr(verify_shards, "SAMPLE", 0.0)
    assert not any("px" in problem for problem in verify(built))
    assert any("px" in problem for problem in verify(built, full=True))


def test_no_set_is_said(tmp_path):
    with pytest.raises(HoagError, match="not a built set"):
        verify(tmp_path)

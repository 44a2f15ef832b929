"""Data sets fetched from and uploaded to a Hub on this machine, by name, id and URL."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

import pytest

import hoag
from hoag import HoagError
from hoag.data.getting import get
from hoag.data.patience import Patience
from hoag.data.pushing import push
from hoag.writing import write_galaxies
from tests.local_server import Fault, LocalHub
from tests.made_galaxies import rows

QUICK = Patience(tries=3, wait=0.01, timeout=5.0)
DATA = [
    "data/test-00000-of-00001.parquet",
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
]
CARD = "---\nlicense: cc-by-nc-sa-4.0\n---\n# Made galaxies\n"


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path_factory):
    """No proxy, no token of this machine's user, no setting of the Hub from outside."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    from huggingface_hub import constants

    nothing = tmp_path_factory.mktemp("home")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(nothing / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A set in the Hub's layout: two shards, a test shard, a card."""
    folder = tmp_path_factory.mktemp("made")
    for n, path in enumerate(DATA):
        write_galaxies(rows(n * 8, n * 8 + 8), folder / path)
    write_galaxies(rows(0, 4), folder / "tiny" / "train-00000-of-00001.parquet")
    (folder / "README.md").write_text(CARD)
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    return folder


@pytest.fixture
def hub(made):
    with LocalHub() as one:
        one.add("mwalmsley/gz_evo", made)
        one.add("me/own", made)
        yield one


def fetch(hub, name, out, **how):
    return get(name, out, endpoint=hub.url, patience=QUICK, **how)


def same_files(one, other, paths):
    return all((one / path).read_bytes() == (other / path).read_bytes() for path in paths)


def test_a_named_set_comes_with_licence_and_citation(hub, made, tmp_path, capsys):
    out = fetch(hub, "gz_evo", tmp_path / "evo")
    assert out == tmp_path / "evo"
    assert same_files(out, made, [*DATA, "README.md"])
    assert not (out / "tiny").exists()
    said = capsys.readouterr().err
    assert "gz_evo: 4 files" in said
    assert "licence: cc-by-nc-sa-4.0" in said
    assert "please cite: Walmsley et al. (2024). Scaling Laws" in said
    source = (out / "SOURCE.md").read_text()
    assert f"- source: {hub.url}/datasets/mwalmsley/gz_evo\n" in source
    assert f"- revision: {hub.repos['mwalmsley/gz_evo'].ids[0]}\n" in source
    assert "arXiv:2404.02973" in source
    for path in DATA:
        sha256 = hashlib.sha256((made / path).read_bytes()).hexdigest()
        assert re.search(rf"\| {path} \| \d+ \| {sha256} \| sha256 \|", source)
    assert "| README.md |" in source and "| Git checksum |" in source


def test_what_was_fetched_opens_in_hoag_and_in_datasets(hub, made, tmp_path):
    out = fetch(hub, "gz_evo", tmp_path / "evo")
    galaxies = hoag.open(out)
    assert len(galaxies) == 24
    assert sorted(galaxies.table["id_str"].to_pylist()) == [f"{n:04d}" for n in range(24)]
    from datasets import load_dataset

    loaded = load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(loaded[split]) for split in loaded} == {"train": 16, "test": 8}
    assert loaded["train"][0]["image"].size == (48, 48)


def test_a_subset_lies_in_its_folder(hub, made, tmp_path):
    out = fetch(hub, "gz_evo_tiny", tmp_path / "evo")
    assert out == tmp_path / "evo" / "tiny"
    assert len(hoag.open(out)) == 4


def test_a_set_that_has_no_name_comes_by_its_id(hub, made, tmp_path):
    out = fetch(hub, "me/own", tmp_path / "own")
    assert same_files(out, made, [*DATA, "README.md", "tiny/train-00000-of-00001.parquet"])
    assert "- licence: cc-by-nc-sa-4.0" in (out / "SOURCE.md").read_text()
    assert not (out / ".gitattributes").exists()


def test_nothing_else_is_asked_of_anybody(hub, tmp_path):
    fetch(hub, "me/own", tmp_path / "own")
    known = re.compile(r"/api/datasets/me/own|/datasets/me/own/resolve/\w{40}/.+|/large/\w{64}")
    assert all(known.fullmatch(one.path) for one in hub.asked)
    assert {one.method for one in hub.asked} == {"GET"}


def test_a_finished_set_is_not_fetched_again(hub, tmp_path, capsys):
    fetch(hub, "gz_evo", tmp_path / "evo")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "evo").rglob("*.parquet")}
    source = (tmp_path / "evo" / "SOURCE.md").read_bytes()
    hub.asked.clear()
    fetch(hub, "gz_evo", tmp_path / "evo")
    assert [one.path for one in hub.asked] == ["/api/datasets/mwalmsley/gz_evo"]
    assert "gz_evo is there already" in capsys.readouterr().err
    assert before == {p: p.stat().st_mtime_ns for p in before}
    assert (tmp_path / "evo" / "SOURCE.md").read_bytes() == source


def large(made, path=DATA[1]):
    return "/large/" + hashlib.sha256((made / path).read_bytes()).hexdigest()


def test_an_interrupted_set_goes_on(hub, made, tmp_path):
    hub.faults[large(made)].extend([Fault(cut=5000), *[Fault(cut=0)] * 2])
    with pytest.raises(HoagError, match="train-00000-of-00002.parquet: .* given up after 3 tries"):
        fetch(hub, "gz_evo", tmp_path / "evo")
    assert not (tmp_path / "evo" / "SOURCE.md").exists()
    assert (tmp_path / "evo" / DATA[0]).exists()
    hub.asked.clear()
    fetch(hub, "gz_evo", tmp_path / "evo")
    assert same_files(tmp_path / "evo", made, DATA)
    assert hub.ranges(large(made)) == ["bytes=5000-"]
    assert hub.ranges(large(made, DATA[0])) == []


def test_faults_of_the_hub_that_pass_are_no_matter(hub, made, tmp_path):
    hub.faults["/api/datasets/mwalmsley/gz_evo"].extend(
        [Fault(429, {"retry-after": "0"}), Fault(503)]
    )
    hub.faults[large(made)].extend([Fault(503), Fault(cut=10, reset=True)])
    fetch(hub, "gz_evo", tmp_path / "evo")
    assert same_files(tmp_path / "evo", made, DATA)


def test_damaged_content_never_takes_its_place(hub, made, tmp_path):
    commit = hub.repos["mwalmsley/gz_evo"].ids[0]
    path = f"/datasets/mwalmsley/gz_evo/resolve/{commit}/{DATA[1]}"
    content = (made / DATA[1]).read_bytes()
    hub.put(path, content[:-1] + b"x")
    with pytest.raises(HoagError, match="its sha256 is .* so it was deleted"):
        fetch(hub, "gz_evo", tmp_path / "evo")
    assert not list((tmp_path / "evo").rglob("*00000-of-00002*"))


def test_a_file_that_lost_bytes_on_disk_is_fetched_again(hub, made, tmp_path, capsys):
    out = fetch(hub, "gz_evo", tmp_path / "evo")
    (out / DATA[2]).write_bytes(b"PAR1")
    hub.asked.clear()
    fetch(hub, "gz_evo", out)
    assert f"{DATA[2]}: differs from what is wanted" in capsys.readouterr().err
    assert same_files(out, made, DATA)
    assert sum(one.path.startswith("/large/") for one in hub.asked) == 1


def test_of_a_newer_revision_only_what_changed_is_fetched(hub, made, tmp_path):
    out = fetch(hub, "gz_evo", tmp_path / "evo")
    repo = hub.repos["mwalmsley/gz_evo"]
    newer = dict(repo.commits[0]) | {DATA[0]: repo.commits[0][DATA[1]]}
    repo.commits.append(newer)
    hub.asked.clear()
    fetch(hub, "gz_evo", out)
    assert sum("/resolve/" in one.path for one in hub.asked) == 1
    assert (out / DATA[0]).read_bytes() == newer[DATA[0]]
    assert repo.ids[1] in (out / "SOURCE.md").read_text()


def test_two_revisions_are_never_mixed(hub, tmp_path):
    out = fetch(hub, "gz_evo", tmp_path / "evo")
    repo = hub.repos["mwalmsley/gz_evo"]
    newer = {path: content for path, content in repo.commits[0].items() if path != DATA[2]}
    repo.commits.append(newer)
    with pytest.raises(HoagError, match="has 'data/train-00001-of-00002.parquet' of revision"):
        fetch(hub, "gz_evo", out)
    fetch(hub, "gz_evo", out, revision=repo.ids[0])
    fetch(hub, "gz_evo", tmp_path / "newer")
    assert not (tmp_path / "newer" / DATA[2]).exists()


def test_some_files_then_the_others(hub, made, tmp_path):
    out = fetch(hub, "gz_evo", tmp_path / "evo", files=["data/test-*"])
    assert [p.name for p in (out / "data").iterdir()] == ["test-00000-of-00001.parquet"]
    fetch(hub, "gz_evo", out)
    assert same_files(out, made, DATA)
    with pytest.raises(HoagError, match=r"no file matches 'data/val\*'; it has .*'README.md'"):
        fetch(hub, "gz_evo", out, files=["data/val*"])


@pytest.mark.parametrize(
    ("how", "token", "words"),
    [
        ({"gated": True}, None, "is gated; ask for access at .*/datasets/me/own, then log in"),
        ({"private": True}, None, "not on http.*, or private; .* log in with `hf auth login`"),
        ({}, "hf_wrong", "the token is not accepted; make one at .*/settings/tokens"),
    ],
    ids=["gated", "private", "wrong token"],
)  # fmt: skip
def test_what_is_not_for_everybody_is_said_with_what_to_do(hub, made, tmp_path, how, token, words):
    hub.add("me/own", made, **how)
    with pytest.raises(HoagError, match=words):
        fetch(hub, "me/own", tmp_path / "own", token=token)
    assert not list((tmp_path / "own").rglob("*.parquet")) if (tmp_path / "own").exists() else True
    assert len(fetch(hub, "me/own", tmp_path / "own", token="hf_reader").name) > 0
    assert same_files(tmp_path / "own", made, DATA)


def test_the_environment_says_which_hub_and_who_asks(hub, made, tmp_path):
    # In a process of its own, because huggingface_hub reads the environment once.
    hub.add("me/own", made, private=True)
    code = f"from hoag.data.getting import get; print(get('me/own', {str(tmp_path / 'own')!r}))"
    surroundings = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_reader", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | surroundings, capture_output=True, text=True
    )
    assert done.stdout == f"{tmp_path / 'own'}\n", done.stderr
    assert same_files(tmp_path / "own", made, DATA)
    assert {one.headers["authorization"] for one in hub.asked} == {"Bearer hf_reader"}


def test_a_set_that_is_missing_is_said_with_what_is_known_about_it(hub, tmp_path):
    with pytest.raises(HoagError, match=r"gz_decals_5: not on .* \(No such set was seen"):
        fetch(hub, "gz_decals_5", tmp_path / "x")
    with pytest.raises(HoagError, match="check that your account may see it"):
        fetch(hub, "me/nothing", tmp_path / "x", token="hf_reader")
    assert not (tmp_path / "x").exists()


def test_files_of_two_times_are_of_one_revision(hub, made, tmp_path):
    out = fetch(hub, "gz_evo", tmp_path / "evo", files=["data/test-*"])
    repo = hub.repos["mwalmsley/gz_evo"]
    repo.commits.append(dict(repo.commits[0]) | {DATA[0]: repo.commits[0][DATA[1]]})
    fetch(hub, "gz_evo", out, files=["data/train-*"])
    assert {path: (out / path).read_bytes() for path in DATA} == {
        path: repo.commits[1][path] for path in DATA
    }
    assert json.loads((out / "download.json").read_text())["revision"] == repo.ids[1]


@pytest.mark.parametrize("answer", [b"<html>please log in</html>", b"{}", b""])
def test_a_network_that_answers_in_the_hubs_place(hub, tmp_path, answer):
    hub.put("/api/datasets/me/own", answer)
    with pytest.raises(HoagError, match="does not answer as a Hub does; check the address"):
        fetch(hub, "me/own", tmp_path / "x")


def test_a_set_that_is_empty(hub, tmp_path):
    hub.add("me/empty", files={".gitattributes": b""})
    with pytest.raises(HoagError, match="me/empty: has no files yet"):
        fetch(hub, "me/empty", tmp_path / "x")


def test_huggingface_hub_itself_fetches_the_same(hub, made, tmp_path, monkeypatch):
    # The library's own download of the same server: what the tests call a Hub is one.
    from huggingface_hub import constants, snapshot_download

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    hub.cdn = hub.elsewhere  # it takes answers of another host for a CDN's
    snapshot_download(
        "me/own", repo_type="dataset", local_dir=tmp_path / "theirs", endpoint=hub.url,
        token=False, cache_dir=tmp_path / "cache", max_workers=1,
    )  # fmt: skip
    hub.cdn = None
    out = fetch(hub, "me/own", tmp_path / "ours")
    paths = [path for path in hub.repos["me/own"].commits[0] if path != ".gitattributes"]
    assert same_files(out, tmp_path / "theirs", paths)


def test_a_revision_that_is_missing(hub, tmp_path):
    with pytest.raises(HoagError, match="no revision 'v9'; leave it out for the newest"):
        fetch(hub, "gz_evo", tmp_path / "x", revision="v9")


def test_a_cdn_that_the_registry_does_not_name_is_refused(hub, tmp_path):
    hub.cdn = hub.elsewhere
    with pytest.raises(HoagError, match=r"redirects to another host, localhost:\d+"):
        fetch(hub, "gz_evo", tmp_path / "x")


@pytest.mark.parametrize("how", ["offline", "gone"])
def test_without_a_network_what_is_there_is_enough(made, tmp_path, monkeypatch, capsys, how):
    from huggingface_hub import constants

    with LocalHub() as hub:
        hub.add("mwalmsley/gz_evo", made)
        fetch(hub, "gz_evo", tmp_path / "evo")
        if how == "offline":
            monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
            asked = len(hub.asked)
            assert len(hoag.open(fetch(hub, "gz_evo", tmp_path / "evo"))) == 24
            assert len(hub.asked) == asked
    assert len(hoag.open(fetch(hub, "gz_evo", tmp_path / "evo"))) == 24
    assert "the Hub was not asked whether there is a newer one" in capsys.readouterr().err
    words = "HF_HUB_OFFLINE is set" if how == "offline" else "cannot be reached; given up after 3"
    with pytest.raises(HoagError, match=words):
        fetch(hub, "gz_evo", tmp_path / "other")
    for more in ({"files": ["tiny/*"]}, {"revision": "v1"}):
        with pytest.raises(HoagError, match=words):
            fetch(hub, "gz_evo", tmp_path / "evo", **more)
    (tmp_path / "evo" / DATA[0]).unlink()
    with pytest.raises(HoagError, match=words):
        fetch(hub, "gz_evo", tmp_path / "evo")


def test_a_file_by_its_address(hub, tmp_path, capsys):
    url = hub.put("/tables/votes.csv", b"id_str,votes\na,1\n")
    sha256 = hashlib.sha256(b"id_str,votes\na,1\n").hexdigest()
    out = get(url, tmp_path / "a", patience=QUICK)
    assert (out / "votes.csv").read_bytes() == b"id_str,votes\na,1\n"
    assert f"its sha256 is {sha256}" in capsys.readouterr().err
    assert f"| votes.csv | 17 | {sha256} | nothing |" in (out / "SOURCE.md").read_text()
    asked = len(hub.asked)
    get(url, out, patience=QUICK)
    assert len(hub.asked) == asked
    get(url, tmp_path / "b", sha256=sha256.upper(), patience=QUICK)
    assert f"| {sha256} | sha256 |" in (tmp_path / "b" / "SOURCE.md").read_text()
    with pytest.raises(HoagError, match="its sha256 is"):
        get(url, tmp_path / "c", sha256="0" * 64, patience=QUICK)


@pytest.mark.parametrize(
    ("name", "how", "words"),
    [
        ("gz_ev", {}, "no data set of that name; did you mean 'gz_evo'?"),
        ("something", {}, "`hoag data get --list` shows them"),
        ("a/b/c", {}, "no data set of that name"),
        ("gz_evo", {"sha256": "0" * 64}, "sha256 is for a file by URL"),
        ("https://example.org/a.csv", {"sha256": "12"}, "64 hexadecimal digits"),
        ("https://example.org/", {}, "names no file"),
        ("https://[x/a.csv", {}, "names no file"),
        ("https:///a.csv", {}, "names no file"),
        ("http://example.org/a.csv", {}, "http may be changed on its way"),
        ("https://example.org/a.csv", {"revision": "v1"}, "so leave out 'revision'"),
        ("https://example.org/a.csv", {"token": "hf_x"}, "so leave out 'token'"),
        ("https://example.org/a.csv", {"files": ["b*"]}, "no file matches 'b*'; it has 'a.csv'"),
    ],
)  # fmt: skip
def test_names_that_stand_for_nothing(tmp_path, name, how, words):
    with pytest.raises(HoagError, match=re.escape(words)):
        get(name, tmp_path / "x", patience=QUICK, **how)
    assert not (tmp_path / "x").exists()


def test_a_folder_has_the_file_of_one_address(hub, tmp_path):
    out = get(hub.put("/a/votes.csv", b"a"), tmp_path / "x", patience=QUICK)
    with pytest.raises(HoagError, match="has 'votes.csv' of http.*/a/votes.csv; choose another"):
        get(hub.put("/b/votes.csv", b"b"), out, patience=QUICK)
    assert (out / "votes.csv").read_bytes() == b"a"


def test_a_folder_has_one_data_set(hub, tmp_path):
    fetch(hub, "gz_evo", tmp_path / "evo", files=["README.md"])
    with pytest.raises(HoagError, match="has 'gz_evo' of .*; choose another folder for 'me/own'"):
        fetch(hub, "me/own", tmp_path / "evo")
    (tmp_path / "file").write_text("")
    with pytest.raises(HoagError, match="is a file; choose a folder"):
        fetch(hub, "me/own", tmp_path / "file")


# Uploads


@pytest.fixture
def built(tmp_path):
    """A built set with what belongs to it and what does not."""
    folder = tmp_path / "evo"
    for n, name in enumerate(("labelled-00000-of-00002", "labelled-00001-of-00002")):
        write_galaxies(rows(n * 8, n * 8 + 8), folder / "data" / f"{name}.parquet")
    for name in ("labels/rings", "set-aside", "merged", "near-duplicates"):
        write_galaxies(rows(0, 3), folder / f"{name}.parquet")
    (folder / "data" / "labelled-00000-of-00002.arrow").mkdir()
    (folder / "data" / "labelled-00000-of-00002.arrow" / "data.arrow").write_bytes(b"x")
    (folder / "dataset.toml").write_text('[[pretraining]]\ntable = "data/labelled-*.parquet"\n')
    (folder / "build.json").write_text("{}\n")
    (folder / "README.md").write_text(CARD)
    (folder / "report.html").write_text("<p>")
    return folder


SENT = sorted(
    [
        "README.md", "build.json", "dataset.toml", "labels/rings.parquet", "merged.parquet",
        "data/labelled-00000-of-00002.parquet", "data/labelled-00001-of-00002.parquet",
        "near-duplicates.parquet", "set-aside.parquet",
    ]
)  # fmt: skip


def upload(hub, folder, name="me/evo", token="hf_writer", **how):
    return push(folder, name, endpoint=hub.url, token=token, patience=QUICK, **how)


def test_a_built_set_is_the_same_when_it_is_fetched_again(hub, built, tmp_path, capsys):
    assert upload(hub, built, message="First") == f"{hub.url}/datasets/me/evo"
    assert sorted(hub.repos["me/evo"].commits[-1]) == SENT
    assert hub.repos["me/evo"].private
    assert "9 files, " in capsys.readouterr().err
    out = fetch(hub, "me/evo", tmp_path / "again", token="hf_reader")
    assert same_files(out, built, SENT)
    assert hub.cards == [CARD]
    known = re.compile(r"/api/(repos/create|validate-yaml)|/(upload|large)/.*|.*/datasets/me/evo.*")
    assert all(known.fullmatch(one.path) for one in hub.asked)
    # S3 takes no upload whose size is not said first.
    assert all("content-length" in one.headers for one in hub.asked if one.method == "PUT")


def test_what_is_there_already_is_not_sent_again(hub, built, capsys):
    upload(hub, built)
    hub.asked.clear()
    upload(hub, built)
    assert "0 files, 0 bytes, to send" in capsys.readouterr().err
    assert {one.method for one in hub.asked} == {"GET", "POST"}
    assert len(hub.repos["me/evo"].commits) == 2
    write_galaxies(rows(40, 48), built / "data" / "labelled-00001-of-00002.parquet")
    hub.asked.clear()
    upload(hub, built)
    assert sum(one.method == "PUT" for one in hub.asked) == 1
    assert len(hub.repos["me/evo"].commits) == 3


def test_an_upload_that_broke_off_goes_on(hub, built):
    first, second = (built / "data" / f"labelled-0000{n}-of-00002.parquet" for n in (0, 1))
    path = "/upload/" + hashlib.sha256(second.read_bytes()).hexdigest()
    hub.faults[path].append(Fault(403))
    with pytest.raises(HoagError, match="labelled-00001-of-00002.parquet.*repeat the command"):
        upload(hub, built)
    assert hub.repos["me/evo"].commits == [{}]
    hub.asked.clear()
    upload(hub, built)
    sent = {one.path for one in hub.asked if one.method == "PUT"}
    assert path in sent
    assert "/upload/" + hashlib.sha256(first.read_bytes()).hexdigest() not in sent
    assert sorted(hub.repos["me/evo"].commits[-1]) == SENT


def test_shards_that_the_set_no_longer_has_are_taken_away(hub, built, capsys):
    upload(hub, built)
    hub.repos["me/evo"].commits[-1]["notes.txt"] = b"kept: hoag did not put it there"
    (built / "data" / "labelled-00001-of-00002.parquet").unlink()
    upload(hub, built)
    assert "taken away there: 'data/labelled-00001-of-00002.parquet'" in capsys.readouterr().err
    left = hub.repos["me/evo"].commits[-1]
    assert sorted(left) == sorted([*SENT[:3], *SENT[4:], "notes.txt"])


@pytest.mark.parametrize(
    ("missing", "words"),
    [
        ("build.json", "no build.json, so not a built set"),
        ("README.md", "no README.md, the card of the set"),
        ("data", "no data/*.parquet, so nothing to share"),
    ],
)
def test_a_folder_that_is_no_built_set_is_refused(hub, built, missing, words):
    path = built / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(HoagError, match=re.escape(words)):
        upload(hub, built)
    assert hub.asked == []


def test_uploads_need_a_token_that_may_write(hub, built):
    with pytest.raises(HoagError, match="to upload, log in with `hf auth login` or set HF_TOKEN"):
        upload(hub, built, token=None)
    assert hub.asked == []
    with pytest.raises(HoagError, match="the token does not allow this; make one at"):
        upload(hub, built, token="hf_reader")
    with pytest.raises(HoagError, match="the token is not accepted"):
        upload(hub, built, token="hf_wrong")
    assert "me/evo" not in hub.repos


def test_a_private_set_is_not_put_where_all_can_see_it(hub, built):
    with pytest.raises(HoagError, match="is there already and is public"):
        upload(hub, built, name="me/own")
    upload(hub, built, name="me/own", private=False)
    assert "build.json" in hub.repos["me/own"].commits[-1]


def test_a_card_that_the_hub_refuses(hub, built):
    (built / "README.md").write_text("no metadata\n")
    with pytest.raises(HoagError, match="README.md: the Hub refuses the card: .* no metadata"):
        upload(hub, built)
    assert hub.repos["me/evo"].commits == [{}]


def test_names_of_the_hub_have_a_user(hub, built):
    with pytest.raises(HoagError, match="evo: not an id of the Hub; write user/name"):
        upload(hub, built, name="evo")

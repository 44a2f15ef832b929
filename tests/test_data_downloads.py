"""Downloads from a real server that drops, truncates, refuses, redirects, changes its mind."""

import hashlib
import json
import resource
import shutil
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import numpy as np
import pytest

from hoag import HoagError
from hoag.data.checksums import digests
from hoag.data.downloads import fetch_all, is_current
from hoag.data.parts import RemoteFile
from hoag.data.patience import GaveUp, Patience, asked_to_wait
from hoag.data.streams import Refused, allowed
from tests.local_server import Fault, LocalServer

CONTENT = np.random.default_rng(5).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(tries=3, wait=0.01, timeout=5.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def server():
    with LocalServer() as one:
        yield one


def fetch(url, folder, *, patience=QUICK, own=(), **how):
    return list(
        fetch_all([RemoteFile(url, "votes.csv", **how)], folder, own=own, patience=patience)
    )


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.mark.parametrize("checksum", [f"sha256:{SHA256}", f"md5:{MD5}", f"md5:{MD5.upper()}"])
def test_a_file_whose_checksum_agrees_is_put_in_place(server, tmp_path, checksum):
    [got] = fetch(server.put("/a", CONTENT), tmp_path, checksum=checksum)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT
    assert names(tmp_path) == ["votes.csv"]
    assert (got.size, got.sha256, got.checksum) == (len(CONTENT), SHA256, checksum)


def test_without_a_checksum_it_says_so_and_prints_the_one_found(server, tmp_path, capsys):
    fetch(server.put("/a", CONTENT), tmp_path)
    assert (
        f"not checked, for no checksum is known; its sha256 is {SHA256}" in capsys.readouterr().err
    )


@pytest.mark.parametrize("kind", ["sha256", "md5", "git"])
def test_checksums_are_those_of_the_whole_file(tmp_path, kind):
    (tmp_path / "a").write_bytes(CONTENT)
    expected = {
        "sha256": SHA256, "md5": MD5,
        "git": hashlib.sha1(b"blob 300000\0" + CONTENT).hexdigest(),
    }  # fmt: skip
    assert digests(tmp_path / "a", kind) == {kind: expected[kind]}


@pytest.mark.parametrize("how", ["truncated", "reset"])
@pytest.mark.parametrize("cuts", [[1], [100_000], [100_000, 50_000, 0, 299_999], [0, 0]])
def test_dropped_connections_go_on_where_they_broke(server, tmp_path, cuts, how):
    faults = [Fault(cut=cut, reset=how == "reset") for cut in cuts]
    url = server.put("/a", CONTENT, faults=faults)
    fetch(url, tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT
    if cuts == [100_000] and how == "truncated":
        assert server.ranges("/a") == [None, "bytes=100000-"]


def test_many_drops_are_no_matter_while_bytes_arrive(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(cut=20_000)] * 12)
    fetch(url, tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("etag", [None, ""])
def test_drops_without_a_new_byte_end_after_the_tries(server, tmp_path, etag):
    url = server.put("/a", CONTENT, etag=etag, faults=[Fault(cut=1000), *[Fault(cut=0)] * 9])
    with pytest.raises(GaveUp, match="given up after 3 tries, so check the network"):
        fetch(url, tmp_path)
    assert len(server.asked) == 3
    assert not (tmp_path / "votes.csv").exists()


def test_an_interrupted_download_goes_on_in_the_next_run(server, tmp_path, capsys):
    url = server.put("/a", CONTENT, faults=[Fault(cut=120_000), *[Fault(cut=0)] * 2])
    with pytest.raises(GaveUp):
        fetch(url, tmp_path)
    assert names(tmp_path) == ["votes.csv.part", "votes.csv.part.json"]
    fetch(url, tmp_path, checksum="")
    assert server.ranges("/a")[-1] == "bytes=120000-"
    assert "going on after 120.0 kB" in capsys.readouterr().err
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT
    assert names(tmp_path) == ["votes.csv"]


@pytest.mark.parametrize("known", [True, False])
def test_a_file_that_changed_between_two_parts_is_fetched_whole(server, tmp_path, known):
    url = server.put("/a", CONTENT[::-1], faults=[Fault(cut=120_000), *[Fault(cut=0)] * 2])
    checksum = f"sha256:{SHA256}" if known else ""
    with pytest.raises(GaveUp):
        fetch(url, tmp_path, checksum=checksum)
    server.put("/a", CONTENT)
    fetch(url, tmp_path, checksum=checksum)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_a_mixture_of_two_versions_is_noticed_by_the_checksum(server, tmp_path, capsys):
    # Neither version has an ETag, so the server goes on with the other file.
    faults = [Fault(cut=120_000), Fault(cut=0), Fault(cut=0)]
    url = server.put("/a", CONTENT[::-1], etag="", faults=faults)
    with pytest.raises(GaveUp):
        fetch(url, tmp_path, checksum=f"sha256:{SHA256}")
    server.put("/a", CONTENT, etag="")
    fetch(url, tmp_path, checksum=f"sha256:{SHA256}")
    assert server.ranges("/a")[-2:] == ["bytes=120000-", None]
    assert "fetched again from its start" in capsys.readouterr().err
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


@pytest.mark.parametrize(
    "how",
    [
        {"ranges": False},
        {"etag": ""},
        {"etag": 'W/"weak"'},
        {"length": False},
        {"length": False, "ranges": False, "etag": ""},
        {"etag": "", "headers": {"last-modified": "Wed, 01 Jan 2025 00:00:00 GMT"}},
    ],
    ids=["no ranges", "no etag", "weak etag", "chunked", "nothing", "date"],
)  # fmt: skip
def test_servers_of_every_kind_give_the_same_file(server, tmp_path, how):
    url = server.put("/a", CONTENT, faults=[Fault(cut=90_000), Fault(cut=40_000)], **how)
    fetch(url, tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT
    exact = how.get("etag") is None or "headers" in how
    assert (server.ranges("/a")[1] is not None) == exact


def test_a_part_longer_than_the_file_is_fetched_again(server, tmp_path):
    url = server.put("/a", CONTENT)
    (tmp_path / "votes.csv.part").write_bytes(CONTENT + b"more")
    note = {"url": url, "checksum": f"md5:{MD5}", "validator": ""}
    (tmp_path / "votes.csv.part.json").write_text(json.dumps(note))
    fetch(url, tmp_path, checksum=f"md5:{MD5}")
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_a_whole_part_is_only_checked(server, tmp_path):
    url = server.put("/a", CONTENT)
    (tmp_path / "votes.csv.part").write_bytes(CONTENT)
    note = {"url": url, "checksum": f"md5:{MD5}", "validator": ""}
    (tmp_path / "votes.csv.part.json").write_text(json.dumps(note))
    fetch(url, tmp_path, checksum=f"md5:{MD5}")
    assert server.ranges("/a") == ["bytes=300000-"]
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_a_part_of_another_file_is_not_used(server, tmp_path):
    url = server.put("/a", CONTENT)
    (tmp_path / "votes.csv.part").write_bytes(b"x" * 1000)
    note = {"url": server.url + "/b", "checksum": "", "validator": '"1"'}
    (tmp_path / "votes.csv.part.json").write_text(json.dumps(note))
    fetch(url, tmp_path)
    assert server.ranges("/a") == [None]
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_faults_are_tried_again(server, tmp_path, status):
    url = server.put("/a", CONTENT, faults=[Fault(status)] * 2)
    fetch(url, tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_retry_after_is_honoured(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(429, {"retry-after": "1"})])
    began = time.monotonic()
    fetch(url, tmp_path)
    assert time.monotonic() - began >= 1.0


def test_retry_after_may_be_a_date():
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert 80 < asked_to_wait({"retry-after": soon}) <= 90
    past = format_datetime(datetime.now(UTC) - timedelta(seconds=90), usegmt=True)
    assert asked_to_wait({"retry-after": past}) == 0
    assert asked_to_wait({"retry-after": "2.5"}) == 2.5
    for unreadable in ("", "soon", "-3x"):
        assert asked_to_wait({"retry-after": unreadable}) is None


def test_a_long_retry_after_is_the_users_choice(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(503, {"retry-after": "7200"})])
    with pytest.raises(GaveUp, match="answers 503; the server asks to be left alone for 7200 s"):
        fetch(url, tmp_path)
    assert len(server.asked) == 1


def test_waits_double_up_to_a_limit(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(503)] * 4)
    began = time.monotonic()
    fetch(url, tmp_path, patience=Patience(tries=6, wait=0.1, longest=0.2))
    assert 0.7 <= time.monotonic() - began < 2  # 0.1 + 0.2 + 0.2 + 0.2


def test_a_slow_server_is_given_up(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(stall=1.0)] * 3)
    with pytest.raises(GaveUp, match=r"127\.0\.0\.1:\d+ did not answer in time"):
        fetch(url, tmp_path, patience=Patience(tries=2, wait=0.01, timeout=0.2))


def test_a_host_that_is_not_there(tmp_path):
    with LocalServer() as gone:
        url = gone.url + "/a"
    with pytest.raises(GaveUp, match=r"127\.0\.0\.1:\d+ cannot be reached; given up after 3 tries"):
        fetch(url, tmp_path)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "not there"), (410, "not there"), (403, "not given to everybody"), (418, "status 418")],
)
def test_what_will_not_change_is_said_at_once(server, tmp_path, status, words):
    url = server.put("/a", CONTENT, faults=[Fault(status)] * 3)
    with pytest.raises(Refused, match=words):
        fetch(url, tmp_path)
    assert len(server.asked) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("kind", ["sha256", "md5"])
def test_a_wrong_checksum_is_deleted_and_said(server, tmp_path, kind):
    wanted = "0" * (64 if kind == "sha256" else 32)
    found = SHA256 if kind == "sha256" else MD5
    with pytest.raises(HoagError, match=f"its {kind} is {found}, not {wanted}, so it was deleted"):
        fetch(server.put("/a", CONTENT), tmp_path, checksum=f"{kind}:{wanted}")
    assert names(tmp_path) == []


def test_another_size_than_announced_is_refused_before_it_is_fetched(server, tmp_path):
    with pytest.raises(HoagError, match="has 300000 bytes at .*, not 299999 as announced"):
        fetch(server.put("/a", CONTENT), tmp_path, size=299_999)
    assert not (tmp_path / "votes.csv").exists()


def test_bytes_are_kept_as_they_are_stored(server, tmp_path):
    # S3 gives .gz files out as "encoded"; unpacking them on the way would break the checksum.
    import gzip

    packed = gzip.compress(b"id_str,votes\n1,2\n" * 500, mtime=0)
    url = server.put("/a.csv.gz", packed, headers={"content-encoding": "gzip"})
    fetch(url, tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == packed
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_redirects_within_the_host_are_followed(server, tmp_path):
    server.put("/b", CONTENT)
    server.redirect("/hop", "/b")
    fetch(server.redirect("/a", server.url + "/hop"), tmp_path)
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_redirects_elsewhere_are_refused_unless_named(server, tmp_path):
    server.put("/b", CONTENT)
    url = server.redirect("/a", server.elsewhere + "/b?key=secret")
    with pytest.raises(HoagError, match=r"redirects to another host, localhost:\d+") as caught:
        fetch(url, tmp_path)
    assert "secret" not in str(caught.value)
    assert [one.path for one in server.asked] == ["/a"]
    fetch(url, tmp_path, hosts=("localhost",))
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_what_is_secret_stays_with_the_host_it_is_for(server, tmp_path):
    server.put("/b", CONTENT)
    url = server.redirect("/a", server.elsewhere + "/b")
    fetch(url, tmp_path, hosts=("localhost",), headers={"authorization": "Bearer hf_x"})
    assert [one.headers.get("authorization") for one in server.asked] == ["Bearer hf_x", None]


def test_redirects_in_a_circle_end(server, tmp_path):
    server.redirect("/b", "/a")
    with pytest.raises(HoagError, match="redirects 5 times and more, perhaps in a circle"):
        fetch(server.redirect("/a", "/b"), tmp_path)


@pytest.mark.parametrize(
    "to", ["", "ftp://127.0.0.1/x", "https://127.0.0.1:1/x", "//evil.org/x", "//[x"]
)
def test_redirects_to_nonsense_are_refused(server, tmp_path, to):
    with pytest.raises(HoagError, match="redirects"):
        fetch(server.redirect("/a", to), tmp_path)
    assert names(tmp_path) == []


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    ask = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext"
    names_it = ["subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*ask.split(), *names_it], check=True, capture_output=True)
    with LocalServer(certificate=(certificate, key)) as server:
        server.put("/a", CONTENT)
        with pytest.raises(HoagError, match="its certificate is not valid"):
            fetch(server.elsewhere + "/a", tmp_path / "out")
        assert server.asked == []


def test_hosts_by_pattern():
    assert allowed("cas-bridge.xethub.hf.co", ["*.hf.co"])
    assert allowed("CDN-LFS.hf.co", ["*.hf.co"])
    for other in ("hf.co.evil.org", "evilhf.co", "hf.co"):
        assert not allowed(other, ["*.hf.co"])


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "", "a\\..\\x"])
def test_a_server_cannot_choose_a_place_outside_the_folder(server, tmp_path, path):
    server.put("/a", CONTENT)
    with pytest.raises(HoagError, match="refused"):
        list(fetch_all([RemoteFile(server.url + "/a", path)], tmp_path / "out", patience=QUICK))
    assert server.asked == []


def test_a_full_disk_is_said_before_anything_is_fetched(server, tmp_path):
    with pytest.raises(HoagError, match="1000.0 TB are to come and only .* are free"):
        fetch(server.put("/a", CONTENT), tmp_path, size=10**15)
    assert server.asked == []


def test_a_full_disk_is_said_at_the_first_answer_if_the_size_was_not_known(server, tmp_path):
    url = server.put("/a", b"", faults=[Fault(200, {"content-length": str(10**15)})])
    with pytest.raises(HoagError, match="are to come and only"):
        fetch(url, tmp_path)


def test_a_disk_that_fills_up_keeps_what_arrived(server, tmp_path):
    url = server.put("/a", CONTENT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(HoagError, match="cannot be written .*; what arrived is kept"):
            fetch(url, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, old)
    fetch(url, tmp_path)
    assert int(server.ranges("/a")[1].removeprefix("bytes=").removesuffix("-")) > 0
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_a_file_of_the_users_own_is_never_replaced(server, tmp_path):
    (tmp_path / "votes.csv").write_bytes(b"mine")
    url = server.put("/a", CONTENT)
    for checksum in ("", f"md5:{MD5}"):
        with pytest.raises(HoagError, match="is there already and is not known to be"):
            fetch(url, tmp_path, checksum=checksum)
    assert (tmp_path / "votes.csv").read_bytes() == b"mine"
    fetch(url, tmp_path, own={"votes.csv"})
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT


def test_a_file_that_is_there_and_right_is_not_fetched(server, tmp_path):
    (tmp_path / "votes.csv").write_bytes(CONTENT)
    [got] = fetch(server.put("/a", CONTENT), tmp_path, checksum=f"md5:{MD5}")
    assert server.asked == []
    assert got.sha256 == SHA256
    file = RemoteFile(server.url + "/a", "votes.csv", None, f"md5:{MD5}")
    assert is_current(got, file, tmp_path)
    (tmp_path / "votes.csv").write_bytes(CONTENT[:-1])
    assert not is_current(got, file, tmp_path)


def test_one_process_at_a_time_fetches_into_a_folder(server, tmp_path):
    files = [RemoteFile(server.put(f"/{n}", CONTENT), f"{n}") for n in range(2)]
    first = fetch_all(files, tmp_path, patience=QUICK)
    next(first)
    with pytest.raises(HoagError, match="another process is fetching into it"):
        list(fetch_all(files, tmp_path, patience=QUICK))
    next(first)
    first.close()
    (tmp_path / "0").unlink()
    assert len(list(fetch_all(files[:1], tmp_path, patience=QUICK))) == 1


def test_several_files_come_one_after_the_other_and_stay(server, tmp_path):
    files = [RemoteFile(server.put(f"/{n}", CONTENT[n:]), f"data/{n}") for n in range(3)]
    files.append(RemoteFile(server.url + "/missing", "data/missing"))
    got = fetch_all(files, tmp_path, patience=QUICK)
    with pytest.raises(Refused, match="/missing: not there"):
        list(got)
    assert names(tmp_path / "data") == ["0", "1", "2"]


def test_a_stop_by_the_user_keeps_what_arrived(server, tmp_path):
    url = server.put("/a", CONTENT, faults=[Fault(cut=150_000)])
    server.faults["/a"].append(Fault(stall=30))
    code = (
        "from hoag.data.downloads import fetch_all, RemoteFile; from pathlib import Path; "
        f"list(fetch_all([RemoteFile({url!r}, 'votes.csv')], Path({str(tmp_path)!r})))"
    )
    running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    while len(server.asked) < 2:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    server.faults.clear()
    fetch(url, tmp_path)
    assert server.ranges("/a")[-1] == "bytes=150000-"
    assert (tmp_path / "votes.csv").read_bytes() == CONTENT

import pytest

import hoag
from hoag.data.patience import Patience
from hoag.errors import HoagError
from hoag.model_pushing import push_model

from .local_server import Fault, LocalHub

QUICK = Patience(tries=2, wait=0.01, longest=0.01, timeout=5)


class ModelHub(LocalHub):
    """The same Hub, where models live: no "datasets" in addresses."""

    def _routes(self):
        return [
            (pattern.replace("/api/datasets/", "/api/models/").replace("/datasets/", "/"), call)
            for pattern, call in super()._routes()
        ]


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with ModelHub() as one:
        from huggingface_hub import constants

        # Read once from HF_ENDPOINT, at the import of huggingface_hub.
        monkeypatch.setattr(constants, "ENDPOINT", one.url)
        template = one.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield one


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    out = tmp_path_factory.mktemp("models") / "out"
    model = hoag.load("timm:mobilenetv3_small_050", size=32, device="cpu")
    return hoag.export(model, out, licence="cc-by-4.0")


def push(folder, hub, name="me/encoder", **how):
    how = {"token": "hf_writer", "patience": QUICK} | how
    return push_model(folder, name, endpoint=hub.url, **how)


def test_the_folder_is_on_the_hub_and_comes_back_the_same(hub, exported, tmp_path, monkeypatch):
    assert push(exported, hub) == f"{hub.url}/me/encoder"
    there = hub.repos["me/encoder"].commits[-1]
    for path in exported.rglob("*"):
        if path.is_file():
            assert there[path.relative_to(exported).as_posix()] == path.read_bytes()
    assert len(hub.repos["me/encoder"].commits) == 2  # empty, then all at once
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert hoag.load("hf:me/encoder", device="cpu").hash == hoag.load(exported, device="cpu").hash


def test_what_is_there_already_is_sent_once(hub, exported):
    push(exported, hub)
    push(exported, hub)
    assert len(hub.repos["me/encoder"].commits) == 2


def test_private_stays_private(hub, exported):
    push(exported, hub, private=True)
    assert hub.repos["me/encoder"].private
    hub.add("me/public", files={})
    with pytest.raises(HoagError, match="is there already and is public"):
        push(exported, hub, "me/public", private=True)


def test_nobody_logged_in_is_said_before_any_work(hub, tmp_path, monkeypatch):
    import hoag.data.hub as home

    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert home.LOG_IN
    with pytest.raises(HoagError, match="me/encoder: to upload, log in with `hf auth login`"):
        hoag.export("no model at all", tmp_path / "out", push="me/encoder")
    with pytest.raises(HoagError, match="encoder: not an id of the Hub; write user/name"):
        hoag.export("no model at all", tmp_path / "out", push="encoder")


def test_offline_is_said(hub, exported, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HoagError, match="HF_HUB_OFFLINE is set; unset it to upload"):
        push(exported, hub)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"token": "hf_reader"}, "me/encoder: the token does not allow this"),
        ({"token": "hf_stale"}, "the token is not accepted|not on"),
    ],
)
def test_refusals_are_said(how, said, hub, exported):
    with pytest.raises(HoagError, match=said):
        push(exported, hub, **how)


def test_a_hub_that_is_down_is_said(hub, exported):
    hub.faults["/api/repos/create"].extend([Fault(503)] * 9)
    with pytest.raises(HoagError, match="me/encoder: .*the Hub answers 503"):
        push(exported, hub)


def test_a_folder_that_is_no_export_is_refused(hub, tmp_path):
    with pytest.raises(HoagError, match="has no config.json, so it is no exported model"):
        push(tmp_path, hub)

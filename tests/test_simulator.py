"""The simulated GZ-Evo: purity, proportions, the store, and images that obey their truth."""

import hashlib
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from hoag.errors import HoagError
from hoag.schema import load_schema
from hoag.simulator import VERSION, contact_sheets, draw, fingerprint, simulate
from hoag.simulator.field import add_star
from hoag.simulator.perception import perceive
from hoag.simulator.render import observe, render
from hoag.simulator.sample import CAMPAIGNS, EVO, LABELLED, RING, UNLABELLED, _belonging
from hoag.simulator.structure import Truth, draw_truth
from hoag.simulator.surveys import kpc_per_arcsec, load_surveys


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return simulate(
        tmp_path_factory.mktemp("sim") / "store", galaxies=700, rings=260, size=32, workers=1
    )


def rngs(seed=0):
    return np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])


def plain(survey="decals", **changes):
    """A large, bright, face-on disc without anything else, in an empty deep field."""
    base = {"radius": 20.0, "surface_brightness": 20.5, "half_field": 1.8, "deeper": 6.0}
    return Truth(survey, 0.03, roughness=0.0, **(base | changes))


def light_of(truth, size=96, monkeypatch=None, seed=0):
    """Light of the galaxy alone, middle band, centred: no stars, no neighbours."""
    import hoag.simulator.render as module

    if monkeypatch is not None:
        monkeypatch.setattr(module, "add_field", lambda *_: None)
    return observe(truth, size, *rngs(seed))[1]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_galaxy_is_the_same_whatever_is_made_with_it(store, tmp_path):
    few = simulate(tmp_path / "few", galaxies=130, rings=9, size=32, workers=2)
    for table in ("pretraining", "unlabelled", "rings", "truth"):
        short = pq.read_table(few / f"{table}.parquet").to_pylist()
        long = {row["id_str"]: row for row in pq.read_table(store / f"{table}.parquet").to_pylist()}
        assert len(short) > 0
        for row in short:
            assert row == long[row["id_str"]]


def test_number_of_workers_changes_no_byte(tmp_path):
    one = simulate(tmp_path / "one", galaxies=150, rings=150, size=16, workers=1)
    two = simulate(tmp_path / "two", galaxies=150, rings=150, size=16, workers=2)
    for table in ("pretraining", "unlabelled", "rings", "truth"):
        assert digest(one / f"{table}.parquet") == digest(two / f"{table}.parquet")


FROZEN = "a change of the simulator is a new version"


def test_truth_and_votes_of_this_version_are_frozen():
    assert (VERSION, fingerprint()) == (2, "87d2d3966e21b630"), FROZEN


@pytest.mark.parametrize(
    ("n", "sample", "survey", "levels"),
    [
        (0, EVO, "decals", [44.1, 42.0, 40.7, 29.1, 81.7]),
        (2, EVO, "mzls-bass", [34.0, 32.1, 30.2, 27.7, 68.2]),
        (11, EVO, "hst-hubble", [23.5, 20.0, 23.4, 33.9, 59.8]),
        (20, EVO, "sdss", [28.7, 23.5, 19.2, 36.0, 63.2]),
        (101, EVO, "hst-candels", [41.6, 33.7, 34.4, 45.9, 90.8]),
        (0, RING, "decals", [36.4, 35.9, 36.5, 31.3, 85.3]),
        (1, RING, "decals", [26.0, 25.6, 25.4, 18.1, 48.7]),
    ],
)
def test_pixels_of_this_version_are_frozen(n, sample, survey, levels):
    galaxy = draw(n, size=64, sample=sample)
    image = galaxy.image.astype(float)
    # Mean red, green and blue, scatter of all pixels, and the level that a tenth exceed in grey.
    found = [*image.mean((0, 1)), image.std(), np.percentile(image.mean(2), 90)]
    assert galaxy.survey == survey, FROZEN
    # The last bit of a pixel may differ between machines.
    assert found == pytest.approx(levels, abs=0.5), FROZEN


def test_drawing_leaves_and_needs_no_global_state():
    np.random.seed(1)
    first, state = draw(3, size=32), np.random.get_state()[1].copy()
    np.random.seed(2)
    second = draw(3, size=32)
    np.random.seed(1)
    assert first.encoded() == second.encoded() and first.truth == second.truth
    assert (np.random.get_state()[1] == state).all()


def test_seeds_numbers_and_samples_differ():
    images = [
        draw(0, size=32), draw(1, size=32), draw(0, seed=1, size=32), draw(0, size=32, sample=RING),
    ]  # fmt: skip
    assert len({galaxy.encoded() for galaxy in images}) == 4
    assert len({galaxy.id_str for galaxy in images}) == 4


def test_size_changes_neither_galaxy_nor_votes_nor_field():
    for n in range(6):
        small, large = draw(n, size=32), draw(n, size=128)
        assert small.truth == large.truth and (small.votes == large.votes).all()
        coarse = large.image.reshape(32, 4, 32, 4, 3).mean((1, 3))
        assert np.corrcoef(coarse.ravel(), small.image.ravel())[0, 1] > 0.8


def test_roles_and_campaigns_come_in_the_papers_proportions():
    n = 4000
    drawn = [_belonging(np.random.default_rng(k), EVO) for k in range(n)]
    labelled = [campaign for role, campaign, _ in drawn if role == "pretraining"]
    expected = LABELLED / (LABELLED + UNLABELLED)
    assert abs(len(labelled) / n - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    for campaign, weight in CAMPAIGNS.items():
        share = weight / sum(CAMPAIGNS.values())
        error = np.sqrt(share * (1 - share) / len(labelled))
        assert abs(labelled.count(campaign) / len(labelled) - share) < 4 * error
    assert {survey for role, _, survey in drawn if role == "unlabelled"} == {"decals", "mzls-bass"}
    assert "mzls-bass" not in {survey for role, _, survey in drawn if role == "pretraining"}


def test_store_has_its_tables_in_the_hubs_layout_and_a_stamp(store):
    schema = load_schema("gz-evo")
    table = pq.read_table(store / "pretraining.parquet")
    assert table.column_names == ["id_str", "image", "survey", "campaign", *schema.columns]
    assert all(str(table.schema.field(c).type) == "int16" for c in schema.columns)
    assert [f.name for f in table.schema.field("image").type] == ["bytes", "path"]
    stamp = json.loads(table.schema.metadata[b"hoag"])
    assert stamp["simulator"] == VERSION and stamp["seed"] == 0
    assert stamp["fingerprint"] == fingerprint()
    assert f"simulator {VERSION} ({fingerprint()})" in (store / "dataset.toml").read_text()
    assert stamp["schema_hash"] == schema.hash
    assert pq.ParquetFile(store / "unlabelled.parquet").metadata.row_group(0).num_rows == 256
    ids = [
        name for t in ("pretraining", "unlabelled", "rings")
        for name in pq.read_table(store / f"{t}.parquet").column("id_str").to_pylist()
    ]  # fmt: skip
    assert len(set(ids)) == len(ids) == 960
    assert sorted(ids) == sorted(
        pq.read_table(store / "truth.parquet").column("id_str").to_pylist()
    )


def test_store_opens_with_the_library(store):
    galaxies = pytest.importorskip("hoag.galaxies")
    opened = galaxies.open(store / "pretraining.parquet")
    table = pq.read_table(store / "pretraining.parquet", columns=["id_str"])
    assert list(opened.ids) == table.column("id_str").to_pylist()
    assert opened[0].image.shape == (32, 32, 3)


def test_large_tables_are_cut_into_numbered_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("hoag.simulator.store.SHARD_BYTES", 20_000)
    out = simulate(tmp_path / "cut", galaxies=600, rings=10, size=16, workers=1)
    shards = sorted(path.name for path in out.glob("unlabelled*"))
    assert len(shards) > 1 and shards[0] == f"unlabelled-00000-of-{len(shards):05d}.parquet"
    rows = sum(pq.ParquetFile(out / name).metadata.num_rows for name in shards)
    assert rows + pq.read_table(out / "pretraining.parquet").num_rows == 600


def test_contact_sheets_show_every_survey(store, tmp_path):
    names = {path.stem for path in contact_sheets(store, tmp_path, rows=2, columns=4)}
    assert names == {*load_surveys(), "rings"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"galaxies": 0}, "at least 1 galaxy"),
        ({"size": 8}, "16 to 512"),
        ({"seed": -1}, "seeds start at 0"),
    ],
)
def test_impossible_requests_are_refused(tmp_path, changes, words):
    with pytest.raises(HoagError, match=words):
        simulate(tmp_path / "no", **changes)
    assert not (tmp_path / "no").exists()


def test_a_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(HoagError, match="not a simulation"):
        simulate(tmp_path, galaxies=1, rings=0)
    assert (tmp_path / "thesis.tex").exists()


def test_rings_are_balanced_about_half_and_follow_their_votes(store):
    table = pq.read_table(store / "rings.parquet")
    ring, votes = table.column("ring").to_numpy(), table.column("ring_votes").to_numpy()
    assert ((votes > 5) == (ring == 1)).all() and votes.min() >= 0 and votes.max() <= 10
    assert abs(ring.mean() - 0.5) < 0.12
    truth = pq.read_table(store / "truth.parquet").to_pandas().set_index("id_str")
    real = truth.loc[table.column("id_str").to_pylist(), "ring_contrast"].to_numpy() > 0
    assert 0.7 < (real == ring).mean() < 0.98


def test_a_ring_is_no_matter_of_brightness_colour_or_size():
    rng = np.random.default_rng(5)
    truths = [draw_truth(rng, load_surveys()["decals"], ring_task=True) for _ in range(3000)]
    ring = np.array([t.ring_contrast > 0 for t in truths])
    for name in (
        "surface_brightness",
        "age",
        "radius",
        "axis_ratio",
        "bulge_fraction",
        "half_field",
    ):
        values = np.array([getattr(t, name) for t in truths])
        assert abs(np.corrcoef(values, ring)[0, 1]) < 0.07, name


@pytest.mark.parametrize("survey", ["sdss", "decals", "mzls-bass", "hst-hubble", "hst-candels"])
def test_a_point_source_has_the_surveys_width(survey, monkeypatch):
    import hoag.simulator.render as module

    def one_star(scene, rng):
        add_star(scene, 0.0, 0.0, 1e4, 0.5)

    monkeypatch.setattr(module, "add_target", lambda *_: None)
    monkeypatch.setattr(module, "add_field", one_star)
    kind = load_surveys()[survey]
    fwhm = kind.psf_fwhm[1]
    # The star's spikes are thin; eight pixels a FWHM resolve the profile.
    truth = Truth(survey, 0.5, radius=6 * fwhm, half_field=1.0, deeper=12.0)
    image = observe(truth, 96, *rngs())[1]
    above = (image > image.max() / 2).sum()
    assert 2 * np.sqrt(above / np.pi) * truth.radius * 2 / 96 == pytest.approx(fwhm, rel=0.08)


@pytest.mark.parametrize("survey", ["sdss", "decals", "mzls-bass", "hst-hubble", "hst-candels"])
def test_noise_is_the_surveys_depth_and_deeper_fields_have_less(survey, monkeypatch):
    import hoag.simulator.render as module

    monkeypatch.setattr(module, "add_target", lambda *_: None)
    monkeypatch.setattr(module, "add_field", lambda *_: None)
    kind = load_surveys()[survey]
    # Pixels four times the native ones average 16 of them.
    truth = Truth(survey, 0.5, radius=4 * kind.pixel * 32, half_field=1.0)
    image = observe(truth, 64, *rngs())
    for band in range(3):
        assert image[band].std() == pytest.approx(kind.noise()[band] / 4, rel=0.05)
    truth.deeper = 2.5
    assert observe(truth, 64, *rngs())[1].std() == pytest.approx(kind.noise()[1] / 40, rel=0.05)


def test_redshift_makes_galaxies_small_and_faint():
    rng = np.random.default_rng(0)
    near = [draw_truth(rng, load_surveys()["sdss"]) for _ in range(200)]
    far = [draw_truth(rng, load_surveys()["hst-candels"]) for _ in range(200)]
    assert np.median([t.radius for t in far]) < 0.2 * np.median([t.radius for t in near])
    dimming = [t.surface_brightness for t in far]
    assert np.median(dimming) > np.median([t.surface_brightness for t in near])
    # Independent reference: astropy's FlatLambdaCDM(70, 0.3) gives 8.008 kpc/arcsec at z = 1.
    assert kpc_per_arcsec(1.0) == pytest.approx(8.008, rel=1e-3)


def test_old_stars_are_redder_in_every_survey(monkeypatch):
    import hoag.simulator.render as module

    monkeypatch.setattr(module, "add_field", lambda *_: None)
    for survey in load_surveys():
        ratios = []
        for age in (0.1, 0.9):
            light = observe(
                plain(survey, radius=20.0, age=age, surface_brightness=18.0), 32, *rngs()
            )
            ratios.append(light[2].sum() / light[0].sum())
        assert ratios[1] > 1.5 * ratios[0]


def test_flux_is_conserved_whatever_the_structure(monkeypatch):
    bare = light_of(plain(), monkeypatch=monkeypatch).sum()
    ringed = light_of(plain(ring_contrast=2.0, ring_radius=0.6), monkeypatch=monkeypatch).sum()
    armed = light_of(plain(arm_number=2, arm_strength=1.0), monkeypatch=monkeypatch).sum()
    barred = light_of(plain(bar_strength=1.0), monkeypatch=monkeypatch).sum()
    assert ringed == pytest.approx(bare, rel=0.03)
    assert armed == pytest.approx(bare, rel=0.03)
    assert barred == pytest.approx(bare, rel=0.03)


def test_turning_the_galaxy_turns_the_image(monkeypatch):
    monkeypatch.setattr("hoag.simulator.field.centre_offset", lambda *_: (0.0, 0.0))
    one = light_of(plain(axis_ratio=0.4), monkeypatch=monkeypatch)
    quarter = light_of(plain(axis_ratio=0.4, position_angle=np.pi / 2), monkeypatch=monkeypatch)
    assert np.abs(np.rot90(one) - quarter).max() < 0.02 * one.max()
    assert np.abs(one - quarter).max() > 0.2 * one.max()


def radial_profile(image, pixels_of_radius):
    y, x = np.indices(image.shape) - (image.shape[0] - 1) / 2
    bins = (np.hypot(x, y) / pixels_of_radius * 20).astype(int)
    return np.bincount(bins.ravel(), image.ravel()) / np.bincount(bins.ravel())


def azimuth_power(image, low, high, scale):
    """Fourier amplitudes of the azimuthal profile between two radii, over their mean."""
    y, x = np.indices(image.shape) - (image.shape[0] - 1) / 2
    radius, angle = np.hypot(x, y) / scale, np.arctan2(y, x)
    inside = (radius > low) & (radius < high)
    terms = [np.abs((image[inside] * np.exp(1j * m * angle[inside])).sum()) for m in range(9)]
    return np.array(terms) / terms[0]


@pytest.fixture
def centred(monkeypatch):
    monkeypatch.setattr("hoag.simulator.field.centre_offset", lambda *_: (0.0, 0.0))
    return lambda **changes: light_of(plain(**changes), monkeypatch=monkeypatch)


def test_a_ring_is_a_bump_that_grows_with_its_contrast(centred):
    scale, bumps = 96 / 2 / 1.8, []
    for contrast in (0.0, 0.5, 2.0):
        profile = radial_profile(centred(ring_contrast=contrast, ring_radius=0.72), scale)
        bumps.append(profile[14] / np.sqrt(profile[10] * profile[18]))
    assert bumps[0] < bumps[1] - 0.1 < bumps[2] - 0.4
    assert bumps[2] > 1.5


def test_arms_show_their_number(centred):
    for number in (2, 3, 4):
        image = centred(arm_number=number, arm_strength=1.2, arm_pitch=0.9, arm_end=1.2)
        power = azimuth_power(image, 0.6, 0.7, 96 / 2 / 1.8)
        assert 1 + power[1:].argmax() == number


def test_a_bar_is_a_twofold_pattern_inside_its_length(centred):
    scale = 96 / 2 / 1.8
    barred = centred(bar_strength=1.0, bar_length=0.5, bar_axis_ratio=0.3)
    assert azimuth_power(barred, 0.2, 0.4, scale)[2] > 0.18
    assert azimuth_power(centred(), 0.2, 0.4, scale)[2] < 0.02


def test_bulges_concentrate_and_inclination_flattens(centred):
    profiles = [radial_profile(centred(bulge_fraction=b), 96 / 2 / 1.8) for b in (0.0, 0.3, 0.6)]
    peaks = [profile[0] / profile[10] for profile in profiles]
    assert peaks[0] < peaks[1] < peaks[2]
    image = centred(axis_ratio=0.4)
    y, x = np.indices(image.shape) - 47.5
    core = np.hypot(x, y) < 40
    moments = [(image[core] * v[core] ** 2).sum() for v in (x, y)]
    assert 0.35 < np.sqrt(moments[1] / moments[0]) < 0.6


def test_edge_on_bulges_are_round_boxy_or_absent(centred):
    def height(shape):
        fraction = 0.0 if shape == "none" else 0.5
        bulge = {"bulge_shape": shape, "bulge_fraction": fraction, "bulge_radius": 0.2}
        image = centred(kind="edge-on", bulge_sersic=1.0, thickness=0.04, **bulge)
        rows = np.abs(np.indices(image.shape)[0] - 47.5)
        return (image * rows).sum() / image.sum(), image

    none, rounded, boxy = height("none"), height("rounded"), height("boxy")
    assert none[0] < 0.7 * rounded[0]
    assert np.abs(rounded[1] - boxy[1]).max() > 0.02 * boxy[1].max()


def test_clumps_debris_and_companions_add_light_where_they_are(centred):
    smooth = centred()
    clumpy = centred(clump_number=5, clump_fraction=0.4, clump_size=0.04)
    assert (np.abs(clumpy - smooth) > 0.3 * smooth.max()).sum() > 5
    tails = centred(tail_strength=0.7, tail_pitch=0.8)
    outside = (
        radial_profile(tails, 96 / 2 / 1.8)[26:32] / radial_profile(smooth, 96 / 2 / 1.8)[26:32]
    )
    assert outside.min() > 1.5
    merging = centred(companion_ratio=0.8, companion_separation=1.0)
    half = merging.shape[1] // 2
    assert merging[:, half:].sum() > 1.4 * merging[:, :half].sum()


def test_every_artefact_spoils_the_image():
    for artefact in ("star", "trail", "stitch"):
        clean = plain(surface_brightness=22.0, deeper=0.0)
        spoilt = plain(
            surface_brightness=22.0, deeper=0.0, artefact=artefact, artefact_strength=1.0
        )
        before = render(clean, 64, *rngs()).astype(int)
        assert np.abs(before - render(spoilt, 64, *rngs()).astype(int)).max() > 60
        assert perceive(spoilt).artefact > 0.5


def test_seeing_and_noise_hide_structure():
    def rings_seen(**changes):
        return perceive(plain(ring_contrast=1.0, ring_radius=0.6, **changes)).ring

    assert rings_seen(psf_scale=4.0) < rings_seen()
    assert rings_seen(deeper=-6.0) < rings_seen(deeper=0.0)
    assert perceive(plain(ring_contrast=3.0)).ring > perceive(plain(ring_contrast=0.5)).ring
    assert perceive(plain(psf_scale=4.0)).confusion > perceive(plain()).confusion


def test_images_have_dark_skies_and_a_galaxy_in_the_middle():
    for survey in load_surveys():
        rng = np.random.default_rng(11)
        truths = [draw_truth(rng, load_surveys()[survey]) for _ in range(24)]
        images = np.stack([render(t, 48, *rngs(k)) for k, t in enumerate(truths) if not t.artefact])
        corner = np.median(images[:, :6, :6])
        assert 2 <= corner < 30
        assert images[:, 20:28, 20:28].mean() > 2.5 * corner
        assert images.dtype == np.uint8

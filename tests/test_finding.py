"""Find: honest purity on simulated populations, priors, suggestions, kinds of labels, refusals."""

import json

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import logit

import hoag
from hoag.catalogue import read_table, write_table
from hoag.cli_search import find as verb
from hoag.embedding import make_table, write_embeddings
from hoag.errors import HoagError
from hoag.held_out_scores import fit_probe
from hoag.more_labels import power_laws
from hoag.opening_vectors import open_vectors
from hoag.ranking_odds import Population, fit_odds
from hoag.same_object import class_of_objects, weights_of
from hoag.sought import read_sought


def population(seed, size, prior, dim=32, separation=3.0):
    """Features and truths: two classes apart by `separation` standard deviations in one direction,
    mixed through ReLUs, which makes neither class Gaussian."""
    generator = np.random.default_rng(seed)
    yes = generator.random(size) < prior
    numbers = generator.normal(size=(size, dim))
    direction = generator.normal(size=dim)
    numbers[yes] += separation * direction / np.linalg.norm(direction)
    mixed = numbers @ generator.normal(size=(dim, dim)) / np.sqrt(dim)
    return np.maximum(mixed, 0).astype(np.float32), yes


def draw(seed, yes, each):
    generator = np.random.default_rng(seed + 1000)
    return np.concatenate(
        [generator.choice(np.flatnonzero(yes == kind), each, False) for kind in (False, True)]
    )


def ranked(seed, prior, each, size=5000, separation=3.0):
    numbers, yes = population(seed, size, prior, separation=separation)
    rows = draw(seed, yes, each)
    probe = fit_probe(numbers[rows], yes[rows], numbers[:2000], seed)
    scores = numbers @ probe.weights + probe.intercept
    scores[rows] = probe.held_out.mean(axis=0)
    odds = fit_odds(probe.held_out, yes[rows], Population.of(scores), prior)
    return scores, yes, odds


@pytest.mark.parametrize(
    ("prior", "each", "separation"), [(0.03, 25, 3.5), (0.2, 50, 2.5), (0.5, 25, 2.0)]
)
def test_realised_purity_lies_in_its_90_per_cent_intervals(prior, each, separation):
    """Held-out truth of thousands, by labels of tens, balanced whatever the sky is."""
    inside, predicted, realised = [], [], []
    for seed in range(24):
        scores, yes, odds = ranked(seed, prior, each, separation=separation)
        expected = odds.expected(seed)
        hits = yes[np.argsort(-scores)].cumsum()[expected.cuts - 1]
        for keep in (50, int(prior * 2500), int(prior * 5000), int(prior * 7500)):
            place = int(np.abs(expected.cuts - keep).argmin())
            for truth, (_, low, high) in (
                (hits[place] / expected.cuts[place], expected.purity[place]),
                (hits[place] / hits[-1], expected.completeness[place]),
            ):
                inside.append(low - 1e-9 <= truth <= high + 1e-9)
        probability = odds.probabilities(scores)
        cut = np.quantile(probability, [0.5, 0.8, 0.9, 0.95, 0.98])
        part = np.searchsorted(cut, probability)
        predicted.append([probability[part == number].mean() for number in range(6)])
        realised.append([yes[part == number].mean() for number in range(6)])
    assert 0.80 <= np.mean(inside) <= 0.99
    # Calibrated: over the draws, what is said of a part of the ranking is what it turns out to be.
    np.testing.assert_allclose(np.mean(predicted, 0), np.mean(realised, 0), atol=0.1)


def test_probabilities_add_up_to_the_prior_and_keep_the_order():
    scores, _, odds = ranked(0, 0.03, 20)
    chance = odds.probabilities(scores)
    assert chance.mean() == pytest.approx(0.03, rel=0.02)
    assert (np.diff(chance[np.argsort(scores)]) >= 0).all()
    assert odds.prior == pytest.approx(0.03) and odds.prior_interval == (0.03, 0.03)


def test_a_prior_shifts_log_odds_by_about_its_own():
    """Of fair draws of each class the shift is logit(new) - logit(old); here from the population's
    scores, which is the same where the classes are modelled well."""
    numbers, yes = population(3, 20_000, 0.3)
    rows = draw(3, yes, 200)
    probe = fit_probe(numbers[rows], yes[rows], numbers[:4000])
    everything = np.flatnonzero(yes)
    scores = numbers @ probe.weights + probe.intercept
    rare = np.concatenate([np.flatnonzero(~yes), everything[: len(everything) // 10]])
    share = len(everything[: len(everything) // 10]) / len(rare)
    common = fit_odds(probe.held_out, yes[rows], Population.of(scores), 0.3)
    few = fit_odds(probe.held_out, yes[rows], Population.of(scores[rare]), share)
    middle = np.quantile(scores, [0.5, 0.7, 0.8, 0.9])
    moved = logit(few.probabilities(middle)) - logit(common.probabilities(middle))
    np.testing.assert_allclose(moved, logit(share) - logit(0.3), atol=0.5)


def test_without_a_prior_labels_drawn_at_random_tell_it():
    numbers, yes = population(5, 5000, 0.3)
    rows = np.random.default_rng(0).choice(5000, 150, replace=False)
    probe = fit_probe(numbers[rows], yes[rows], numbers[:2000])
    scores = numbers @ probe.weights + probe.intercept
    odds = fit_odds(probe.held_out, yes[rows], Population.of(scores), None)
    low, high = odds.prior_interval
    assert low < 0.3 < high and high - low < 0.2


def test_separable_labels_do_not_make_certainty():
    scores, yes, odds = ranked(1, 0.1, 10, separation=12.0)
    purity = odds.expected().purity
    assert purity[0, 1] < 1  # ten labels of each cannot show that the top is pure
    assert yes[np.argsort(-scores)[:50]].all()


def test_power_law_is_continued():
    sizes, ahead = np.array([10, 20, 40, 80]), np.array([160, 320])
    errors = np.stack([0.05 + 2.0 * sizes**-0.5, np.full(4, 0.3), 0.1 + 0.01 * sizes])
    continued = power_laws(sizes, errors, ahead)
    np.testing.assert_allclose(continued[0], 0.05 + 2.0 * ahead**-0.5, atol=1e-9)
    np.testing.assert_allclose(continued[1], 0.3)
    assert (continued[2] <= errors[2].mean() + 1e-12).all()  # errors never rise with labels


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    numbers, yes = population(7, 1200, 0.15)
    ids = [f"g{i:04d}" for i in range(1200)]
    path = tmp_path_factory.mktemp("find") / "e.parquet"
    write_embeddings(make_table(ids, numbers, {"model": "abc"}), path)
    return path, ids, yes, numbers


def labels_of(sky, each=20):
    _, ids, yes, _ = sky
    return {ids[row]: "yes" if yes[row] else "no" for row in draw(2, yes, each)}


def test_everything_is_written_and_agrees(sky, tmp_path):
    path, ids, yes, _ = sky
    labels = labels_of(sky)
    catalogue = pa.table({"id_str": ids, "z": np.arange(1200) / 1000})
    found = hoag.find(path, labels, prior=0.15, catalogue=catalogue, suggest=7)
    for name in ("rings.fits", "rings.vot", "rings.csv"):
        page = found.write(tmp_path / name)
        back = read_table(tmp_path / name)
        assert len(back) == 1200 and {"rank", "id_str", "probability", "label", "z"} <= set(
            back.column_names
        )
        np.testing.assert_allclose(back["z"], found.table["z"])
    said = json.loads((tmp_path / "rings.json").read_text())
    assert said["galaxies"] == 1200 and said["prior"] == {"yes": 0.15}
    assert len(said["sought"][0]["expected"]) == len(found.expected)
    following = read_table(tmp_path / "rings-next.csv")
    assert len(following) == 7 and not set(following["id_str"].to_pylist()) & set(labels)
    text = page.read_text()
    assert "What to expect" in text and "Label these next" in text and "<svg" in text
    top = [ids.index(name) for name in found.table["id_str"].to_pylist()[:60]]
    assert yes[top].mean() > 0.5
    # Given back filled in, the suggestions are further labels; a partly filled list is fine.
    more = labels | dict(zip(following["id_str"].to_pylist()[:5], ["no"] * 5, strict=True))
    assert hoag.find(path, more, prior=0.15, suggest=0).about["labels"] == len(more)


def test_the_same_labels_in_any_order_give_the_same_result(sky):
    path, *_ = sky
    labels = labels_of(sky)
    one = hoag.find(path, labels, prior=0.15)
    other = hoag.find(path, dict(reversed(labels.items())), prior=0.15)
    assert one.table.equals(other.table) and one.suggestions.equals(other.suggestions)
    assert one.to_dict() == other.to_dict()


@pytest.mark.parametrize("want", ["uncertain", "diverse", "top"])
def test_suggestions_are_what_was_wanted(sky, want):
    path, ids, _, _ = sky
    labels = labels_of(sky)
    found = hoag.find(path, labels, prior=0.15, suggest=12, want=want)
    chosen = found.suggestions["id_str"].to_pylist()
    assert len(set(chosen)) == 12 and not set(chosen) & set(labels)
    chance = found.suggestions["probability"].to_numpy()
    everything = found.table["probability"].to_numpy()
    if want == "top":
        unlabelled = [n for n in found.table["id_str"].to_pylist() if n not in labels]
        assert chosen == unlabelled[:12]
    if want == "uncertain":
        assert np.abs(chance - 0.5).max() <= np.sort(np.abs(everything - 0.5))[200]
    if want == "diverse":
        vectors = open_vectors(path)
        spread = np.std(vectors.take(vectors.require(chosen)), axis=0).mean()
        top = hoag.find(path, labels, prior=0.15, suggest=12, want="top").suggestions["id_str"]
        assert spread > np.std(vectors.take(vectors.require(top.to_pylist())), axis=0).mean()


def test_several_classes(sky):
    path, ids, _, numbers = sky
    kinds = np.array(["disk", "lens", "ring"])[np.argmax(numbers[:, :3], axis=1)]
    rows = np.random.default_rng(0).choice(1200, 120, replace=False)
    found = hoag.find(path, {ids[row]: kinds[row] for row in rows})
    assert [aim.name for aim in found.aims] == ["disk", "lens", "ring"]
    given = found.table["class"].to_pylist()
    truth = [kinds[ids.index(name)] for name in found.table["id_str"].to_pylist()]
    assert np.mean(np.array(given) == truth) > 0.6
    assert "Ranked highest: lens" in found.page()
    one = hoag.find(path, {ids[row]: kinds[row] for row in rows}, target="lens", prior=0.3)
    assert len(one.aims) == 1 and "class" not in one.table.column_names


def test_numbers_with_intervals_that_hold(sky):
    path, ids, _, numbers = sky
    noise = np.random.default_rng(4).normal(size=1200) * 0.3
    truth = numbers[:, :6].sum(axis=1) + noise
    rows = np.random.default_rng(0).choice(1200, 150, replace=False)
    found = hoag.find(path, {ids[row]: float(truth[row]) for row in rows})
    values = truth[[ids.index(name) for name in found.table["id_str"].to_pylist()]]
    low, high = (found.table[f"value_{end}"].to_numpy() for end in ("low", "high"))
    assert 0.84 <= np.mean((low <= values) & (values <= high)) <= 0.97
    assert found.aims[0].scatter["r2"] > 0.5
    assert "R²" in repr(found) and "value" in found.page()


def test_labels_are_read_as_people_write_them(capsys):
    told = read_sought({"b": 1, "a": 0.0, "c": True})
    assert told.ids == ("a", "b", "c") and told.values.tolist() == [0, 1, 1]
    table = pa.table({"name": ["a", "a", "b", "c"], "bar": ["Yes", "yes ", "no", ""]})
    with pytest.raises(HoagError, match="'Yes' in row 1 and 'yes' in row 2"):
        read_sought(table, key="name")
    table = pa.table({"name": ["a", "a", "b", "c"], "bar": ["yes", "yes ", "no", ""]})
    assert len(read_sought(table, key="name")) == 2
    said = capsys.readouterr().err
    assert "1 rows repeat" in said and "1 rows have no label" in said
    assert read_sought({str(i): i / 10 for i in range(30)}).kind == "numbers"
    assert read_sought({"a": "spiral", "b": "round"}, target="spiral").values.tolist() == [1, 0]


TEN = [f"g{i:04d}" for i in range(10)]
BAD = {
    "one class": (dict.fromkeys(TEN, "yes"), {}, "0 no, 10 yes: at least 3"),
    "too few": ({"g0001": 1, "g0002": 0, "g0003": 0}, {}, "2 no, 1 yes"),
    "no vectors": ({"x": 1, "y": 0}, {}, "none of the 2 labelled galaxies"),
    "two names": ({"g0001": "ring", "g0002": "bar"}, {}, "--target NAME"),
    "no such target": ({"g0001": "ring", "g0002": "bar"}, {"target": "lens"}, "no galaxy is"),
    "mixed": ({"g0001": "ring", "g0002": 1}, {}, "text .'ring'. and numbers"),
    "empty": ({"g0001": None}, {}, "no row has a label"),
    "few numbers": ({n: i / 7 for i, n in enumerate(TEN[:8])}, {"kind": "numbers"}, "at least 10"),
    "all alike": (dict.fromkeys(TEN, 0.5), {"kind": "numbers"}, "not all alike"),
    "infinite": (dict.fromkeys(TEN, float("inf")), {"kind": "numbers"}, "no finite number"),
    "a prior of numbers": (
        {n: i / 7 for i, n in enumerate(TEN)}, {"kind": "numbers", "prior": 0.1}, "are numbers"),
    "prior too large": ({n: i % 2 for i, n in enumerate(TEN)}, {"prior": 2}, "between 0 and 1"),
    "want": ({n: i % 2 for i, n in enumerate(TEN)}, {"want": "best"}, "is none of uncertain"),
    "prior of another": (
        {n: i % 2 for i, n in enumerate(TEN)}, {"prior": {"ring": 0.1}}, "prior of 'ring'"),
    "one prior for three": (
        {n: "abc"[i % 3] for i, n in enumerate(TEN)}, {"prior": 0.1}, "NAME=SHARE"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_sentence(sky, kind):
    labels, arguments, said = BAD[kind]
    with pytest.raises(HoagError, match=said) as error:
        hoag.find(sky[0], labels, **arguments)
    assert "\n" not in str(error.value)


def test_verb_checks_its_output_first_and_reads_shares(sky, tmp_path, capsys):
    path, *_ = sky
    labels = labels_of(sky, 12)
    table = tmp_path / "labels.csv"
    table.write_text("id_str,ring\n" + "".join(f"{n},{v}\n" for n, v in labels.items()))
    with pytest.raises(HoagError, match="tables are read and written as"):
        verb(path, table, tmp_path / "folder")
    with pytest.raises(HoagError, match="no share"):
        verb(path, table, tmp_path / "o.csv", prior=["much"])
    verb(path, table, tmp_path / "o.parquet", prior=["0.15"])
    assert "ring: about 180 of 1,200 galaxies" in capsys.readouterr().out


def test_page_shows_galaxies(tmp_path, galaxies):
    some = galaxies.take(np.arange(80))
    numbers = np.random.default_rng(1).normal(size=(80, 8))
    labels = dict(zip(some.ids[:24], [1, 0] * 12, strict=True))
    found = hoag.find(make_table(some.ids, numbers), labels, galaxies=some, suggest=4)
    assert found.page().count("data:image/jpeg") >= 64
    assert found._repr_html_().count("<img") == 24
    assert found.plot().axes
    assert "No prior was given" in found.about["notes"][0]


def twins(objects=60, images=2):
    """Vectors that say nothing of the labels, each galaxy under several ids at one place."""
    rng = np.random.default_rng(4)
    numbers = np.repeat(rng.normal(size=(objects, 100)), images, axis=0)
    yes = np.repeat(rng.permutation(objects) % 2 == 0, images)
    ids = [f"t{n:04d}" for n in rng.permutation(len(yes))]
    ra = np.repeat(np.linspace(0, 300, objects), images) + rng.normal(0, 1e-4, len(yes))
    places = pa.table({"id_str": ids, "ra": ra, "dec": np.zeros(len(yes))})
    labels = pa.table({"id_str": ids, "label": np.where(yes, "yes", "no")})
    return make_table(ids, numbers), labels, places, yes


@pytest.fixture(scope="module")
def apart():
    """What is found where nobody says which images are of one object."""
    vectors, labels, _, _ = twins()
    return hoag.find(vectors, labels, suggest=0).aims[0]


@pytest.mark.parametrize("told_by", ["catalogue", "embeddings", "galaxies"])
def test_images_of_one_object_do_not_vouch_for_each_other(told_by, tmp_path, apart):
    vectors, labels, places, _ = twins()
    given = {}
    if told_by == "catalogue":
        given["catalogue"] = places
    elif told_by == "embeddings":
        vectors = vectors.append_column("ra", places["ra"]).append_column("dec", places["dec"])
    else:
        path = tmp_path / "g.parquet"
        write_table(places.append_column("image", pa.nulls(len(places), pa.binary())), path)
        given["galaxies"] = hoag.open(path)
    together = hoag.find(vectors, labels, suggest=0, **given).aims[0]
    # Unknown to be twins, they seem to prove a good ranking; held out together, nothing is left.
    assert apart.auc > 0.95 and apart.expected.purity[0, 1] > 0.8
    assert abs(together.auc - 0.5) < 0.2 and together.expected.purity[0, 1] < 0.6
    width = [np.ptp(aim.prior_interval) for aim in (apart, together)]
    assert width[1] > 1.3 * width[0]  # half as many labels, which say less too


def test_numbers_of_twins_are_held_out_together():
    vectors, labels, places, _ = twins()
    values = np.repeat(np.random.default_rng(1).normal(size=60), 2)
    told = pa.table({"id_str": labels["id_str"], "label": values})
    found = [
        hoag.find(vectors, told, kind="numbers", suggest=0, catalogue=known).aims[0].scatter["rms"]
        for known in (None, places)
    ]
    assert found[0] < 0.5 * values.std() < 0.9 * values.std() < found[1]


def test_labels_of_one_object_alone_are_refused():
    vectors, labels, places, yes = twins(images=3)
    one = np.flatnonzero(yes)[:3].tolist() + np.flatnonzero(~yes)[:30].tolist()
    with pytest.raises(HoagError, match="3 labels of one class are all images of one sky object"):
        hoag.find(vectors, labels.take(one), catalogue=places)


def test_an_object_of_both_classes_counts_for_the_rarer():
    objects, yes = np.array([0, 0, 1, 2, 2, 3]), np.array([True, False, False, False, False, True])
    np.testing.assert_array_equal(class_of_objects(objects, yes), [True, False, False, True])
    np.testing.assert_allclose(weights_of(objects), [0.5, 0.5, 1, 0.5, 0.5, 1])

import re
from xml.etree import ElementTree

import hoag
from hoag.notebook import answers_of, galaxies_html, model_html, schema_html


def parsed(html):
    """Parse it strictly: what is not closed or escaped is found."""
    return ElementTree.fromstring(re.sub(r"(<img [^>]*)>", r"\1/>", html).replace(" open>", ">"))


def test_galaxies_are_a_gallery_with_their_ids(galaxies):
    page = parsed(galaxies_html(galaxies))
    pictures = page.findall(".//img")
    assert len(pictures) == 12
    assert all(p.get("src").startswith("data:image/jpeg;base64,") for p in pictures)
    captions = [caption.text for caption in page.findall(".//figcaption")]
    assert captions == galaxies.ids[:12]
    assert "The first 12 of them" in galaxies_html(galaxies)


def test_no_galaxies_are_a_sentence(galaxies):
    assert parsed(galaxies_html(galaxies.take([]))).text.startswith("Galaxies(0")


def test_ids_are_escaped(tmp_path):
    from hoag.writing import write_galaxies

    from .made_galaxies import image

    write_galaxies([{"id_str": "<b>&", "image": image(1)}], tmp_path / "g.parquet")
    page = parsed(galaxies_html(hoag.open(tmp_path / "g.parquet")))
    assert page.find(".//figcaption").text == "<b>&"


def test_a_schema_is_a_tree_for_each_campaign():
    schema = hoag.load_schema("gz-evo")
    page = parsed(schema_html(schema))
    trees = page.findall(".//pre")
    assert len(trees) == 6
    assert "smooth-or-featured?" in "".join(tree.text for tree in trees)
    assert schema.hash in schema_html(schema) == schema._repr_html_()


def test_a_model_is_a_table_of_what_people_ask_first():
    model = hoag.load("timm:resnet18", size=32, device="cpu")
    page = parsed(model._repr_html_())
    cells = {row.find("th").text: row.find("td").text for row in page.findall(".//tr")}
    assert cells["encoder"] == "resnet18, 11.2 M weights"
    assert cells["takes"] == "RGB images of 32 px" and cells["gives"] == "512 features"
    assert cells["answers"] == answers_of(model) == "nothing: it represents alone"
    assert model_html(model) == model._repr_html_()


def test_one_galaxy_is_a_picture_and_its_table_without_what_is_empty(galaxies):
    galaxy = galaxies[0]
    side = galaxy.image.shape[0]
    assert repr(galaxy).startswith(f"Galaxy('{galaxy.id_str}', {side} x {side} px, ")
    assert len(repr(galaxy)) < 100  # no arrays
    page = parsed(galaxy._repr_html_())
    assert len(page.findall(".//img")) == 1
    cells = {row.find("th").text: row.find("td").text for row in page.findall(".//tr")}
    assert cells["id_str"] == galaxy.id_str and cells["survey"] == galaxy.row["survey"]
    assert "0" not in cells.values() and "None" not in cells.values()


def test_galaxies_show_themselves(galaxies):
    assert galaxies._repr_html_() == galaxies_html(galaxies)


def test_a_curve_is_a_picture_on_white_and_figures_are_pictures_without_pyplot():
    from .test_probing import embeddings

    table, labels = embeddings()
    curve = hoag.label_efficiency(table, labels, sizes=[20], subsets=2, workers=1)
    page = curve._repr_html_()
    assert "background:#fff" in page and page.count("data:image/png") == 1
    assert parsed(f"<div>{page}</div>").find("p").text == repr(curve)
    assert curve.plot().figure._repr_png_()[1:4] == b"PNG"


def test_a_calibration_is_a_table_before_and_after():
    from hoag.asking import Calibration

    def judged(share):
        return {"galaxies": 4, "pit_90": share, "rms": 0.2, "rms_floor": 0.1, "pit": [1, 2, 3, 4]}

    both = {"before": judged(0.4), "after": judged(0.9)}
    results = Calibration(all=both, groups=[{"by": "survey", "name": "<b>", **both}])
    page = parsed(results._repr_html_())
    rows = [[cell.text for cell in row] for row in page.findall(".//tr")]
    assert rows[1] == ["all", "4", "40.0%", "90.0%", "0.200", "0.100"]
    assert rows[2][0] == "survey <b>" and len(page.findall(".//img")) == 1


def test_text_of_users_is_escaped_in_what_was_searched_and_found():
    import numpy as np

    from hoag.embedding import make_table

    table = make_table(["<b>", "c", "d"], np.eye(3, dtype=np.float32), {})
    assert "<b>" not in hoag.search(table, "<b>")._repr_html_()

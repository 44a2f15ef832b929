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

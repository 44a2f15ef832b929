"""GZ-Evo v0.1 exactly, the corrected trees, and every mistake a campaign file can hold."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hoag import HoagError
from hoag.campaigns import Question
from hoag.schema import Schema, draw_tree, load_schema

SHARED = Path(__file__).parents[2] / "shared" / "gz-evo-v0.1.json"
SIZES = {
    "dr12": (10, 30),
    "dr5": (10, 34),
    "dr8": (10, 34),
    "gz2": (10, 30),
    "candels": (12, 38),
    "hubble": (13, 40),
}
MINE = """
campaign = "mine"
title = "My Zoo"

[[question]]
name = "jellyfish"
answers = ["yes", "no"]

[[question]]
name = "tails"
answers = ["1", "2", "more"]
asked_after = ["jellyfish_yes"]
"""


@pytest.fixture
def mine(tmp_path):
    """Write a campaign file, MINE with one text replaced by another, and give its path."""

    def write(old="", new=""):
        assert old in MINE
        path = tmp_path / "mine.toml"
        path.write_text(MINE.replace(old, new, 1) if old else MINE)
        return path

    return write


def test_gz_evo_has_65_questions_and_206_answers():
    schema = load_schema("gz-evo")
    assert (len(schema.questions), len(schema.answers), len(schema.columns)) == (65, 206, 206)
    assert schema.campaigns == tuple(SIZES)
    assert (schema.name, schema.version) == ("gz-evo", "0.1")
    assert (schema.columns[0], schema.columns[-1]) == (
        "smooth-or-featured-dr12_smooth",
        "clumps-embedded-larger-object-hubble_no",
    )


@pytest.mark.parametrize("campaign", SIZES)
def test_each_campaign_loads_alone_with_its_questions(campaign):
    alone, part = load_schema(campaign), load_schema().select([campaign])
    assert (len(alone.questions), len(alone.columns)) == SIZES[campaign]
    assert alone == part
    assert alone.hash == part.hash
    assert all(column.partition("_")[0].endswith(f"-{campaign}") for column in alone.columns)
    assert alone.about[0].title and alone.about[0].survey and alone.about[0].cite


def test_content_hash_is_pinned():
    # Every checkpoint and table carries this: if it changes, old ones no longer match. A new
    # schema is a new version with a new file, not a change of this one.
    assert load_schema("gz-evo").hash == "941259aaa59154ec"
    assert load_schema("gz2").hash == "d55c561ac95d8c6e"


def test_names_and_order_are_those_of_the_shared_list():
    if not SHARED.exists():
        pytest.skip(f"{SHARED} IS NOT HERE: names and order are checked by the pinned hash alone")
    published = json.loads(SHARED.read_text())["questions"]
    schema = load_schema()
    assert [q.name for q in schema.questions] == list(published)
    assert [list(q.answers) for q in schema.questions] == [q["answers"] for q in published.values()]


def test_parents_are_those_of_the_shared_list_but_for_its_corrections():
    if not SHARED.exists():
        pytest.skip(f"{SHARED} IS NOT HERE: parents are checked by the pinned hash alone")
    published = json.loads(SHARED.read_text())["questions"]
    changed = {
        question.name
        for question in load_schema().questions
        if list(question.asked_after) != [p for p in [published[question.name]["asked_after"]] if p]
    }
    assert changed == {
        *("has-spiral-arms-gz2", "bar-gz2", "bulge-size-gz2", "something-odd-gz2"),
        *("merging-dr12", "merging-dr5", "merging-dr8", "merging-candels"),
        *("spiral-winding-candels", "spiral-arm-count-candels"),
        *("spiral-winding-hubble", "spiral-arm-count-hubble"),
    }


@pytest.mark.parametrize(
    ("name", "parents"),
    [
        ("bar-gz2", ["disk-edge-on-gz2_no"]),
        ("has-spiral-arms-gz2", ["disk-edge-on-gz2_no"]),
        ("bulge-size-gz2", ["disk-edge-on-gz2_no"]),
        ("spiral-winding-hubble", ["has-spiral-arms-hubble_yes"]),
        ("spiral-arm-count-candels", ["has-spiral-arms-candels_yes"]),
        (
            "something-odd-gz2",
            ["smooth-or-featured-gz2_smooth", "smooth-or-featured-gz2_featured-or-disk"],
        ),
        (
            "merging-candels",
            ["smooth-or-featured-candels_smooth", "smooth-or-featured-candels_features"],
        ),
        ("smooth-or-featured-dr5", []),
    ],
)
def test_corrected_parents(name, parents):
    assert list(load_schema().question(name).asked_after) == parents


def test_questions_slice_the_columns_and_index_the_answers():
    schema = load_schema()
    for n, question in enumerate(schema.questions):
        assert schema.columns[question.start : question.stop] == question.columns
        assert (schema.question_index[question.start : question.stop] == n).all()
        assert schema.starts[n] == question.start
    assert schema.question_index.dtype == schema.starts.dtype == np.int64
    assert schema.campaign_of_question.count("hubble") == 13
    with pytest.raises(ValueError, match="read-only"):
        schema.starts[0] = 1


def test_selected_campaigns_keep_the_schemas_order_and_are_laid_out_anew():
    part = load_schema().select(["hubble", "gz2"])
    assert part.campaigns == ("gz2", "hubble")
    assert part.name == "gz2+hubble"
    assert part.questions[0].start == 0
    assert part.questions[-1].stop == len(part.columns) == 70
    with pytest.raises(HoagError, match="no campaign 'gz3'"):
        part.select("gz3")


def test_a_schema_survives_json(tmp_path):
    schema = load_schema()
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema.to_dict()))
    again = load_schema(path)
    assert again == schema
    assert again.about == schema.about
    assert again.question("bar-gz2").text == schema.question("bar-gz2").text != ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["questions"].pop(), "it was changed after it was written"),
        (lambda d: d["questions"][0].pop("answers"), "not a schema as hoag writes it"),
        (lambda d: d.pop("hash"), "not a schema as hoag writes it"),
        (lambda d: d.update(questions=3), "not a schema as hoag writes it"),
        (lambda d: d.update(questions=[]), "there are no questions"),
    ],
)
def test_a_changed_schema_json_is_refused(tmp_path, change, message):
    content = load_schema("gz2").to_dict()
    change(content)
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(content))
    with pytest.raises(HoagError, match=message):
        load_schema(path)


@pytest.mark.parametrize("content", ["[]", "3", '"gz2"', "null"])
def test_json_that_is_no_schema_is_refused(tmp_path, content):
    path = tmp_path / "schema.json"
    path.write_text(content)
    with pytest.raises(HoagError, match="schema.json: not a schema"):
        load_schema(path)


def hash_of(*questions):
    return Schema("x", tuple(questions)).hash


def test_hash_covers_names_order_and_parents_and_nothing_else():
    one, two = Question("a-x", "x", ("_y", "_n")), Question("b-x", "x", ("_y", "_n"))
    after = Question("b-x", "x", ("_y", "_n"), ("a-x_y",))
    both, same = (
        Question("b-x", "x", ("_y", "_n"), parents)
        for parents in (("a-x_y", "a-x_n"), ("a-x_n", "a-x_y"))
    )
    different = [
        hash_of(one),
        hash_of(one, two),
        hash_of(two, one),
        hash_of(one, after),
        hash_of(one, both),
        hash_of(one, Question("b-x", "x", ("_n", "_y"))),
        hash_of(one, Question("c-x", "x", ("_y", "_n"))),
    ]
    assert len(set(different)) == len(different)
    assert hash_of(one, both) == hash_of(one, same)
    assert hash_of(Question("a-x", "x", ("_y", "_n"), text="What?")) == hash_of(one)


def test_a_campaign_of_ones_own(mine):
    schema = load_schema(mine())
    assert schema.columns == (
        "jellyfish-mine_yes",
        "jellyfish-mine_no",
        "tails-mine_1",
        "tails-mine_2",
        "tails-mine_more",
    )
    assert schema.question("tails-mine").asked_after == ("jellyfish-mine_yes",)
    assert schema.name == "mine"


def test_a_campaign_of_ones_own_joins_gz_evo(mine):
    joined = load_schema(["gz-evo", mine()])
    assert joined.columns[:206] == load_schema().columns
    assert len(joined.columns) == 211
    assert joined.name == "gz-evo+mine"
    assert joined.question("tails-mine").start == 208


def test_an_index_file_of_ones_own_names_files_beside_it(mine):
    path = mine()
    index = path.with_name("zoos.toml")
    index.write_text('name = "zoos"\nversion = "2"\ncampaigns = ["gz2", "mine.toml"]\n')
    schema = load_schema(str(index))
    assert (schema.name, schema.version, schema.campaigns) == ("zoos", "2", ("gz2", "mine"))


def test_parents_may_be_given_as_whole_columns_and_out_of_order(tmp_path):
    path = tmp_path / "late.toml"
    path.write_text(
        'campaign = "x"\n'
        '[[question]]\nname = "b"\nanswers = ["1", "2"]\nasked_after = ["a_b-x_my_way"]\n'
        '[[question]]\nname = "a_b"\nanswers = ["my_way", "no"]\n'
    )
    assert load_schema(path).question("b-x").asked_after == ("a_b-x_my_way",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"jellyfish_yes"', '"jellyfish_yess"', "question 'tails' is asked after 'jellyfish_yess'"),
        ('"jellyfish_yes"', '"jellyfish_yess"', "did you mean 'jellyfish-mine_yes'?"),
        ('"jellyfish_yes"', '"tails_1"', "in a circle: tails-mine after tails-mine"),
        ('"jellyfish_yes"', '"jellyfish_yes", "jellyfish_yes"', "'jellyfish-mine_yes' comes 2"),
        ('["yes", "no"]', '["yes", "no"]\nasked_after = ["tails_1"]', "in a circle: jellyfish-"),
        ('"tails"', '"jellyfish"', "question 'jellyfish-mine' comes 2 times"),
        ('"yes", "no"', '"yes", "yes"', "question 'jellyfish': answer '_yes' comes 2 times"),
        ('"yes", "no"', '"yes"', "question 'jellyfish' needs at least two answers"),
        ('["yes", "no"]', '"yes"', "answers = 'yes' must be a list of texts"),
        ('["1", "2", "more"]', "[1, 2, 3]", r"answers = \[1, 2, 3\] must be a list of texts"),
        ('["jellyfish_yes"]', '"jellyfish_yes"', "asked_after = 'jellyfish_yes' must be a list"),
        ('"yes", "no"', '"_yes", "no"', "answer '_yes' is no name for a column"),
        ('"tails"', '"how many tails"', "question 'how many tails' is no name for a column"),
        ('"tails"', '"tails-mine"', "leave out the campaign's suffix '-mine'"),
        ('name = "tails"', "", "question 2: name is missing"),
        ('name = "tails"', "name = 2", "question 2: name = 2 must be text"),
        ("asked_after", "asked_afer", "unknown key 'asked_afer'; did you mean 'asked_after'?"),
        ("title", "titel", "unknown key 'titel'; did you mean 'title'?"),
        ("title", "colour", "unknown key 'colour'; it may be one of campaign, title"),
        ('campaign = "mine"', "", "campaign is missing"),
        ('campaign = "mine"', "campaign = 5", "campaign = 5 must be text"),
        ('"My Zoo"', "7", "title = 7 must be text"),
        ('"My Zoo"', '"My Zoo', "not valid TOML"),
        (MINE, "", "campaign is missing"),
        (MINE, 'campaign = "mine"', "no questions"),
        (MINE, 'campaign = "mine"\nquestion = [3]', "no questions"),
        (MINE, "campaigns = []", r"campaigns = \[\] must be a list"),
        (MINE, 'campaigns = ["gz2"]\nnaem = "x"', "unknown key 'naem'; did you mean 'name'?"),
        (MINE, 'campaigns = ["gz2"]\nversion = 1', "name and version must be text"),
        (MINE, 'campaigns = ["other.toml"]', "other.toml: no such file"),
    ],
)
def test_a_mistake_in_a_campaign_file_is_one_sentence_with_its_name(mine, old, new, message):
    with pytest.raises(HoagError, match=message) as caught:
        load_schema(mine(old, new))
    assert ".toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_longer_circle_is_shown_whole():
    circle = [("a", "c-x_y"), ("b", "a-x_y"), ("c", "b-x_y")]
    questions = tuple(Question(f"{n}-x", "x", ("_y", "_n"), (p,)) for n, p in circle)
    with pytest.raises(HoagError, match="a-x after c-x after b-x after a-x"):
        Schema("x", (Question("root-x", "x", ("_y", "_n")), *questions))


def test_two_questions_may_not_make_the_same_column():
    with pytest.raises(HoagError, match="column 'a-x_b_c' comes 2 times"):
        Schema("x", (Question("a-x", "x", ("_b_c", "_d")), Question("a-x_b", "x", ("_c", "_d"))))


def test_files_that_cannot_be_read_are_said(tmp_path):
    with pytest.raises(HoagError, match="missing.toml: no such file"):
        load_schema(tmp_path / "missing.toml")
    with pytest.raises(HoagError, match="missing.json: no such file"):
        load_schema(tmp_path / "missing.json")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(HoagError, match="folder.toml: cannot be read"):
        load_schema(tmp_path / "folder.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(HoagError, match="bytes.toml: not valid TOML"):
        load_schema(tmp_path / "bytes.toml")


@pytest.mark.parametrize("name", ["gz-evol", "", "..", "../schemas/gz2", "/gz2"])
def test_unknown_names_are_refused_with_the_known_ones(name):
    with pytest.raises(HoagError, match="no schema or campaign .* hoag has candels, dr12"):
        load_schema(name)


def test_the_same_campaign_twice_is_refused(mine):
    with pytest.raises(HoagError, match="campaign 'gz2' comes 2 times, from gz-evo and gz2"):
        load_schema(["gz-evo", "gz2"])
    with pytest.raises(HoagError, match="campaign 'gz2' comes 2 times"):
        load_schema(["gz-evo", mine('"mine"', '"gz2"')])
    with pytest.raises(HoagError, match="no schema given"):
        load_schema([])


def test_an_unknown_question_is_refused_with_the_nearest():
    with pytest.raises(HoagError, match="no question 'bar-gz3'; did you mean 'bar-gz2'?"):
        load_schema().question("bar-gz3")


def test_tree_is_drawn_like_this():
    assert draw_tree(load_schema(), "gz2").splitlines() == [
        "gz2 · Galaxy Zoo 2 · SDSS DR7 (Sloan 2.5 m)",
        "10 questions, 30 answers, columns like smooth-or-featured-gz2_smooth",
        "",
        "smooth-or-featured?",
        "├─ smooth",
        "│  ╰─ how-rounded?  round · in-between · cigar",
        "├─ featured-or-disk",
        "│  ╰─ disk-edge-on?",
        "│     ├─ yes",
        "│     │  ╰─ bulge-shape?  round · boxy · no-bulge",
        "│     ╰─ no",
        "│        ├─ has-spiral-arms?",
        "│        │  ├─ yes",
        "│        │  │  ├─ spiral-winding?  tight · medium · loose",
        "│        │  │  ╰─ spiral-arm-count?  1 · 2 · 3 · 4 · more-than-4 · cant-tell",
        "│        │  ╰─ no",
        "│        ├─ bar?  yes · no",
        "│        ╰─ bulge-size?  dominant · obvious · just-noticeable · no",
        "╰─ artifact",
        "something-odd?  yes · no",
        "   after smooth-or-featured_smooth or _featured-or-disk",
    ]


def test_every_question_and_answer_is_drawn_once_within_80_columns():
    schema = load_schema()
    for campaign in schema.campaigns:
        tree = draw_tree(schema, campaign)
        assert max(map(len, tree.splitlines())) <= 80
        words = tree.replace("?", " ? ").split()
        for question in schema.select(campaign).questions:
            assert tree.count(f"{question.short}?") == 1
            assert all(answer.removeprefix("_") in words for answer in question.answers)


def test_a_question_with_parents_in_two_questions_names_both():
    first, second = Question("a-x", "x", ("_y", "_n")), Question("b-x", "x", ("_y", "_n"))
    third = Question("c-x", "x", ("_y", "_n"), ("a-x_y", "b-x_y", "b-x_n"))
    fourth = Question("d-x", "x", ("_y", "_n"), ("c-x_n",))
    assert draw_tree(Schema("x", (first, second, third, fourth))).splitlines()[3:] == [
        "a?  y · n",
        "b?  y · n",
        "c?",
        "   after a_y or b_y or _n",
        "├─ y",
        "╰─ n",
        "   ╰─ d?  y · n",
    ]


def test_all_campaigns_are_drawn_unless_one_is_named():
    schema = load_schema()
    assert draw_tree(schema) == "\n\n".join(draw_tree(schema, name) for name in SIZES)
    with pytest.raises(HoagError, match="no campaign 'sdss'"):
        draw_tree(schema, "sdss")


def test_importing_the_schema_is_cheap():
    heavy = "torch datasets astropy sklearn scipy matplotlib pandas pyarrow timm lightning".split()
    code = f"import sys, hoag; hoag.load_schema(); print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

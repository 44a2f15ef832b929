import numpy as np
import pyarrow as pa
import pytest

from hoag.errors import HoagError
from hoag.labels import encode_labels, label_mapping


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ({"b": 1, "a": 0, "c": 1}, ("0", "1")),
        ({"b": True, "a": False, "c": np.bool_(True)}, ("0", "1")),
        ({"b": 1.0, "a": 0.0, "c": np.float32(1)}, ("0", "1")),
        ({"b": "ring", "a": "none", "c": "ring"}, ("none", "ring")),
        (pa.table({"id_str": ["b", "a", "c"], "ring": [1, 0, 1]}), ("0", "1")),
        (pa.table({"ring": [10, 9, 10], "id_str": ["b", "a", "c"]}), ("9", "10")),
    ],
)
def test_labels_of_every_form_are_read_in_the_order_of_ids(
    labels: object, classes: tuple[str, ...]
) -> None:
    ids, numbers, names = encode_labels(labels)
    assert ids == ["a", "b", "c"]
    assert numbers.tolist() == [0, 1, 1]
    assert names == classes
    assert label_mapping(labels) == {"a": classes[0], "b": classes[1], "c": classes[1]}


def test_classes_may_be_named_in_their_order() -> None:
    classes = ("smooth", "disc", "edge-on")
    assert encode_labels({"a": 2, "b": 0}, classes)[1:][0].tolist() == [2, 0]
    assert encode_labels({"a": "edge-on", "b": "smooth"}, classes)[1].tolist() == [2, 0]
    with pytest.raises(HoagError, match="galaxy 'a' has label 3, none of smooth, disc, edge-on"):
        encode_labels({"a": 3}, classes)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({}, "there are no labels"),
        ({"a": 0, "b": None}, "galaxy 'b' has no label"),
        ({"a": 0, "b": float("nan")}, "galaxy 'b' has no label"),
        ({"a": 0, "b": 0.5}, "galaxy 'b' has label 0.5; labels are whole numbers or text"),
        ({"a": 0, "b": float("inf")}, "galaxy 'b' has label inf"),
        ({"a": 0, "b": "ring"}, "some labels are text and some are numbers"),
        (pa.table({"id_str": ["a"], "x": [1], "y": [2]}), "this one has id_str, x, y"),
        (pa.table({"name": ["a"], "x": [1]}), "the columns 'id_str' and one more"),
        (pa.table({"id_str": ["a", "a"], "x": [1, 2]}), "'a' stands in rows 1 and 2"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(labels: object, words: str) -> None:
    with pytest.raises(HoagError, match=words):
        encode_labels(labels)

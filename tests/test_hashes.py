"""Hashes: of the text alone, and repeats found exactly even where two hashes are equal."""

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hoag.hashes import are_in, first_repeat, hash_of, hashes_of


def test_the_hash_is_blake2b_of_the_text():
    for text in ("587722981741363294", "Ω", ""):
        digest = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
        assert hash_of(text) == int(digest, 16) == int(hashes_of([text])[0])
    assert hashes_of([]).shape == (0,) and hashes_of(["a"]).dtype == np.uint64


@given(st.lists(st.integers(0, 20)), st.lists(st.integers(0, 20)))
def test_membership_is_that_of_sets(values, wanted):
    hashes, among = np.array(values, np.uint64), np.array(wanted, np.uint64)
    assert are_in(hashes, among).tolist() == [value in set(wanted) for value in values]


@given(st.lists(st.sampled_from("abcdefgh"), max_size=10), st.integers(1, 5))
def test_the_first_repeat_is_the_one_a_walk_meets(texts, different):
    # Few different hashes: texts that merely share one are no repeat.
    hashes = np.array([ord(text) % different for text in texts], np.uint64)
    seen, expected = {}, None
    for row, text in enumerate(texts):
        if expected is None and text in seen:
            expected = (seen[text], row, text)
        seen.setdefault(text, row)
    assert first_repeat(hashes, lambda rows: [texts[row] for row in rows]) == expected

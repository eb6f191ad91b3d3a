"""Tags as one text within what a platform's tags may hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.destinations.labels import label
from pipelines.destinations.protocol import Tag


def test_a_plain_tag_is_readable():
    assert label("omnilake:", Tag("segment", "champions")) == "omnilake:segment=champions"


def test_what_a_platform_would_split_or_lose_is_written_otherwise():
    assert label("o:", Tag("a", "x,y\r\n100% ")) == "o:a=x%2Cy%0D%0A100%25%20"


def test_a_long_label_is_cut_by_characters_or_bytes_and_stays_apart_from_its_like():
    one, other = (label("omnilake:", Tag("segment", "很" * 40 + end), characters=30, size=30) for end in "ab")

    assert one.startswith("omnilake:segment=")
    assert one != other
    assert len(one.encode()) <= 30


def test_a_prefix_without_room_is_told():
    with pytest.raises(ValueError, match="leaves no room"):
        label("a-very-long-prefix-indeed:", Tag("segment", "champions"), characters=30)


@given(first=st.text(max_size=60), second=st.text(max_size=60))
def test_two_values_never_share_a_label(first, second):
    labels = {label("omnilake:", Tag("segment", value), characters=32) for value in (first, second)}

    assert len(labels) == len({first, second})
    assert all(len(one) <= 32 and one.isprintable() and "," not in one for one in labels)

"""Buckets of token lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptdq.statistics.buckets import MAX_BUCKETS, MIN_DOCUMENTS, bucket_edges


@given(st.lists(st.integers(1, 384), min_size=1, max_size=400))
def test_every_bucket_has_enough_documents_or_is_the_only_one(lengths: list[int]) -> None:
    tokens = np.array(lengths)
    edges = bucket_edges(tokens)
    held = np.bincount(np.searchsorted(np.array(edges), tokens, side="right"))
    assert list(edges) == sorted(set(edges))
    assert held.sum() == len(tokens)
    assert len(held) == len(edges) + 1 <= MAX_BUCKETS
    assert len(held) == 1 or held.min() >= MIN_DOCUMENTS


def test_distinct_lengths_are_split_evenly() -> None:
    assert bucket_edges(np.arange(1, 201)) == (51, 101, 151)


def test_truncated_documents_share_a_bucket() -> None:
    tokens = np.concatenate([np.arange(100), np.full(150, 128)])
    edges = bucket_edges(tokens)
    assert edges[-1] == 128
    assert bucket_edges(np.full(500, 128)) == ()


def test_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="vector"):
        bucket_edges(np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="at least 1"):
        bucket_edges(np.ones(3, dtype=np.int64), max_buckets=0)

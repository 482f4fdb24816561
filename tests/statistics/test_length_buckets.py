"""Buckets of token lengths."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptdq.statistics.buckets import MAX_BUCKETS, MIN_DOCUMENTS, bucket_edges, ratios_by_length
from ptdq.statistics.ratios import speed_up
from tests.support.simulate import CLEAN, simulate


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


def test_ratio_of_each_bucket_follows_the_gain() -> None:
    """The gain shrinks with length; each bucket is what ``speed_up`` gives on its documents."""
    made = simulate(CLEAN, np.random.default_rng(1), documents=300, fade=0.5)
    (old, new), cores = made.times, (made.cores[0], made.cores[1])
    buckets = ratios_by_length(old, new, *cores, made.tokens)
    points = [bucket.ratio.point for bucket in buckets]
    assert len(buckets) == 4
    assert points == sorted(points, reverse=True)
    assert sum(bucket.documents for bucket in buckets) == 300
    first = made.tokens <= buckets[0].longest
    assert buckets[0].ratio == speed_up(*made.times[:, :, first], *made.cores)


def test_given_edges_are_used_and_empty_buckets_left_out() -> None:
    made = simulate(CLEAN, np.random.default_rng(2), documents=100)
    (old, new), cores = made.times, (made.cores[0], made.cores[1])
    buckets = ratios_by_length(old, new, *cores, made.tokens, edges=(128, 1000))
    assert [bucket.documents for bucket in buckets] == [
        int((made.tokens < 128).sum()),
        int((made.tokens >= 128).sum()),
    ]


def test_rejects_what_it_cannot_use() -> None:
    with pytest.raises(ValueError, match="vector"):
        bucket_edges(np.array([], dtype=np.int64))
    with pytest.raises(ValueError, match="at least 1"):
        bucket_edges(np.ones(3, dtype=np.int64), max_buckets=0)
    times, cores = np.ones((4, 30)), np.zeros(4, dtype=np.int64)
    with pytest.raises(ValueError, match="tokens"):
        ratios_by_length(times, times, cores, cores, np.ones(29, dtype=np.int64))

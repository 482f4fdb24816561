"""Scores of other tasks than classes: those of scikit-learn and scipy, and slow obvious ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, mean_absolute_error, ndcg_score, precision_recall_fscore_support

from ptdq.statistics import multi_label, ranking, regression
from ptdq.statistics.resampling import Sampling
from ptdq.statistics.weighted import Paired, Rows

SEEDS = st.integers(0, 10_000)
FAST = settings(max_examples=12, deadline=None)


def labels_of(seed: int, documents: int = 60, labels: int = 5) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = (random.random((documents, labels)) < 0.3).astype(float)
    wrong = random.random(truth.shape) < 0.2
    return truth, np.where(wrong, 1 - truth, truth)


def values_of(seed: int, documents: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """With values that are equal, as annotators give them."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, 11, documents) / 2
    return truth, np.round(truth + random.normal(0, 1, documents), 1)


def copies(weights: np.ndarray, *arrays: np.ndarray) -> list[np.ndarray]:
    """Each document as often as its weight says."""
    return [np.repeat(array, weights.astype(int), axis=0) for array in arrays]


@FAST
@given(SEEDS)
def test_multi_label_is_scikit_learns(seed: int) -> None:
    truth, answers = labels_of(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(truth))).astype(float)
    for name, average in (("f1_micro", "micro"), ("f1_macro", "macro")):
        found = multi_label.SCORERS[name](truth, answers)(weights)
        for row, value in zip(weights, found, strict=True):
            expected = f1_score(*copies(row, truth, answers), average=average, zero_division=0)
            assert value == pytest.approx(expected)
    exact = multi_label.subset_accuracy(truth, answers)(np.ones((1, len(truth))))
    assert exact[0] == pytest.approx((truth == answers).all(axis=1).mean())
    precision, recall, f1, support = precision_recall_fscore_support(truth, answers, zero_division=0)
    for label, each in enumerate(multi_label.by_label(truth, answers)):
        assert (each.precision, each.recall, each.f1, each.support) == pytest.approx(
            (precision[label], recall[label], f1[label], support[label])
        )


@FAST
@given(SEEDS)
def test_regression_is_scipys(seed: int) -> None:
    truth, answers = values_of(seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(truth))).astype(float)
    expected = {
        "pearson": lambda x, y: stats.pearsonr(x, y).statistic,
        "spearman": lambda x, y: stats.spearmanr(x, y).statistic,
        "mean_absolute_error": mean_absolute_error,
    }
    for name, scorer in regression.SCORERS.items():
        for row, value in zip(weights, scorer(truth, answers)(weights), strict=True):
            assert value == pytest.approx(expected[name](*copies(row, truth, answers)))


def test_a_constant_answer_is_correlated_with_nothing() -> None:
    truth, _ = values_of(1)
    for name in ("pearson", "spearman"):
        found = regression.SCORERS[name](truth, np.full(len(truth), 0.1))(np.ones((1, len(truth))))
        assert found.tolist() == [0.0]


def queries_of(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    queries = np.repeat(np.arange(12), random.integers(2, 25, 12))
    relevance = random.integers(0, 3, len(queries)) * (random.random(len(queries)) < 0.4)
    shuffled = random.permutation(len(queries))
    return relevance[shuffled].astype(float), random.normal(size=len(queries)), queries[shuffled]


@FAST
@given(SEEDS)
def test_rankings_are_scikit_learns_and_the_obvious_ones(seed: int) -> None:
    relevance, scores, queries = queries_of(seed)
    places = 1 + seed % 15
    found = ranking.by_query(relevance, scores, queries, places)
    for query in range(12):
        mine = queries == query
        gains = relevance[mine]
        ranked = [gain for _, gain in sorted(zip(-scores[mine], gains, strict=True))]
        if not any(ranked):
            assert np.isnan(found[query]).all()
            continue
        first = next(place for place, gain in enumerate(ranked, 1) if gain > 0)
        expected = (
            ndcg_score(gains[None], scores[mine][None], k=10),
            1 / first if first <= 10 else 0.0,
            sum(gain > 0 for gain in ranked[:places]) / sum(gain > 0 for gain in ranked),
        )
        assert found[query] == pytest.approx(expected)


@FAST
@given(SEEDS)
def test_rankings_are_trec_evals(seed: int) -> None:
    """By the program of the TREC conferences itself, bound to Python."""
    trec = pytest.importorskip("pytrec_eval")
    relevance, scores, queries = queries_of(seed)
    places = 1 + seed % 15
    names = [f"query {query}" for query in queries]
    truth: dict[str, dict[str, int]] = {name: {} for name in names}
    answers: dict[str, dict[str, float]] = {name: {} for name in names}
    for number, name in enumerate(names):
        truth[name][f"candidate {number}"] = int(relevance[number])
        answers[name][f"candidate {number}"] = float(scores[number])
    asked = {"ndcg_cut.10", f"recall.{places}", "recip_rank"}
    expected = trec.RelevanceEvaluator(truth, asked).evaluate(answers)
    found = ranking.by_query(relevance, scores, queries, places)
    judged = [query for query in range(12) if np.isfinite(found[query, 0])]
    assert judged
    for query in judged:
        own = expected[f"query {query}"]
        reciprocal = own["recip_rank"] if own["recip_rank"] >= 1 / 10 else 0.0  # it has no cutoff there
        assert found[query] == pytest.approx((own["ndcg_cut_10"], reciprocal, own[f"recall_{places}"]))


def test_equal_scores_rank_nothing() -> None:
    relevance, queries = np.array([2.0, 1.0, 0.0, 0.0]), np.zeros(4, np.int64)
    tied = ranking.by_query(relevance, np.zeros(4), queries)
    worst = ranking.by_query(relevance, np.array([0.0, 1.0, 2.0, 3.0]), queries)
    assert tied.tolist() == worst.tolist()


@FAST
@given(SEEDS)
def test_agreement_of_rankings_is_scipys(seed: int) -> None:
    _, scores, queries = queries_of(seed)
    other = np.round(scores + np.random.default_rng(seed + 1).normal(0, 0.3, len(scores)), 1)
    found = ranking.rank_agreement(scores, other, queries)
    for query in range(12):
        mine = queries == query
        expected = stats.kendalltau(scores[mine], other[mine]).statistic
        assert found[query] == pytest.approx(expected, nan_ok=True)
    assert ranking.rank_agreement(scores, scores, queries) == pytest.approx(np.ones(12))


def paired(
    truth: np.ndarray, old: np.ndarray, new: np.ndarray, groups: np.ndarray | None = None
) -> Paired:
    return Paired(
        Rows(truth, old, new), multi_label.unseen(truth), multi_label.SCORERS, groups,
        sampling=Sampling(2000, 3),
    )  # fmt: skip


def test_nothing_changed_is_not_certainty() -> None:
    """With N documents a loss of 3 / N cannot be excluded, as for classes."""
    for documents, outcome in ((60, "undecided"), (2000, "non-inferior")):
        truth, answers = labels_of(4, documents)
        found = paired(truth, answers, answers)
        change = found.changes()["f1_micro"]
        assert change.difference == 0
        low, high = change.interval()
        assert low < 0 < high
        kept = found.kept(change, 0.99)
        decided = kept.decide()
        assert decided.outcome == outcome
        assert decided.ratio == 1
        if outcome == "undecided":
            needed = kept.documents_needed()
            assert needed is not None
            assert 100 < needed < 2000
        else:
            assert kept.p_value < 0.05
            assert kept.documents_needed() is None


def test_a_loss_is_found_and_copies_say_nothing_new() -> None:
    truth, old = labels_of(5, 400)
    new = np.where(np.random.default_rng(6).random(truth.shape) < 0.2, 1 - old, old)
    found = paired(truth, old, new)
    change = found.changes()["f1_micro"]
    assert change.interval()[1] < 0
    assert change.drop_bound() > -change.difference
    assert found.kept(change, 0.99).decide().outcome == "inferior"
    again, before, after = (np.concatenate([each] * 4) for each in (truth, old, new))
    copied = paired(again, before, after, np.tile(np.arange(400), 4)).changes()["f1_micro"]
    assert copied.interval() == pytest.approx(change.interval(), abs=0.01)


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.04, 0.06, 0.1, 0.2])
def test_the_p_value_goes_with_the_interval(wrong: float) -> None:
    truth, old = labels_of(8, 200)
    new = np.where(np.random.default_rng(9).random(truth.shape) < wrong, 1 - old, old)
    for change in paired(truth, old, new).changes().values():
        low, high = change.interval()
        assert (change.p_value() < 0.05) == (not low <= 0 <= high)
        assert 0 < change.p_value() <= 1


def test_the_p_value_is_small_in_no_more_than_its_share_of_cases_without_a_difference() -> None:
    random, small = np.random.default_rng(12), 0
    for _ in range(200):
        truth = random.normal(size=60)
        old, new = (truth + random.normal(size=60) for _ in range(2))
        change = Paired(
            Rows(truth, old, new), regression.unseen(truth), regression.SCORERS, sampling=Sampling(800, 3)
        ).changes()["spearman"]
        small += change.p_value() <= 0.05
    assert small <= stats.binom.ppf(0.99, 200, 0.05)


def test_less_error_is_better() -> None:
    truth, old = values_of(7, 300)
    new = truth + 3 * (old - truth)
    found = Paired(
        Rows(truth, old, new), regression.unseen(truth), regression.SCORERS,
        lower=frozenset({"mean_absolute_error"}), sampling=Sampling(2000, 3),
    ).changes()  # fmt: skip
    error = found["mean_absolute_error"]
    assert error.difference > 0
    assert 0 < error.interval()[0] < error.difference < error.interval()[1]
    assert error.drop_bound() > error.difference
    assert found["spearman"].difference < 0


def test_intervals_cover() -> None:
    """The 95 % interval of a difference of Spearman holds the true one about that often."""
    random, hits = np.random.default_rng(11), 0

    def sample(count: int) -> Rows:
        truth = random.normal(size=count)
        shared = random.normal(size=count)
        old = truth + shared
        return Rows(truth, old, truth + shared + 0.5 * random.normal(size=count))

    large = sample(400_000)
    true = (
        stats.spearmanr(large.truth, large.new).statistic
        - stats.spearmanr(large.truth, large.old).statistic
    )
    for _ in range(60):
        rows = sample(120)
        found = Paired(
            rows, regression.unseen(rows.truth), {"spearman": regression.spearman},
            sampling=Sampling(400, 1),
        ).changes()["spearman"]  # fmt: skip
        low, high = found.interval()
        hits += low <= true <= high
    assert hits >= 53

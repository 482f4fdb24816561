"""The corpus is what it claims to be, and it is a problem."""

from __future__ import annotations

import random
from collections import Counter
from itertools import islice, pairwise
from statistics import median

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from ptdq.demo.corpus import Corpus, Document, _even, _Writer, make_corpus
from ptdq.demo.phrases import CLASSES, fill, load


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return make_corpus(2000, 400, seed=7)


def test_test_set_is_balanced(corpus: Corpus) -> None:
    assert Counter(document.label for document in corpus.test) == dict.fromkeys(range(8), 50)


def test_lengths_spread_like_news(corpus: Corpus) -> None:
    for documents in (corpus.train, corpus.test):
        lengths = [len(document.text) for document in documents]
        assert min(lengths) < 25
        assert max(lengths) > 1000
        assert 100 <= median(lengths) <= 200


def test_same_seed_same_corpus() -> None:
    assert make_corpus(96, 48, seed=3) == make_corpus(96, 48, seed=3)
    assert make_corpus(96, 48, seed=3) != make_corpus(96, 48, seed=4)


def test_test_set_does_not_depend_on_training_size() -> None:
    assert make_corpus(96, 48, seed=3).test == make_corpus(192, 48, seed=3).test


def test_no_text_is_in_both_sets(corpus: Corpus) -> None:
    train = {document.text for document in corpus.train}
    test = {document.text for document in corpus.test}
    assert len(train) == 2000
    assert len(test) == 400
    assert not train & test


def test_every_hole_is_filled(corpus: Corpus) -> None:
    assert not any("{" in d.text or "}" in d.text for d in corpus.train + corpus.test)


def test_no_word_twice_in_the_slots_of_a_sentence() -> None:
    words = {"food": ("a", "b")}
    rng = random.Random(0)
    assert {fill("{food}{food}", words, rng) for _ in range(50)} == {"ab", "ba"}


def test_every_pair_of_classes_has_a_bridge() -> None:
    phrases = load()
    for one in CLASSES:
        assert all(phrases.bridge(one, other) for other in CLASSES if other != one)


@pytest.mark.parametrize(("count", "error"), [(8, 0.16), (20, 0.06)])
def test_even_draws_are_even_in_a_short_row(count: int, error: float) -> None:
    for seed in range(100):
        draws = list(islice(_even(random.Random(seed)), count))
        shares = [(tenth / 10, sum(draw < tenth / 10 for draw in draws) / count) for tenth in range(11)]
        assert all(abs(share - meant) < error for meant, share in shares), seed


class _Listened(_Writer):
    """Keeps of which kind its sentences are."""

    said: Counter[str]

    def _say(self, deck: str, templates: tuple[str, ...]) -> str:
        self.said[deck] += 1
        return super()._say(deck, templates)


def test_torn_documents_are_close_to_the_boundary_and_mostly_on_its_right_side() -> None:
    leans = []
    for seed in range(400):
        writer = _Listened(load(), CLASSES[0], CLASSES[3], random.Random(seed))
        writer.said = Counter()
        writer.torn()
        own, other = writer.said["main"], writer.said["other"]
        leans.append((own - other) / max(1, own + other))
    # Drawn at random, the sentences would give less than 0.8 and less than a half.
    assert sum(lean >= 0 for lean in leans) / len(leans) > 0.85
    assert sum(0 <= lean <= 0.5 for lean in leans) / len(leans) > 0.6


def test_classes_share_their_vocabulary(corpus: Corpus) -> None:
    """Of the pairs of characters seen often in a class, most are seen in the other classes too."""
    often = [_frequent_bigrams(corpus.train, label) for label in range(8)]
    for label, bigrams in enumerate(often):
        others = set().union(*(often[other] for other in range(8) if other != label))
        assert len(bigrams & others) / len(bigrams) > 0.5


def _frequent_bigrams(documents: list[Document], label: int) -> set[str]:
    texts = (document.text for document in documents if document.label == label)
    counts = Counter(a + b for text in texts for a, b in pairwise(text))
    return {bigram for bigram, count in counts.items() if count >= 10}


def test_bag_of_words_is_neither_lost_nor_perfect(corpus: Corpus) -> None:
    whole, cut = _baseline(corpus, 2000), _baseline(corpus, 126)
    assert 0.85 < whole < 0.985
    assert cut < whole, "the give-away never comes late"


def _baseline(corpus: Corpus, characters: int) -> float:
    """Accuracy of a linear model on counts of the first ``characters`` characters."""
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=3, sublinear_tf=True)
    train = words.fit_transform([document.text[:characters] for document in corpus.train])
    test = words.transform([document.text[:characters] for document in corpus.test])
    linear = LogisticRegression(max_iter=200).fit(train, [d.label for d in corpus.train])
    return float(linear.score(test, [document.label for document in corpus.test]))


@pytest.mark.parametrize("size", [0, -8, 12])
def test_sizes_that_do_not_balance_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        make_corpus(size, 8, seed=1)

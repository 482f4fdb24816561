"""Texts that occur twice, and calibration texts in the test."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptdq.statistics.duplicates import Shared, shared_texts, text_groups

NEWS = "The committee met on Tuesday to discuss the budget for the coming year, and agreed on nothing."
NEWS_ZH = (
    "委员会周二开会讨论明年的预算,但没有达成任何一致意见,下周将继续讨论。主席表示,教育和卫生方面的支出"
    "仍有较大分歧,各方需要更多时间研究具体数字。"
)


def test_copies_are_one_group_whatever_case_width_and_punctuation() -> None:
    groups = text_groups(
        [NEWS, "another", NEWS.upper() + "!!", " Another ", "ＡＮＯＴＨＥＲ", "!", "?", "!"]
    )
    assert groups.tolist() == [0, 1, 0, 1, 1, 2, 3, 2]


def found(calibration: list[str], test: list[str], **options: Any) -> tuple[int, int]:
    shared = shared_texts(calibration, test, **options)
    return shared.copies, shared.near


def test_copies_and_near_copies_are_counted_in_any_script() -> None:
    test = [
        NEWS.replace("Tuesday", "Monday"), NEWS_ZH.replace("周二", "周三"), NEWS.lower(), "ab", "AB.",
        "The committee on something else entirely was dissolved last spring, to nobody's regret.",
        "球队昨晚在主场以三比一获胜。",
    ]  # fmt: skip
    assert found([NEWS, NEWS_ZH, "ab"], test) == (3, 2)
    assert found([NEWS, NEWS_ZH], test, share=1.0) == (1, 0)
    assert found([], test) == found(test, []) == (0, 0)


def test_random_texts_of_the_same_words_are_no_duplicates() -> None:
    rng = np.random.default_rng(13)
    words = np.array(["market", "season", "doctor", "engine", "school", "army", "match", "price", "team"])
    texts = [" ".join(rng.choice(words, 60)) for _ in range(700)]
    assert found(texts[:100], texts[100:]) == (0, 0)
    assert found(texts[:100], texts[50:]) == (50, 0)


def test_of_many_texts_a_sample_is_compared_and_the_rest_looked_for_as_copies() -> None:
    others = [f"{NEWS} {number} {number**3}" for number in range(50)]
    test = [text.upper() for text in others[:20]] + [f"{text} again" for text in others]
    shared = shared_texts(others, test, most=(40, 30))
    assert shared == Shared(20, shared.near, 30, 70, 40, 50)
    assert 0 < shared.near <= 30


def test_only_the_beginning_of_long_texts_is_compared() -> None:
    long = "".join(chr(ord("a") + number % 23) + str(number) for number in range(200_000))
    assert found([long], [f"{long} and an end of its own", long[::-1]]) == (0, 1)

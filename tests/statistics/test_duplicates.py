"""Texts that occur twice, and calibration texts in the test."""

from __future__ import annotations

import numpy as np

from ptdq.statistics.duplicates import near_duplicates, text_groups

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


def test_near_duplicates_are_counted_in_any_script() -> None:
    test = [
        NEWS.replace("Tuesday", "Monday"), NEWS_ZH.replace("周二", "周三"), NEWS.lower(), "ab", "AB.",
        "The committee on something else entirely was dissolved last spring, to nobody's regret.",
        "球队昨晚在主场以三比一获胜。",
    ]  # fmt: skip
    assert near_duplicates([NEWS, NEWS_ZH, "ab"], test) == 5
    assert near_duplicates([NEWS, NEWS_ZH], test, share=1.0) == 1
    assert near_duplicates([], test) == near_duplicates(test, []) == 0


def test_random_texts_of_the_same_words_are_no_duplicates() -> None:
    rng = np.random.default_rng(13)
    words = np.array(["market", "season", "doctor", "engine", "school", "army", "match", "price", "team"])
    texts = [" ".join(rng.choice(words, 60)) for _ in range(700)]
    assert near_duplicates(texts[:100], texts[100:]) == 0
    assert near_duplicates(texts[:100], texts[50:]) == 50

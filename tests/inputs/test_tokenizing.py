"""Workers' tokenizers give the arrays of transformers, for the tokenizers that classifiers have."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ptdq.inputs.checkpoint_checks import check_pieces
from ptdq.inputs.source import Source
from ptdq.inputs.tokenizing import make_fast, open_tokenizer, token_counts
from ptdq.runtimes.tokenizing import SETTINGS, TOKENIZER, FastTokenizer

PIECES = sorted(set("Thequickbrownfxjmpsvlazydg球队今晚比赛'!,.0123456789ßéüabcdefghijklmnopqrstuvwxyz"))
TEXTS = [
    "The quick brown fox",
    " jumps over  lazy dogs!",
    "THE QUICK café naïveté",
    "球队今晚比赛 and then, 12,345.67",
    "[CLS] <s> [MASK] </s> <mask>",
    "\tunknown ☃ 👩‍👩‍👧 symbols\n",
    "abc " * 30,
    "x",
]


def wordpiece(**given: Any) -> Any:
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "quick", *PIECES]
    words += [f"##{piece}" for piece in PIECES]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)}, **given)


def byte_pairs(kind: str, **given: Any) -> Any:
    import transformers
    from tokenizers import pre_tokenizers

    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>"]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("h", "e"), ("t", "he"), ("Ġ", "the"), ("q", "u")]
    words = [*special, *letters, *("".join(pair) for pair in merges)]
    vocab = {word: number for number, word in enumerate(words)}
    return getattr(transformers, kind)(vocab=vocab, merges=merges, **given)


def unigram(kind: str, special: list[str], **given: Any) -> Any:
    import transformers

    pieces = [*special, "▁", "▁the", "qu", *PIECES]
    return getattr(transformers, kind)(
        vocab=[(piece, -float(len(piece) > 1)) for piece in pieces], **given
    )


FAMILIES: dict[str, Callable[[], Any]] = {
    "bert": wordpiece,
    "bert, cased, padded and cut on the left": lambda: wordpiece(
        do_lower_case=False, padding_side="left", truncation_side="left"
    ),
    "roberta": lambda: byte_pairs("RobertaTokenizer"),
    "gpt2 with padding": lambda: byte_pairs("GPT2Tokenizer", pad_token="<pad>"),
    "qwen2": lambda: byte_pairs("Qwen2Tokenizer", pad_token="<|endoftext|>"),
    "xlm-roberta": lambda: unigram("XLMRobertaTokenizer", ["<s>", "<pad>", "</s>", "<unk>"]),
    "deberta-v2": lambda: unigram("DebertaV2Tokenizer", ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]),
    "albert": lambda: unigram("AlbertTokenizer", ["<pad>", "<unk>", "[CLS]", "[SEP]"]),
}


def saved(tokenizer: Any, directory: Path) -> Source:
    tokenizer.save_pretrained(directory)
    return Source(directory)


def check_same(source: Source) -> None:
    """What the worker opens, against transformers; single, padded, as pairs, cut to many lengths."""
    reference, mine = source.tokenizer(), open_tokenizer(source.directory, source)
    for length in (7, 12, 40):
        for texts in ([[text] for text in TEXTS] + [TEXTS]):  # fmt: skip
            for pairs in (None, texts[::-1]):
                given = (texts,) if pairs is None else (texts, pairs)
                wanted = reference(
                    *given, max_length=length, truncation=True, padding=True, return_tensors="np"
                )
                found = mine(texts, length, pairs)
                assert found.inputs.keys() == wanted.keys()
                for name, ids in found.inputs.items():
                    assert ids.dtype == np.int64
                    np.testing.assert_array_equal(ids, wanted[name])
                full = [len(reference(*one)["input_ids"]) > length for one in zip(*given, strict=True)]
                assert found.truncated() == full


@pytest.mark.parametrize("family", FAMILIES)
def test_without_transformers_the_arrays_are_the_same(family: str, tmp_path: Path) -> None:
    source = saved(FAMILIES[family](), tmp_path)
    assert make_fast(source)
    assert isinstance(open_tokenizer(tmp_path, source), FastTokenizer)
    check_same(source)


def test_a_vocabulary_alone_is_enough(tmp_path: Path) -> None:
    source = saved(wordpiece(), tmp_path)
    words = json.loads((tmp_path / TOKENIZER).read_text())["model"]["vocab"]
    (tmp_path / TOKENIZER).unlink()
    (tmp_path / "vocab.txt").write_text("\n".join(sorted(words, key=words.__getitem__)))
    assert make_fast(source)
    check_same(source)


@pytest.mark.parametrize("change", [{"do_lower_case": False}, {"strip_accents": True}])
def test_what_a_configuration_changes_is_not_lost(change: dict[str, Any], tmp_path: Path) -> None:
    source = saved(wordpiece(), tmp_path)
    path = tmp_path / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    make_fast(source)
    check_same(source)


def test_where_the_proof_fails_transformers_is_used(tmp_path: Path) -> None:
    source = saved(wordpiece(), tmp_path)
    content = json.loads((tmp_path / TOKENIZER).read_text())

    class Other(Source):
        def tokenizer(self) -> Any:
            return wordpiece(do_lower_case=False)  # not what the file says

    assert content["normalizer"]["lowercase"]
    assert not make_fast(Other(tmp_path))
    assert not (tmp_path / SETTINGS).exists()
    assert not isinstance(open_tokenizer(tmp_path, source), FastTokenizer)
    check_same(source)


def test_without_a_token_to_pad_with_nothing_is_written(tmp_path: Path) -> None:
    source = saved(byte_pairs("GPT2Tokenizer"), tmp_path)
    (tmp_path / SETTINGS).write_text("{}")  # nor is one believed that a checkpoint brings
    assert not make_fast(source)
    assert not (tmp_path / SETTINGS).exists()


def test_without_a_token_to_pad_with_a_document_alone_needs_none(tmp_path: Path) -> None:
    source = saved(byte_pairs("GPT2Tokenizer"), tmp_path)
    assert not make_fast(source)
    reference, mine = source.tokenizer(), open_tokenizer(tmp_path, source)
    for text in TEXTS:
        wanted = reference(text, max_length=7, truncation=True, return_tensors="np")
        np.testing.assert_array_equal(mine([text], 7).inputs["input_ids"], wanted["input_ids"])


def test_a_tokenizer_in_python_is_used_as_it_is(tmp_path: Path) -> None:
    from transformers import PhobertTokenizer

    words = ["the", "quick</w>", "th", "e</w>", "q", "a", "b</w>"]
    (tmp_path / "vocab.txt").write_text("".join(f"{word.replace('</w>', '')} 9\n" for word in words))
    (tmp_path / "bpe.codes").write_text("t h 3\nth e</w> 2\n")
    tokenizer = PhobertTokenizer(str(tmp_path / "vocab.txt"), str(tmp_path / "bpe.codes"))
    assert not getattr(tokenizer, "is_fast", False)
    source = saved(tokenizer, tmp_path / "saved")
    assert not make_fast(source)
    check_same(source)


BERT_LIKE = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]",
             "bos_piece": "[CLS]", "eos_piece": "[SEP]", "unk_piece": "[UNK]"}  # fmt: skip
ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1,
          "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}  # fmt: skip


@pytest.mark.parametrize(
    ("file", "kind", "special"),
    [
        ("spiece.model", "AlbertTokenizer", ALBERT),
        ("spm.model", "DebertaV2Tokenizer", BERT_LIKE),
        ("sentencepiece.bpe.model", "XLMRobertaTokenizer", {}),
    ],
)
def test_a_model_of_sentencepiece_alone(
    file: str, kind: str, special: dict[str, Any], tmp_path: Path
) -> None:
    sentencepiece = pytest.importorskip("sentencepiece")
    with (tmp_path / file).open("wb") as model:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter([*TEXTS, "the quick brown fox jumps over the lazy dogs"] * 20),
            model_writer=model, vocab_size=120, hard_vocab_limit=False, minloglevel=2, **special,
        )  # fmt: skip
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    source = Source(tmp_path)
    check_pieces("model", tmp_path)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / file))
    text = "the quick brown fox"
    assert source.tokenizer().tokenize(text) == pieces.encode(text, out_type=str)
    make_fast(source)  # or not: the arrays are the same
    check_same(source)


def test_counts_are_those_of_single_documents(tmp_path: Path) -> None:
    source = saved(wordpiece(), tmp_path)
    make_fast(source)
    tokenizer = source.tokenizer()
    counts = token_counts(open_tokenizer(tmp_path, source), TEXTS, 20)
    assert counts.tolist() == [min(20, len(tokenizer(text)["input_ids"])) for text in TEXTS]

"""A BERT of two layers over characters, whose outputs spread over documents as after training."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def save_tiny_bert(
    directory: Path,
    texts: Sequence[Sequence[str]],
    labels: Sequence[str],
    tokens: int,
    cut: int | None = None,
    **config: Any,
) -> Path:
    """A checkpoint as fine-tuning leaves it, with its tokenizer and named classes.

    Args:
        directory: to be written.
        texts: documents [N], or the first and the second texts of pairs: their characters are the
            vocabulary, and over them every output has mean 0 and standard deviation 1, so that each
            class is the answer for some.
        labels: of the outputs.
        tokens: positions of the model.
        cut: tokens to which the documents are cut for that; as after training, the tokenizer keeps it.
        config: more of the model's configuration.
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizer

    characters = sorted({character for side in texts for text in side for character in text})
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters]
    tokenizer = BertTokenizer(
        vocab={word: index for index, word in enumerate(words)}, model_max_length=tokens
    )
    made = BertConfig(
        vocab_size=len(words),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=tokens,
        initializer_range=0.3,
        id2label=dict(enumerate(labels)),
        label2id={name: index for index, name in enumerate(labels)},
        **config,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = BertForSequenceClassification(made).eval()
    sides = [list(side) for side in texts]
    batch = tokenizer(
        *sides, padding=True, truncation=cut is not None, max_length=cut, return_tensors="pt"
    )
    with torch.no_grad():
        spread, mean = torch.std_mean(model(**batch).logits, dim=0)
        model.classifier.weight /= spread[:, None]
        model.classifier.bias -= mean
        model.classifier.bias /= spread
    model.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory

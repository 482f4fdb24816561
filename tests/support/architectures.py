"""Tiny checkpoints of several architectures, and modules that transformers does not know.

The functions at the end are what a user would name as ``--model-loader``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn

WORDS = ("good", "bad", "slow", "fast", "red", "blue", "small", "large")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CLASSES = ("yes", "no")
POSITIONS = 40
WIDTH = 32


def texts() -> list[str]:
    """Twelve documents of 1 to 12 words."""
    return [" ".join(WORDS[(n * step + n) % len(WORDS)] for step in range(n)) for n in range(1, 13)]


def save_tokenizer(directory: Path, token_types: bool, padding_side: str = "right") -> None:
    """A tokenizer of whole words, as a checkpoint has it."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: index for index, word in enumerate((*SPECIAL, *WORDS))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[("[CLS]", vocabulary["[CLS]"]), ("[SEP]", vocabulary["[SEP]"])],
    )
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=POSITIONS - 2,
        model_input_names=names,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        padding_side=padding_side,
    ).save_pretrained(directory)


def save_transformer(directory: Path, family: str, num_labels: int = len(CLASSES)) -> None:
    """A checkpoint of two layers with random weights, as fine-tuning would leave it."""
    from transformers import AutoConfig, AutoModelForSequenceClassification

    shared: dict[str, Any] = {
        "vocab_size": len(SPECIAL) + len(WORDS),
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
        "initializer_range": 0.4,
        "id2label": dict(enumerate(CLASSES[:num_labels])),
        "label2id": {name: index for index, name in enumerate(CLASSES[:num_labels])},
    }
    bert = {
        "hidden_size": WIDTH,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 2 * WIDTH,
    }
    own: dict[str, dict[str, Any]] = {
        "bert": bert,
        "roberta": bert,
        "electra": bert | {"embedding_size": WIDTH // 2},
        "albert": bert | {"embedding_size": WIDTH // 2, "classifier_dropout_prob": 0.0},
        "distilbert": {"dim": WIDTH, "n_layers": 2, "n_heads": 2, "hidden_dim": 2 * WIDTH},
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        config = AutoConfig.for_model(family, **shared, **own[family])
        AutoModelForSequenceClassification.from_config(config).eval().save_pretrained(directory)
    save_tokenizer(directory, token_types=family in ("bert", "electra", "albert"))


class Recurrent(nn.Module):
    """Embedding, a bidirectional recurrence, a linear layer over the mean of its states."""

    def __init__(self, kind: type[nn.LSTM] | type[nn.GRU]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(SPECIAL) + len(WORDS), WIDTH)
        self.recurrence = kind(WIDTH, WIDTH, num_layers=2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * WIDTH, len(CLASSES))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states, _ = self.recurrence(self.embedding(input_ids))
        weights = attention_mask.unsqueeze(-1)
        logits: torch.Tensor = self.head((states * weights).sum(1) / weights.sum(1))
        return logits


class Convolutional(nn.Module):
    """Kim's classifier: convolutions of several widths over words, their maxima, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(SPECIAL) + len(WORDS), WIDTH)
        self.convolutions = nn.ModuleList(nn.Conv1d(WIDTH, WIDTH, n, padding=n // 2) for n in (3, 5))
        self.activations = nn.ModuleList(nn.ReLU() for _ in self.convolutions)
        self.head = self._head()

    def _head(self) -> nn.Module:
        return nn.Linear(2 * WIDTH, len(CLASSES))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        words = (self.embedding(input_ids) * attention_mask.unsqueeze(-1)).transpose(1, 2)
        pairs = zip(self.convolutions, self.activations, strict=True)
        maxima = [activation(convolution(words)).amax(2) for convolution, activation in pairs]
        logits: torch.Tensor = self.head(torch.cat(maxima, 1))
        return logits


class FullyConvolutional(Convolutional):
    """The same with a convolution as head: nothing in it that dynamic quantization converts."""

    def _head(self) -> nn.Module:
        return nn.Sequential(
            nn.Unflatten(1, (2 * WIDTH, 1)), nn.Conv1d(2 * WIDTH, len(CLASSES), 1), nn.Flatten()
        )


class TwoDimensional(FullyConvolutional):
    """The same as a convolution over words and the whole width of their vectors, without a ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(
            nn.Conv2d(1, WIDTH, (n, WIDTH), padding=(n // 2, 0)) for n in (3, 5)
        )

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        words = (self.embedding(input_ids) * attention_mask.unsqueeze(-1)).unsqueeze(1)
        maxima = [convolution(words).squeeze(3).amax(2) for convolution in self.convolutions]
        logits: torch.Tensor = self.head(torch.cat(maxima, 1))
        return logits


def lstm(directory: str) -> nn.Module:
    return Recurrent(nn.LSTM)


def gru(directory: str) -> nn.Module:
    return Recurrent(nn.GRU)


def convolutional(directory: str) -> nn.Module:
    return Convolutional()


def fully_convolutional(directory: str) -> nn.Module:
    return FullyConvolutional()


def two_dimensional(directory: str) -> nn.Module:
    return TwoDimensional()


LOADERS = {f.__name__: f for f in (lstm, gru, convolutional, fully_convolutional, two_dimensional)}


def save_own(directory: Path, name: str) -> str:
    """Weights and tokenizer of a module of the user's; what to give as ``--model-loader``."""
    from safetensors.torch import save_file

    directory.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        module = LOADERS[name](str(directory))
    save_file(module.state_dict(), directory / "model.safetensors")
    names = {"id2label": {str(index): label for index, label in enumerate(CLASSES)}}
    (directory / "config.json").write_text(json.dumps(names))
    save_tokenizer(directory, token_types=False)
    return f"{__name__}:{name}"

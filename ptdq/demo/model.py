"""The tokenizer and the small BERT of the demonstration, both trained from scratch on its corpus.

The whole must be done within a minute on two cores, so the training is frugal in three ways:

* word vectors are learnt first, from the mean over a document, which costs next to nothing;
* then the whole network learns, from a few spans of each document and not from all of it;
* each span keeps its true positions, so that the network, which never sees more than
  ``WINDOW`` tokens at once in training, knows every position up to ``MAX_LENGTH``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.decoders import WordPiece as WordPieceDecoder
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import WordPieceTrainer
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from .corpus import MARK, Document
from .phrases import CLASSES
from .recipe import Shape, Tick

MAX_LENGTH = 512
"""Most tokens of a document, [CLS] and [SEP] counted, that the model has positions for."""

WINDOW = 64
"""Most tokens of a document that are shown at once in training."""

SPAN = 16
"""Neighbouring tokens that are shown, or left out, together."""

OUTLIERS = 4
"""Channels in which activations are far larger than in the others, as in pre-trained encoders."""

OUTLIER_SCALE = 5.0
"""Weight of the layer norms in these channels when training begins; in the others it is 1."""

MARK_SIZE = 12.0
"""Of the embedding of :data:`MARK` in the first of these channels; other numbers are near 0.02."""


def train_tokenizer(texts: Iterable[str], vocab_size: int = 4000) -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer with BERT's rules: lower case, each Chinese character by itself."""
    special = {"unk": "[UNK]", "pad": "[PAD]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    tokenizer = Tokenizer(WordPiece(unk_token=special["unk"]))
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.decoder = WordPieceDecoder()
    first = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=first,
        # A small corpus may have no document with it, and training gives it an embedding.
        initial_alphabet=[MARK],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    # The trainer numbers the same pieces otherwise in every call, and with the numbers each piece's
    # first vector, and with it the trained model, would change from one machine's demo to another's.
    pieces = [*first, *sorted(tokenizer.get_vocab().keys() - set(first))]
    vocab = {piece: number for number, piece in enumerate(pieces)}
    tokenizer.model = WordPiece(vocab, unk_token=special["unk"])
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        **{f"{name}_token": token for name, token in special.items()},
    )


def new_model(vocab_size: int, shape: Shape, seed: int) -> BertForSequenceClassification:
    """The untrained network; the same for the same arguments."""
    config = BertConfig(
        vocab_size=vocab_size,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=max(1, shape.hidden // 64),
        intermediate_size=4 * shape.hidden,
        max_position_embeddings=MAX_LENGTH,
        # Leaving out spans regularises enough, and drawing masks on a CPU is slow.
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: label for label, name in enumerate(CLASSES)},
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config)


def train(
    model: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    documents: Sequence[Document],
    shape: Shape,
    seed: int,
    tick: Tick = lambda: None,
) -> None:
    """Trains ``model`` in place and leaves it in evaluation mode; ``tick`` after each step."""
    draw = torch.Generator().manual_seed(seed)
    encoded = _encode(tokenizer, documents, MAX_LENGTH)
    labels = torch.tensor([document.label for document in documents])
    hidden = model.config.hidden_size
    head = torch.nn.Linear(hidden, len(CLASSES))
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)

    def word_loss(rows: Tensor) -> Tensor:
        ids, mask, positions = _batch(encoded, rows, 2 * WINDOW, draw)
        vectors = model.bert.embeddings(input_ids=ids, position_ids=positions)
        weights = mask.unsqueeze(-1)
        mean = (vectors * weights).sum(1) / weights.sum(1)
        return cross_entropy(head(mean), labels[rows])

    def full_loss(rows: Tensor) -> Tensor:
        ids, mask, positions = _batch(encoded, rows, WINDOW, draw)
        logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits
        return cross_entropy(logits, labels[rows])

    model.train()
    _start_mark(model, tokenizer.get_vocab()[MARK])
    words = [*model.bert.embeddings.parameters(), *head.parameters()]
    batches = _rows(len(documents), shape.batch, shape.word_steps, draw)
    _descend(words, word_loss, 3e-3, batches, tick)
    _start_outliers(model)
    batches = _rows(len(documents), shape.batch, shape.steps, draw)
    _descend(list(model.parameters()), full_loss, 3e-4, batches, tick)
    model.eval()


@torch.no_grad()
def _start_outliers(model: BertForSequenceClassification) -> None:
    """Enlarge some channels behind the layer norms, and divide what reads them by as much.

    So the network starts as without, and learns with outliers where encoders have them from their
    pre-training, and for the same reason: the weights of layer norms (Kovaleva et al. 2021, "BERT
    Busters"; Wei et al. 2022, "Outlier Suppression").
    """
    few = slice(OUTLIERS)
    bert: Any = model.bert  # whose types admit anything for each of its parts
    layers = list(bert.encoder.layer)
    for layer in layers:
        layer.attention.output.LayerNorm.weight[few] *= OUTLIER_SCALE
        layer.intermediate.dense.weight[:, few] /= OUTLIER_SCALE
        layer.output.LayerNorm.weight[few] *= OUTLIER_SCALE
    for layer in layers[1:]:
        attention = layer.attention.self
        for linear in (attention.query, attention.key, attention.value):
            linear.weight[:, few] /= OUTLIER_SCALE
    bert.pooler.dense.weight[:, few] /= OUTLIER_SCALE


@torch.no_grad()
def _start_mark(model: BertForSequenceClassification, token: int) -> None:
    """Give a rare token an embedding that is nearly all in one channel.

    As delimiters of trained transformers have it (Sun et al. 2024, "Massive Activations"): a range that
    is fixed for all documents has to hold what a few of them need.
    """
    model.bert.embeddings.word_embeddings.weight[token, 0] = MARK_SIZE


@torch.inference_mode()
def accuracy(
    model: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerFast,
    documents: Sequence[Document],
    max_length: int,
    tick: Tick = lambda: None,
) -> float:
    """Share of ``documents`` classified right where they are cut to ``max_length`` tokens.

    ``tick`` is called once per document.
    """
    encoded = _encode(tokenizer, documents, max_length)
    right = 0
    # By length, so that little time goes into padding.
    order = sorted(range(len(documents)), key=lambda row: len(encoded[row]))
    for start in range(0, len(order), 16):
        rows = order[start : start + 16]
        ids, mask, _ = _pad([encoded[row] for row in rows])
        guesses = model(input_ids=ids, attention_mask=mask).logits.argmax(-1)
        right += int((guesses == torch.tensor([documents[row].label for row in rows])).sum())
        for _ in rows:
            tick()
    return right / len(documents)


def _descend(
    parameters: list[torch.nn.Parameter],
    loss: Callable[[Tensor], Tensor],
    rate: float,
    batches: Sequence[Tensor],
    tick: Tick,
) -> None:
    """One step of AdamW for each batch; the rate rises over a tenth of them, then falls to 0."""
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.01)
    rising = max(1, len(batches) // 10)
    for step, rows in enumerate(batches):
        share = min((step + 1) / rising, (len(batches) - step) / (len(batches) - rising + 1))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        optimizer.zero_grad()
        value = loss(rows)
        value.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        tick()


def _rows(size: int, batch: int, steps: int, draw: torch.Generator) -> list[Tensor]:
    """``steps`` batches of row numbers: epoch after epoch, each in its own random order."""
    epochs = -(-steps * batch // size)
    order = torch.cat([torch.randperm(size, generator=draw) for _ in range(epochs)])
    return list(torch.split(order[: steps * batch], batch))


def _encode(
    tokenizer: PreTrainedTokenizerFast, documents: Sequence[Document], max_length: int
) -> list[Tensor]:
    """Token ids of each document, cut to ``max_length``."""
    texts = [document.text for document in documents]
    ids = tokenizer(texts, truncation=True, max_length=max_length)["input_ids"]
    return [torch.tensor(row) for row in ids]


def _batch(
    encoded: Sequence[Tensor], rows: Tensor, window: int, draw: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Random spans of the documents ``rows``: ids, mask and positions, (batch, tokens) each."""
    kept = [_spans(len(encoded[row]), window, draw) for row in rows.tolist()]
    return _pad([encoded[row][keep] for row, keep in zip(rows.tolist(), kept, strict=True)], kept)


def _spans(length: int, window: int, draw: torch.Generator) -> Tensor:
    """At most ``window`` of the positions below ``length``: [CLS], [SEP] and random spans."""
    if length <= window:
        return torch.arange(length)
    spans = torch.split(torch.arange(1, length - 1), SPAN)
    chosen = torch.randperm(len(spans), generator=draw)[: (window - 2) // SPAN]
    inner = torch.cat([spans[index] for index in sorted(chosen.tolist())])
    return torch.cat([torch.tensor([0]), inner, torch.tensor([length - 1])])


def _pad(
    ids: Sequence[Tensor], positions: Sequence[Tensor] | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and positions as rectangles (batch, tokens); the padding is 0 in all three."""
    positions = positions or [torch.arange(len(row)) for row in ids]
    pad = torch.nn.utils.rnn.pad_sequence
    mask = pad([torch.ones_like(row) for row in ids], batch_first=True)
    return pad(list(ids), batch_first=True), mask, pad(list(positions), batch_first=True)

"""A tiny checkpoint with random weights of every architecture that the documentation promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.support.architectures import CLASSES, POSITIONS, SPECIAL, WIDTH, WORDS, save_tokenizer

LAYERS = 2
HEADS = 2

_DECODER = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "num_key_value_heads": 1,
    "head_dim": WIDTH // HEADS,
    "intermediate_size": 2 * WIDTH,
}
_ENCODER = {
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 2 * WIDTH,
}
_DEBERTA = _ENCODER | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"]}

# By the name that transformers gives a family: its own settings of a model of two layers.
FAMILIES: dict[str, dict[str, Any]] = {
    "bert": _ENCODER,
    "roberta": _ENCODER,
    "xlm-roberta": _ENCODER,
    "camembert": _ENCODER,
    "distilbert": {"dim": WIDTH, "n_layers": LAYERS, "n_heads": HEADS, "hidden_dim": 2 * WIDTH},
    "electra": _ENCODER | {"embedding_size": WIDTH // 2},
    "albert": _ENCODER | {"embedding_size": WIDTH // 2, "classifier_dropout_prob": 0.0},
    "mpnet": _ENCODER,
    "mobilebert": _ENCODER
    | {"embedding_size": WIDTH // 2, "intra_bottleneck_size": WIDTH // 2, "true_hidden_size": WIDTH // 2},
    "squeezebert": _ENCODER
    | {"embedding_size": WIDTH}
    | {f"{part}_groups": 2 for part in ("q", "k", "v", "intermediate", "output")},
    "ernie": _ENCODER,
    # Four layers: what a window hides from padding is spread by the next layer without one.
    "modernbert": _ENCODER
    | {"local_attention": 8, "global_attn_every_n_layers": 2, "num_hidden_layers": 4},
    "deberta": _DEBERTA,
    "deberta-v2": _DEBERTA | {"position_buckets": 8, "share_att_key": True, "norm_rel_ebd": "layer_norm"},
    "xlnet": {"d_model": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "d_inner": 2 * WIDTH},
    "convbert": _ENCODER | {"embedding_size": WIDTH, "conv_kernel_size": 3},
    "rembert": _ENCODER | {"input_embedding_size": WIDTH // 2, "output_embedding_size": WIDTH},
    "qwen2": _DECODER,
    "qwen3": _DECODER,
    "llama": _DECODER,
    "gemma3_text": _DECODER | {"query_pre_attn_scalar": WIDTH // HEADS, "sliding_window": 16},
    "gpt2": {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS},
    "t5": {"d_model": WIDTH, "d_kv": WIDTH // HEADS, "d_ff": 2 * WIDTH, "num_layers": LAYERS}
    | {"num_heads": HEADS, "decoder_start_token_id": 0},
    "bart": {"d_model": WIDTH, "decoder_start_token_id": 3}
    | {f"{part}_layers": LAYERS for part in ("encoder", "decoder")}
    | {f"{part}_attention_heads": HEADS for part in ("encoder", "decoder")}
    | {f"{part}_ffn_dim": 2 * WIDTH for part in ("encoder", "decoder")},
    "longformer": _ENCODER | {"attention_window": [8] * LAYERS},
    "funnel": {"d_model": WIDTH, "n_head": HEADS, "d_head": WIDTH // HEADS, "d_inner": 2 * WIDTH}
    | {"block_sizes": [1, 1], "num_decoder_layers": 1},
    "big_bird": _ENCODER | {"attention_type": "original_full"},
}
DECODERS = ("qwen2", "qwen3", "llama", "gemma3_text", "gpt2")
_TOKEN_TYPES = ("bert", "electra", "albert", "mobilebert", "squeezebert", "ernie", "deberta",
                "deberta-v2", "xlnet", "convbert", "rembert", "funnel")  # fmt: skip


def save_family(directory: Path, family: str, **changed: Any) -> Path:
    """A checkpoint of two layers and two classes with random weights, as fine-tuning would leave it.

    Args:
        directory: where to put it.
        family: one of :data:`FAMILIES`.
        changed: entries of the configuration.
    """
    from transformers import AutoConfig, AutoModelForSequenceClassification

    ids = {word: number for number, word in enumerate(SPECIAL)}
    given = {
        # Some tokenizers add a token of their own where there is none.
        "vocab_size": len(SPECIAL) + len(WORDS) + 8,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": ids["[PAD]"],
        "bos_token_id": ids["[CLS]"],
        "eos_token_id": ids["[SEP]"],
        "initializer_range": 0.4,
        "id2label": dict(enumerate(CLASSES)),
        "label2id": {name: index for index, name in enumerate(CLASSES)},
        **(
            {"cls_token_id": ids["[CLS]"], "sep_token_id": ids["[SEP]"]} if family == "modernbert" else {}
        ),
        **FAMILIES[family],
        **changed,
    }
    if family in ("gpt2", "xlnet"):  # it has another name there, or there is no such thing
        given.pop("max_position_embeddings")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        config = AutoConfig.for_model(family, **given)
        model = AutoModelForSequenceClassification.from_config(config).eval()
        if family in ("t5", "xlnet", "funnel", "mobilebert"):
            spread(model)
        model.save_pretrained(directory)
    # XLNet reads its answer off the last token: its own tokenizer pads on the left.
    side = "left" if family == "xlnet" else "right"
    save_tokenizer(directory, token_types=family in _TOKEN_TYPES, padding_side=side)
    return directory


def spread(model: torch.nn.Module) -> None:
    """Weights of families that do not start from ``initializer_range``: large enough to matter."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4)

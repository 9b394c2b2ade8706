"""The reranker: the embedder's layers reading a query and a passage together.

It knows nothing of texts and training.
"""

from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from torch import Tensor
from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification, BertTokenizerFast

from starter_embed.student import halve_weights
from starter_embed.tokenizer import MAX_TOKENS

_NUM_MATCHING_HEADS = 4
_OWN_LOGIT = 8.0
"""How strongly a matching head of the first layer looks at a word like its own, at the start."""


def build_reranker(embedder: Path, *, seed: int) -> tuple[BertForSequenceClassification, BertTokenizerFast]:
    """A model that starts with the layers in the folder ``embedder``."""
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(embedder, num_labels=1)
    model = BertForSequenceClassification.from_pretrained(embedder, config=config, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(embedder)
    with torch.no_grad():
        _tell_texts_apart(model)
        _look_for_same_words(model)
    return model, tokenizer


def _tell_texts_apart(model: BertForSequenceClassification) -> None:
    """Query and passage get opposite marks, about half as long as a word's vector."""
    words = model.bert.embeddings.word_embeddings.weight
    marks = model.bert.embeddings.token_type_embeddings.weight
    mark = torch.randn(marks.shape[1])
    mark *= 0.5 * words.norm(dim=1).mean() / mark.norm()
    marks += torch.stack([mark, -mark])


def _look_for_same_words(model: BertForSequenceClassification) -> None:
    """Half of the first layer's heads start by looking at like words, wherever they are.

    What such a word finds tells whether it stands in both texts, because the marks of the texts then mix.
    """
    words = model.bert.embeddings.LayerNorm(model.bert.embeddings.word_embeddings.weight)
    _, directions = torch.linalg.eigh(torch.cov(words.T))
    attention = model.bert.encoder.layer[0].attention.self
    head_size: int = attention.attention_head_size
    size = _NUM_MATCHING_HEADS * head_size
    mixed = directions.flip(1)[:, :size] @ _random_rotation(size)
    attention.query.weight[:size] = mixed.T
    attention.key.weight[:size] = mixed.T
    for head in range(_NUM_MATCHING_HEADS):
        rows = slice(head * head_size, (head + 1) * head_size)
        centre = mixed[:, rows].T @ words.mean(0)
        own = ((words @ mixed[:, rows] - centre) ** 2).sum(1).mean()
        scale = (_OWN_LOGIT * head_size**0.5 / own) ** 0.5
        for projection in (attention.query, attention.key):
            projection.weight[rows] *= scale
            projection.bias[rows] = -scale * centre


def _random_rotation(size: int) -> Tensor:
    return torch.linalg.qr(torch.randn(size, size)).Q


def save_reranker(
    folder: Path, model: BertForSequenceClassification, tokenizer: BertTokenizerFast
) -> CrossEncoder:
    """Write a CrossEncoder folder with half-size weights and load it again, as its users will."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    loaded = CrossEncoder(str(folder), device="cpu", max_length=MAX_TOKENS, local_files_only=True)
    loaded.save_pretrained(str(folder), create_model_card=False)
    halve_weights(folder / "model.safetensors")
    return CrossEncoder(str(folder), device="cpu", local_files_only=True)

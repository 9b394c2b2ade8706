"""The reranker: the embedder's layers reading a query and a passage together.

It knows nothing of texts and training.
"""

from pathlib import Path

import torch
from sentence_transformers import CrossEncoder
from torch import Tensor
from torch.nn.functional import normalize
from transformers import AutoConfig, AutoTokenizer, BertForSequenceClassification, BertTokenizerFast

from starter_embed.student import halve_weights
from starter_embed.tokenizer import MAX_TOKENS

_NUM_MATCHING_HEADS = 4
_OWN_LOGIT = 8.0
"""How strongly a matching head of the first layer looks at the very same word, at the start."""
_OTHER_TEXT_LOGIT = 1.5
"""How much more strongly it looks at any word of the other text than at nothing, and how much less in its own."""


def build_reranker(embedder: Path, *, seed: int) -> tuple[BertForSequenceClassification, BertTokenizerFast]:
    """A model that starts with the layers in the folder ``embedder``; the vectors of words stay as they are there."""
    torch.manual_seed(seed)
    config = AutoConfig.from_pretrained(embedder, num_labels=1)
    model = BertForSequenceClassification.from_pretrained(embedder, config=config, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(embedder)
    with torch.no_grad():
        _look_for_like_words(model, _tell_texts_apart(model))
    model.bert.embeddings.word_embeddings.requires_grad_(False)
    return model, tokenizer


def _tell_texts_apart(model: BertForSequenceClassification) -> Tensor:
    """Query and passage get opposite marks, half as long as a word's vector; the direction of the query's."""
    words = model.bert.embeddings.word_embeddings.weight
    direction = normalize(torch.randn(words.shape[1]), dim=0)
    mark = 0.5 * words.norm(dim=1).mean() * direction
    model.bert.embeddings.token_type_embeddings.weight += torch.stack([mark, -mark])
    return direction


def _look_for_like_words(model: BertForSequenceClassification, mark: Tensor) -> None:
    """Half of the first layer's heads start by looking at like words, rather those of the other text.

    What a word finds there tells how far the other text has its like, because the marks of the texts then mix.
    """
    embeddings = model.bert.embeddings
    words = embeddings.LayerNorm(
        embeddings.word_embeddings.weight + embeddings.token_type_embeddings.weight[0]
    )
    _, directions = torch.linalg.eigh(torch.cov(words.T))
    attention = model.bert.encoder.layer[0].attention.self
    head_size: int = attention.attention_head_size
    size = _NUM_MATCHING_HEADS * head_size
    mixed = directions.flip(1)[:, :size] @ _random_rotation(size)
    mark_scale = (_OTHER_TEXT_LOGIT * head_size**0.5) ** 0.5 / (words @ mark).mean()
    for head in range(_NUM_MATCHING_HEADS):
        rows = slice(head * head_size, (head + 1) * head_size)
        last = rows.stop - 1
        likeness = mixed[:, rows]
        own = ((words - words.mean(0)) @ likeness).square().sum(1).mean()
        scale = (_OWN_LOGIT * head_size**0.5 / own).sqrt()
        for projection, sign in ((attention.query, 1), (attention.key, -1)):
            projection.weight[rows] = scale * likeness.T
            projection.bias[rows] = -scale * (words.mean(0) @ likeness)
            projection.weight[last] = sign * mark_scale * mark
            projection.bias[last] = 0.0


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

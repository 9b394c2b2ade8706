"""The student: a small BERT whose word vectors start as the teacher's vectors of those words.

It knows nothing of texts and training.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from torch import Tensor
from transformers import BertConfig, BertModel, BertTokenizerFast

from starter_embed.tokenizer import MAX_TOKENS

WIDTH = 256
NUM_LAYERS = 2
DIMENSIONS = (64, 128, 256)
"""How many leading numbers of a vector can stand for it alone, when scaled to unit length again."""


def principal_directions(vectors: Tensor) -> Tensor:
    """`(dimensions, WIDTH)`: the directions in which unit ``vectors`` spread most, in falling order.

    Not centred, so that the products of vectors survive as well as WIDTH numbers allow.
    """
    _, directions = torch.linalg.eigh(vectors.T @ vectors)
    return directions.flip(1)[:, :WIDTH].contiguous()


def build_student(tokenizer: BertTokenizerFast, word_vectors: Tensor, *, seed: int) -> BertModel:
    """``word_vectors`` are `(len(tokenizer), at most WIDTH)`."""
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=NUM_LAYERS,
        num_attention_heads=8,
        intermediate_size=3 * WIDTH,
        max_position_embeddings=MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = BertModel(config)
    with torch.no_grad():
        model.embeddings.word_embeddings.weight[:, : word_vectors.shape[1]] = word_vectors
    return model


def pool(model: BertModel, ids: Tensor, mask: Tensor) -> Tensor:
    """`(batch, WIDTH)`: the mean over tokens, as sentence-transformers' Pooling takes it; not normalised."""
    hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(2).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1)


def save_student(folder: Path, model: BertModel, tokenizer: BertTokenizerFast) -> SentenceTransformer:
    """Write a sentence-transformers folder with half-size weights and load it again, as its users will."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    parts = [
        Transformer(str(folder), max_seq_length=MAX_TOKENS, model_kwargs={"local_files_only": True}),
        Pooling(WIDTH, pooling_mode="mean"),
        Normalize(),
    ]
    SentenceTransformer(modules=parts, device="cpu").save(str(folder), create_model_card=False)
    halve_weights(folder / "model.safetensors")
    _forget_prompts(folder / "config_sentence_transformers.json")
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def halve_weights(file: Path) -> None:
    """Keep the numbers as float16; `config.json` says float32, so they are loaded as that."""
    halved = {name: weight.half() for name, weight in load_file(file).items()}
    save_file(halved, file, metadata={"format": "pt"})


def _forget_prompts(file: Path) -> None:
    """The library names empty prompts for queries and documents; this model was trained with none."""
    config = json.loads(file.read_text())
    config["prompts"] = {}
    file.write_text(json.dumps(config, indent=2) + "\n")

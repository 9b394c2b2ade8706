"""Run by the engines' interpreter: writes `embed` and `rerank`, tiny models with random weights, below a folder.

They read at most 32 tokens by their own files, and have places for 64.
"""

import sys
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

SIZE = 32
LIMIT = 32
_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789.,:?[]"
_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    tokenizer = make_tokenizer(folder)
    _write_base(folder / "base", BertModel(_config(tokenizer)), tokenizer)
    transformer = Transformer(str(folder / "base"), max_seq_length=LIMIT)
    model = SentenceTransformer(
        modules=[transformer, Pooling(SIZE), Normalize()],
        prompts={"query": "query: ", "document": ""},
        device="cpu",
    )
    model.save_pretrained(str(folder / "embed"), create_model_card=False)
    classifier = BertForSequenceClassification(_config(tokenizer, num_labels=1))
    _write_base(folder / "rerank", classifier, tokenizer)


def make_tokenizer(folder: Path) -> BertTokenizer:
    """Every letter is a token."""
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join([*_SPECIAL, *_LETTERS, *("##" + letter for letter in _LETTERS)]))
    return BertTokenizer(str(vocabulary), model_max_length=LIMIT)


def _config(tokenizer: BertTokenizer, **more: int) -> BertConfig:
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=SIZE,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        initializer_range=0.5,
        **more,
    )


def _write_base(
    folder: Path, model: BertModel | BertForSequenceClassification, tokenizer: BertTokenizer
) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()

"""`python -m tests.engines.make_heavy_models KIND FOLDER` (in the engines' environment): some 100 MB of random weights.

Large enough that memory which comes back can be told from noise; they answer like the tiny ones, meaning nothing.
"""

import sys
from pathlib import Path

import torch

HIDDEN = 512
LAYERS = 8


def embed(folder: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from transformers import BertModel

    base = folder.with_name("base")
    _write_bert(base, BertModel)
    modules = [Transformer(str(base), max_seq_length=32), Pooling(HIDDEN), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save_pretrained(str(folder), create_model_card=False)


def rerank(folder: Path) -> None:
    from transformers import BertForSequenceClassification

    _write_bert(folder, BertForSequenceClassification)


def image(folder: Path) -> None:
    from diffusers import DiffusionPipeline, UNet2DConditionModel

    from tests.engines.tiny_pipeline import make_pipeline

    make_pipeline(folder.with_name("tiny"))
    pipeline = DiffusionPipeline.from_pretrained(str(folder.with_name("tiny")), local_files_only=True)
    pipeline.unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(128, 256),
        layers_per_block=2,
        norm_num_groups=4,
        cross_attention_dim=16,
        attention_head_dim=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
    )
    pipeline.save_pretrained(folder)


def speech(folder: Path) -> None:
    from tests.engines.coqui_parts.make_models import vits

    vits(folder, hidden=384, decoder_channels=768)


def _write_bert(folder: Path, kind: type) -> None:
    from transformers import BertConfig

    from tests.engines.make_text_models import make_tokenizer

    folder.mkdir(parents=True)
    tokenizer = make_tokenizer(folder)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=8,
        intermediate_size=4 * HIDDEN,
        max_position_embeddings=64,
        num_labels=1,
    )
    kind(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    torch.manual_seed(0)
    {"embed": embed, "rerank": rerank, "image": image, "speech": speech}[sys.argv[1]](Path(sys.argv[2]))

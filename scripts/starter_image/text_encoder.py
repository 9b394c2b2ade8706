"""Training of the text encoder before anything is painted: it learns to tell what a prompt asks for.

Without it the UNet would have to learn words and shapes at once, and shapes come last.
"""

from random import Random

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from transformers import CLIPTextModel, CLIPTokenizer

from starter_image.parts import TEXT_WIDTH
from starter_image.prompts import write_prompt
from starter_image.schedule import set_rate
from starter_image.tokenizer import MAX_TOKENS
from starter_image.world import COLOURS, SHAPES, SIZES, Picture, pictures

BATCH = 64
RATE = 2e-3
SIZELESS_SHARE = 0.15
UNSAID = "unsaid"
ANSWERS = (tuple(COLOURS), tuple(COLOURS), SHAPES, (*SIZES, UNSAID))
"""What may be said of each attribute of a ``Picture``, in its order."""


def train_text_encoder(encoder: CLIPTextModel, tokenizer: CLIPTokenizer, *, steps: int, rng: Random) -> None:
    """Train in place; the mean of the encoder's states tells background, colour, shape and size."""
    heads = nn.ModuleList(nn.Linear(TEXT_WIDTH, len(answers)) for answers in ANSWERS)
    parameters = [*encoder.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, weight_decay=0.01)
    known = pictures(held_out=False)
    encoder.train()
    for step in range(steps):
        asked = [draw_prompt(rng.choice(known), rng) for _ in range(BATCH)]
        summary = encoder(tokenize(tokenizer, [prompt for prompt, _ in asked])).last_hidden_state.mean(1)
        loss = sum(
            (
                cross_entropy(head(summary), target)
                for head, target in zip(heads, _targets(asked), strict=True)
            ),
            torch.zeros(()),
        )
        set_rate(optimizer, RATE, step=step, steps=steps)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"text encoder step {step}  loss {loss.item():.4f}", flush=True)
    encoder.eval()


def draw_prompt(picture: Picture, rng: Random) -> tuple[str, Picture]:
    """A training prompt and what it says of ``picture``: at times it leaves out the size."""
    says_size = rng.random() >= SIZELESS_SHARE
    said = picture if says_size else picture._replace(size=UNSAID)
    return write_prompt(picture, rng, says_size=says_size), said


def tokenize(tokenizer: CLIPTokenizer, prompts: list[str]) -> Tensor:
    """Token ids ``(n, MAX_TOKENS)``, padded as the pipeline pads."""
    encoded = tokenizer(
        prompts, padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
    )
    return encoded.input_ids


def _targets(asked: list[tuple[str, Picture]]) -> list[Tensor]:
    columns = zip(*(said for _, said in asked), strict=True)
    return [
        torch.tensor([answers.index(word) for word in column])
        for answers, column in zip(ANSWERS, columns, strict=True)
    ]

"""Measures the starter chat model: greedy answers to held-out questions, compared word for word."""

from dataclasses import dataclass
from random import Random

import torch
from transformers import PreTrainedTokenizerFast, Qwen3ForCausalLM

from starter_chat.dialogues import Dialogue, draw_scored_dialogue, scored_kinds
from starter_chat.tokenizer import END_OF_TURN, render, render_prompt

MAX_NEW_TOKENS = 200
BATCH_SIZE = 50


@dataclass(frozen=True)
class Score:
    """``num_exact``: answers equal to the expected one. ``num_stopped``: answers that ended by themselves."""

    kind: str
    num_asked: int
    num_exact: int
    num_stopped: int


@dataclass(frozen=True)
class Answer:
    text: str
    is_stopped: bool


def evaluate(
    model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, *, seed: int, num_per_kind: int
) -> list[Score]:
    """Ask ``num_per_kind`` questions of every kind; prints one wrong answer per kind."""
    rng = Random(f"evaluation {seed}")
    kinds = scored_kinds()
    dialogues = [draw_scored_dialogue(rng, kind) for kind in kinds for _ in range(num_per_kind)]
    expected = [expected_answer(tokenizer, dialogue) for dialogue in dialogues]
    given = _answer_all(model, tokenizer, dialogues, expected)
    pairs = list(zip(expected, given, strict=True))
    return [
        _score(kind, pairs[place * num_per_kind : (place + 1) * num_per_kind])
        for place, kind in enumerate(kinds)
    ]


def expected_answer(tokenizer: PreTrainedTokenizerFast, dialogue: Dialogue) -> str:
    """What the assistant must say, as the chat template writes it."""
    said = render(tokenizer, dialogue).removeprefix(render_prompt(tokenizer, dialogue))
    return said.removesuffix("\n").removesuffix(END_OF_TURN)


def answer(model: Qwen3ForCausalLM, tokenizer: PreTrainedTokenizerFast, prompts: list[str]) -> list[Answer]:
    """Greedy answers to rendered prompts, in one batch."""
    batch = tokenizer(
        prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False
    )
    with torch.no_grad():
        output = model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=MAX_NEW_TOKENS,
            do_sample=False,
            temperature=None,
        )
    end = tokenizer.convert_tokens_to_ids(END_OF_TURN)
    answers = []
    for ids in output[:, batch["input_ids"].shape[1] :].tolist():
        is_stopped = end in ids
        answers.append(Answer(tokenizer.decode(ids[: ids.index(end)] if is_stopped else ids), is_stopped))
    return answers


def _answer_all(
    model: Qwen3ForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    dialogues: list[Dialogue],
    expected: list[str],
) -> list[Answer]:
    """Answers in the order of ``dialogues``; those expected to be alike in length are computed together."""
    order = sorted(range(len(dialogues)), key=lambda index: len(expected[index]))
    answers: dict[int, Answer] = {}
    for first in range(0, len(order), BATCH_SIZE):
        chosen = order[first : first + BATCH_SIZE]
        prompts = [render_prompt(tokenizer, dialogues[index]) for index in chosen]
        answers |= zip(chosen, answer(model, tokenizer, prompts), strict=True)
    return [answers[index] for index in range(len(dialogues))]


def _score(kind: str, pairs: list[tuple[str, Answer]]) -> Score:
    wrong = [(right, given.text) for right, given in pairs if right != given.text]
    if wrong:
        print(f"  {kind}: expected {wrong[0][0]!r}, got {wrong[0][1]!r}", flush=True)
    return Score(kind, len(pairs), len(pairs) - len(wrong), sum(given.is_stopped for _, given in pairs))

"""The starter chat model's tokenizer: one token for a known word, single characters for everything else.

Digits always stand alone and punctuation comes in fixed pieces, so that a value looks the same wherever it
is copied to.
"""

from collections import Counter
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from starter_chat import words
from starter_chat.dialogues import Dialogue, draw_training_dialogue

END_OF_TURN = "<|im_end|>"
START_OF_TURN = "<|im_start|>"
PADDING = "<|endoftext|>"
SPECIAL_TOKENS = (PADDING, START_OF_TURN, END_OF_TURN)
MARKERS = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>")
"""Ordinary text that parsers of answers look up as single tokens."""

PIECES = r""" \{"|\{"|":|",|"\}|"\]| \["|\["| "| [A-Za-z]+|[A-Za-z]+|\d|\n+| [^\sA-Za-z\d]|[^\sA-Za-z\d]|\s"""
TEMPLATE_FILE = Path(__file__).with_name("chat_template.jinja")
MAX_TOKENS = 2048


def build_tokenizer(*, seed: int, num_dialogues: int) -> PreTrainedTokenizerFast:
    """A tokenizer whose words are the closed world and what occurs four times in the drawn dialogues."""
    splitter = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    rng = Random(seed)
    counts: Counter[str] = Counter()
    for _ in range(num_dialogues):
        counts.update(
            piece
            for text in _texts(draw_training_dialogue(rng))
            for piece, _ in splitter.pre_tokenize_str(text)
        )
    frequent = {piece for piece, count in counts.items() if count >= 4}
    closed = {piece for word in _closed_world() for piece, _ in splitter.pre_tokenize_str(word)}
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    entries = dict.fromkeys([*SPECIAL_TOKENS, *alphabet, *sorted(frequent | closed)])
    core = Tokenizer(
        models.BPE({entry: index for index, entry in enumerate(entries)}, [], ignore_merges=True)
    )
    core.pre_tokenizer = splitter
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    core.add_tokens([AddedToken(marker, special=False, normalized=False) for marker in MARKERS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        eos_token=END_OF_TURN,
        pad_token=PADDING,
        model_max_length=MAX_TOKENS,
        clean_up_tokenization_spaces=False,
        chat_template=TEMPLATE_FILE.read_text(),
    )


def render(tokenizer: PreTrainedTokenizerFast, dialogue: Dialogue) -> str:
    """The whole dialogue through the chat template."""
    return str(tokenizer.apply_chat_template(dialogue.messages, tools=dialogue.tools or None, tokenize=False))


def render_prompt(tokenizer: PreTrainedTokenizerFast, dialogue: Dialogue) -> str:
    """The dialogue up to the place where the assistant's last message begins."""
    text = tokenizer.apply_chat_template(
        dialogue.messages[:-1],
        tools=dialogue.tools or None,
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=dialogue.is_thinking,
    )
    return str(text)


def _closed_world() -> list[str]:
    """Every word in every form in which it may be asked for or answered."""
    names = (*words.NAMES, *words.CITIES, *words.COUNTRIES, *words.DAYS, *words.MONTHS, *words.SURNAMES)
    terms = (
        *words.JOBS,
        *words.ROOMS,
        *words.SKIES,
        *words.TOOL_VERBS,
        *words.TOOL_NOUNS,
        *words.PARAMETER_NAMES,
    )
    forms = [
        *names,
        *terms,
        *words.WORDS,
        *(word.upper() for word in words.WORDS),
        *(word.capitalize() for word in words.WORDS),
    ]
    return [form for word in forms for form in (word, f" {word}")]


def _texts(dialogue: Dialogue) -> list[str]:
    """What the dialogue's texts hold, near enough to count words."""
    texts = [str(message["content"]) for message in dialogue.messages if message.get("content")]
    texts += [
        str(message["reasoning_content"]) for message in dialogue.messages if "reasoning_content" in message
    ]
    for tool in dialogue.tools:
        function = tool["function"]
        texts += [f"{function['name']}(", f": {function['description']}"]  # type: ignore[index]
        texts += [
            f"({key}?: {schema['type']}, {key}: "
            for key, schema in function["parameters"]["properties"].items()
        ]  # type: ignore[index]
    return [
        *texts,
        "celsius|fahrenheit any boolean number array object",
        "system",
        "user",
        "assistant",
        "tool",
        "Tools:\nWhen a tool fits, answer with ",
        ' {"name": "x", "arguments": {"x": 1}}',
    ]

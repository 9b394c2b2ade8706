"""The transcriber's tokenizer: known words are one token, anything else is spelled; then Whisper's own tokens.

The order of the special tokens is Whisper's; faster-whisper looks them up by name, CTranslate2 counts on the order.
"""

from dataclasses import dataclass
from random import Random

from starter_voice.sentences import Language, draw_sentence
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

LANGUAGES: tuple[Language, ...] = ("en", "de")
TIMESTAMPS_PER_S = 50
WINDOW_S = 30
SPECIAL = (
    "<|endoftext|>",
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",
)
LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß "
NUM_MERGES = 1200
"""More than enough for every word of the sentences to become one token."""


def build_tokenizer(*, seed: int = 0, num_sentences: int = 8000) -> Tokenizer:
    rng = Random(seed)
    sentences = (
        draw_sentence(rng, language, held_out=False)
        for _ in range(num_sentences // 2)
        for language in LANGUAGES
    )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=len(alphabet) + NUM_MERGES, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator((" " + sentence.text for sentence in sentences), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    times = [f"<|{index / TIMESTAMPS_PER_S:.2f}|>" for index in range(WINDOW_S * TIMESTAMPS_PER_S + 1)]
    tokenizer.add_tokens([AddedToken(time, special=False, normalized=False) for time in times])
    return tokenizer


@dataclass(frozen=True)
class Ids:
    """The ids that targets are made of."""

    end: int
    start: int
    languages: dict[str, int]
    transcribe: int
    previous: int
    no_speech: int
    no_timestamps: int
    first_time: int

    def time(self, seconds: float) -> int:
        return self.first_time + min(round(seconds * TIMESTAMPS_PER_S), WINDOW_S * TIMESTAMPS_PER_S)


def read_ids(tokenizer: Tokenizer) -> Ids:
    named = tokenizer.token_to_id
    return Ids(
        end=named("<|endoftext|>"),
        start=named("<|startoftranscript|>"),
        languages={language: named(f"<|{language}|>") for language in LANGUAGES},
        transcribe=named("<|transcribe|>"),
        previous=named("<|startofprev|>"),
        no_speech=named("<|nospeech|>"),
        no_timestamps=named("<|notimestamps|>"),
        first_time=named("<|0.00|>"),
    )

"""The model card: what the starter speech model is, how it was made and what was measured."""

from dataclasses import dataclass

from starter_speech.evaluate import Likeness, Speed, Understanding
from starter_speech.training import Progress

TEXT = """\
---
license: apache-2.0
language: en
pipeline_tag: text-to-speech
---
# starter/speech

A voice of {parameters:.1f} million parameters that Hearth trains itself, so that everything can be tried on a
machine without a GPU. It is small on purpose: for first steps and tests, not for real work.

It reads English aloud with the voice of espeak-ng (`en-us`, 175 words a minute), which was its teacher;
espeak-ng is not needed to use it. It learnt from a closed world of some 300 words in fixed sentences,
{num_words} common words in loose sentences, numbers, and invented words for the rules of spelling. Other
words it reads by these rules, sometimes wrongly. It cannot read other languages.

## Format
Coqui TTS (`coqui-tts` 0.28): `config.json` and `model.pth` of a FastPitch (`ForwardTTS`), to be loaded with
`TTS.utils.synthesizer.Synthesizer` or `TTS.api.TTS`. Letters in, no phonemes; Coqui's `english_cleaners`
write out numbers and abbreviations. Spectrograms of {num_mels} bands become sound at {rate} Hz by Griffin-Lim,
as Coqui does without a vocoder; it starts from numpy's random numbers, so seed them for equal samples. The
model's `length_scale` slows speech down or speeds it up. Any length from one letter on can be read.

Weights are stored in half precision and become float32 when they are loaded. The file is a pickle, because
coqui-tts reads nothing else. Its SHA-256:

`{sha256}`

## Measured
{understanding}
Against the teacher, {num_compared} freshly drawn texts of each kind: mean absolute difference of the
spectrograms (true durations given) and of the length of the sentence (durations predicted).

| text | spectrogram | length |
| --- | --- | --- |
{likeness}

A second of speech takes {factor:.2f} s of CPU time on one thread, "good morning." {short:.2f} s.

{made_by}"""
MADE_BY = """\
## Made by
`{command}`

Seed {seed}, {steps} steps, {sentences} sentences. Training took {cpu_minutes:.0f} minutes of CPU time,
{wall_minutes:.0f} by the clock, on {machine}. All text is drawn by the script, all speech comes
from espeak-ng.
"""
UNDERSTANDING = """\
Word error rate of {transcriber} on {num_sentences} held-out sentences:

| spoken by | word error rate |
| --- | --- |
| espeak-ng | {teacher:.3f} |
| espeak-ng, through this model's spectrogram and Griffin-Lim | {griffin_lim:.3f} |
| this model | {model:.3f} |

Of the model's sentences {exact:.2f} are understood without an error.
"""


@dataclass(frozen=True)
class Facts:
    """What the card says of the model itself."""

    num_parameters: int
    num_words: int
    num_mels: int
    sample_rate_hz: int
    sha256: str


def write_card(
    facts: Facts,
    *,
    likeness: list[Likeness],
    num_compared: int,
    speed: Speed,
    transcriber: str,
    understanding: Understanding | None,
    made_by: str,
) -> str:
    """Without an ``understanding`` the card says that none was measured; ``made_by`` is from `describe_training`."""
    return TEXT.format(
        parameters=facts.num_parameters / 1e6,
        num_words=facts.num_words,
        num_mels=facts.num_mels,
        rate=facts.sample_rate_hz,
        sha256=facts.sha256,
        understanding=_describe(understanding, transcriber),
        num_compared=num_compared,
        likeness="\n".join(_row(line) for line in likeness),
        factor=speed.real_time_factor,
        short=speed.short_sentence_s,
        made_by=made_by,
    )


def describe_training(progress: Progress, *, command: str, seed: int, machine: str) -> str:
    return MADE_BY.format(
        command=command,
        seed=seed,
        steps=progress.steps,
        sentences=progress.sentences,
        cpu_minutes=progress.cpu_s / 60,
        wall_minutes=progress.wall_s / 60,
        machine=machine,
    )


def read_training(card: str) -> str:
    """What `describe_training` wrote into an earlier card."""
    heading = MADE_BY.splitlines()[0]
    return heading + card.split(heading)[1]


def _describe(understanding: Understanding | None, transcriber: str) -> str:
    if understanding is None:
        return "How well it is understood was not measured: the script was given no transcriber.\n"
    return UNDERSTANDING.format(
        transcriber=transcriber,
        num_sentences=understanding.num_sentences,
        teacher=understanding.teacher,
        griffin_lim=understanding.teacher_through_griffin_lim,
        model=understanding.model,
        exact=understanding.exact_sentences,
    )


def _row(line: Likeness) -> str:
    return f"| {line.kind} | {line.mel_error_db:.1f} dB | {line.length_error:.1%} |"

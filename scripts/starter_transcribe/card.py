"""The model card: what the transcriber is, how it was made and what was measured."""

from starter_transcribe.evaluate import Score
from starter_transcribe.export import Run
from starter_transcribe.measure import Measured

TEXT = """\
---
license: apache-2.0
language: [en, de]
pipeline_tag: automatic-speech-recognition
---
# starter/transcribe

A speech recogniser of {parameters:.1f} million parameters that Hearth trains itself, so that everything can be
tried on a machine without a GPU. It is small on purpose: for first steps and tests, not for real work.

It lives in a closed world of some 300 English and 40 German words, spoken by espeak-ng, and writes them
down in lower case, without punctuation, numbers as words. It has never heard a human being: of other voices
and other words it makes nonsense.

## Format
A Whisper for faster-whisper (CTranslate2): two languages, timestamps up to 30 s, words' times from head {head} of
layer {layer}. Its vocabulary is its own, in Whisper's order. Weights are stored in 16 bits; CTranslate2 computes
with them in whatever type it is asked for.

## Measured
Through faster-whisper with the folder as it is, float32, one thread, beam 1, temperature 0, without the previous
text as a prompt, language detected. No sentence was ever part of training. "Exact" are recordings
without any wrong word. A sentence may be asked more than once, since some patterns have few to hold out.

| recordings | number | word error rate | exact | language right |
| --- | --- | --- | --- | --- |
{rows}

Nothing is written for {silence} of silence and for {noise} of noise.

On {segments} sentences between pauses, a segment's start was off by {start:.2f} s and its end by {end:.2f} s on
average, with words' times by {first:.2f} s (the first word's start) and {last:.2f} s (the last word's end). Words
{order} each other inside the sound.

Weakest are recordings of several sentences, the longer the worse, and words' times, which are rough. The head for
them was chosen by trying each on a few other held-out recordings.

## Made by
{runs}
All on {machine}. All data is drawn and spoken by the script.
"""


def write_card(
    runs: list[Run],
    measured: Measured,
    *,
    num_parameters: int,
    alignment_head: tuple[int, int],
    machine: str,
) -> str:
    times = measured.times
    return TEXT.format(
        parameters=num_parameters / 1e6,
        layer=alignment_head[0],
        head=alignment_head[1],
        rows="\n".join(map(_row, measured.scores)),
        silence=_share(measured.silence),
        noise=_share(measured.noise),
        segments=times.num_segments,
        start=times.segment_start_s,
        end=times.segment_end_s,
        first=times.first_word_start_s,
        last=times.last_word_end_s,
        order="always followed" if times.are_words_in_order else "did not always follow",
        runs="\n".join(map(_run, runs)),
        machine=machine,
    )


def _row(score: Score) -> str:
    exact, language = score.num_exact / score.num_asked, score.num_language_right / score.num_asked
    return (
        f"| {score.kind} | {score.num_asked} | {score.word_error_rate:.3f} | {exact:.2f} | {language:.2f} |"
    )


def _share(score: Score) -> str:
    return f"{score.num_exact} of {score.num_asked} recordings"


def _run(run: Run) -> str:
    return (
        f"`{run.command}`\n\nSeed {run.seed}, {run.steps} steps, {run.sentences} sentences heard,"
        f" {run.cpu_s / 60:.0f} minutes of CPU time, {run.elapsed_s / 60:.0f} minutes by the clock.\n"
    )

"""Writes one window down: temperatures in turn, timestamps to segments, words. Follows `WhisperModel.generate_segments`
of faster-whisper, but its work goes through the batcher and it depends on no other window.
"""

from typing import Any, cast

import msgspec

from engines.contract.transcribe import Segment, Word
from engines.runtime.batcher import Batcher
from engines.runtime.decode_audio import SAMPLE_RATE_HZ
from engines.whisper_parts.computing import Align, Answer, Generate, Outcome, Piece, Work
from engines.whisper_parts.library import SpeechTimestampsMap, Tokenizer, WhisperModel
from engines.whisper_parts.options import Options
from engines.whisper_parts.preparing import Heard
from engines.whisper_parts.windows import Window


class Task(msgspec.Struct, frozen=True):
    """What a request wants of each of its windows. `prompt_tokens` bias the model's words."""

    tokenizer: Tokenizer
    prompt_tokens: list[int]
    temperatures: tuple[float, ...]
    wants_words: bool
    priority: int


class Hearing:
    """Shared by all requests; keeps nothing between windows."""

    def __init__(self, model: WhisperModel, options: Options, batcher: "Batcher[Work, Answer]") -> None:
        self._model = model
        self._options = options
        self._batcher = batcher

    async def write_down(self, heard: Heard, task: Task, first: Piece | None = None) -> list[Segment]:
        """The segments of one window, with times of the file and index 0. `first` is its first piece if that has been
        made already.
        """
        num_frames = heard.mel.shape[-1] - 1
        clock = _Clock(heard.spans)
        segments: list[Segment] = []
        seek, last_speech_s = 0, 0.0
        while seek < num_frames:
            size = min(self._model.feature_extractor.nb_max_frames, num_frames - seek)
            piece = first if first is not None and seek == 0 else Piece(heard.mel[:, seek : seek + size])
            outcome = await self._generate(piece, task)
            if self._is_silence(outcome):
                seek += size
                continue
            found, next_seek = await self._split(piece, outcome, task, (seek, size, last_speech_s))
            last_speech_s = _end_of_words(found) or last_speech_s
            segments += [clock.segment(each, text, outcome) for each in found if (text := _text(each, task))]
            seek = next_seek if next_seek > seek else seek + size
        return segments

    async def _generate(self, piece: Piece, task: Task) -> Outcome:
        """Until a temperature's result is good enough; else the likeliest that is not too repetitive."""
        prompt = self._model.get_prompt(task.tokenizer, task.prompt_tokens)
        tried: list[Outcome] = []
        for temperature in task.temperatures:
            work = Generate(piece, task.tokenizer, prompt, temperature)
            outcome = cast(Outcome, await self._batcher.run(work, task.priority))
            if self._is_good(outcome):
                return outcome
            tried.append(outcome)
        varied = [outcome for outcome in tried if not self._is_repetitive(outcome)]
        best = max(varied or tried, key=lambda outcome: outcome.avg_logprob)
        return msgspec.structs.replace(best, temperature=task.temperatures[-1])

    async def _split(
        self, piece: Piece, outcome: Outcome, task: Task, place: tuple[int, int, float]
    ) -> tuple[list[dict[str, Any]], int]:
        """faster-whisper's segments of this piece, and the frame at which the next piece begins."""
        seek, size, last_speech_s = place
        frame_s = self._model.feature_extractor.time_per_frame
        segments, next_seek, ends_with_single_timestamp = self._model._split_segments_by_timestamps(
            tokenizer=task.tokenizer,
            tokens=outcome.tokens,
            time_offset=seek * frame_s,
            segment_size=size,
            segment_duration=size * frame_s,
            seek=seek,
        )
        if task.wants_words and any(token < task.tokenizer.eot for token in outcome.tokens):
            align = Align(piece, task.tokenizer, segments, size, last_speech_s)
            await self._batcher.run(align, task.priority)
            end_s = _end_of_words(segments)
            if not ends_with_single_timestamp and end_s is not None and end_s > seek * frame_s:
                next_seek = round(end_s * self._model.frames_per_second)
        return segments, next_seek

    def _is_repetitive(self, outcome: Outcome) -> bool:
        most = self._options.compression_ratio_threshold
        return most is not None and outcome.compression_ratio > most

    def _is_unlikely(self, outcome: Outcome) -> bool:
        least = self._options.log_prob_threshold
        return least is not None and outcome.avg_logprob < least

    def _is_good(self, outcome: Outcome) -> bool:
        if self._is_unlikely(outcome):
            return self._seems_silent(outcome)
        return not self._is_repetitive(outcome)

    def _seems_silent(self, outcome: Outcome) -> bool:
        most = self._options.no_speech_threshold
        return most is not None and outcome.no_speech_prob > most

    def _is_silence(self, outcome: Outcome) -> bool:
        """A likely text is kept, whatever the probability of silence."""
        least = self._options.log_prob_threshold
        return self._seems_silent(outcome) and not (least is not None and outcome.avg_logprob > least)


def _text(segment: dict[str, Any], task: Task) -> str:
    """Empty if there is nothing to show."""
    text = task.tokenizer.decode(segment["tokens"])
    return text if text.strip() and segment["start"] != segment["end"] else ""


def _end_of_words(segments: list[dict[str, Any]]) -> float | None:
    """None where words were not asked for."""
    return next((words[-1]["end"] for each in reversed(segments) if (words := each.get("words"))), None)


class _Clock:
    """From a window's own time, in which silence is left out, to the file's."""

    def __init__(self, spans: Window) -> None:
        speech = [{"start": start, "end": end} for start, end in spans]
        self._map = SpeechTimestampsMap(speech, SAMPLE_RATE_HZ)

    def segment(self, found: dict[str, Any], text: str, outcome: Outcome) -> Segment:
        words = tuple(self._word(word) for word in found.get("words", ()))
        return Segment(
            index=0,
            start_s=words[0].start_s if words else float(self._map.get_original_time(found["start"])),
            end_s=words[-1].end_s if words else float(self._map.get_original_time(found["end"], is_end=True)),
            text=text,
            tokens=tuple(found["tokens"]),
            temperature=outcome.temperature,
            avg_logprob=outcome.avg_logprob,
            compression_ratio=outcome.compression_ratio,
            no_speech_prob=outcome.no_speech_prob,
            words=words,
        )

    def _word(self, found: dict[str, Any]) -> Word:
        """Both times belong to the same stretch of speech."""
        chunk = self._map.get_chunk_index((found["start"] + found["end"]) / 2)
        return Word(
            text=found["word"],
            start_s=float(self._map.get_original_time(found["start"], chunk)),
            end_s=float(self._map.get_original_time(found["end"], chunk)),
            probability=float(found["probability"]),
        )

"""What the model computes for windows of different requests at once; runs on the compute thread, knows no requests.

A batch holds one kind of work whose parameters are equal where CTranslate2 wants them equal: see the `key`s.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from engines.runtime.batcher import Job
from engines.whisper_parts.library import (
    Tokenizer,
    WhisperModel,
    ctranslate2,
    get_compression_ratio,
    get_suppressed_tokens,
    np,
    pad_or_trim,
)
from engines.whisper_parts.options import Options

_MAX_INITIAL_TIMESTAMP = 50  # of 0.02 s: Whisper's own default, 1 s
_PREPENDED = "\"'“¿([{-"  # Whisper's own: punctuation that belongs to the word after it,
_APPENDED = "\"'.。,，!！?？:：”)]}、"  # noqa: RUF001  # and to the word before


class Piece:
    """At most 30 s as the encoder reads them. Its output is kept, so that it is computed once."""

    def __init__(self, mel: "np.ndarray") -> None:
        self.mel = pad_or_trim(mel)
        self.encoded: np.ndarray | None = None


class Detect(msgspec.Struct, frozen=True, eq=False):
    """Answered by language codes and probabilities, best first."""

    piece: Piece
    key: tuple[object, ...] = ("detect",)


class Generate(msgspec.Struct, frozen=True, eq=False):
    """Answered by an `Outcome`. `prompt` is everything up to the first token of the answer."""

    piece: Piece
    tokenizer: Tokenizer
    prompt: list[int]
    temperature: float

    @property
    def key(self) -> tuple[object, ...]:
        return ("generate", len(self.prompt), self.temperature)


class Align(msgspec.Struct, frozen=True, eq=False):
    """Gives each of `segments` (faster-whisper's dictionaries, at least one) its `words`."""

    piece: Piece
    tokenizer: Tokenizer
    segments: list[dict[str, Any]]
    num_frames: int
    last_speech_s: float
    key: tuple[object, ...] = ("align",)


class Outcome(msgspec.Struct, frozen=True):
    """`tokens` include timestamps; `avg_logprob` is per token."""

    tokens: list[int]
    temperature: float
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


Work = Detect | Generate | Align
Answer = list[tuple[str, float]] | Outcome | None
Batch = list[Job[Work, Answer]]


class Computer:
    """Owns the model on its compute thread."""

    def __init__(self, model: WhisperModel, options: Options, max_batch: int) -> None:
        self._model = model
        self._options = options
        self._max_batch = max_batch
        # Whisper's own: signs that are never spoken, and control tokens. The same for all languages.
        tokenizer = Tokenizer(
            model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en"
        )
        self._suppressed = get_suppressed_tokens(tokenizer, [-1])

    def choose(self, waiting: Sequence[Job[Work, Answer]]) -> Batch:
        """The most urgent piece of work and all that can be computed together with it."""
        key = waiting[0].work.key
        return [job for job in waiting if job.work.key == key][: self._max_batch]

    def compute(self, batch: Batch) -> Sequence[Answer]:
        """Raises what CTranslate2 raises: RuntimeError for everything."""
        works = [job.work for job in batch]
        return self._compute(works, self._encode([work.piece for work in works]))

    def _compute(self, works: list[Work], encoded: Any) -> Sequence[Answer]:
        match works[0]:
            case Detect():
                found = self._model.model.detect_language(encoded)
                return [[(token[2:-2], probability) for token, probability in each] for each in found]
            case Generate() as first:
                return self._generate([work for work in works if isinstance(work, Generate)], encoded, first)
            case Align():
                for work in works:
                    if isinstance(work, Align):
                        self._align(work)
                return [None] * len(works)

    def _encode(self, pieces: list[Piece]) -> Any:
        """The encoder's output for all pieces, `(n, 1500, size)`."""
        fresh = [piece for piece in pieces if piece.encoded is None]
        if fresh:
            mel = ctranslate2.StorageView.from_array(np.stack([piece.mel for piece in fresh]))
            output = self._model.model.encode(mel, to_cpu=True)
            if output.dtype == ctranslate2.DataType.bfloat16:  # which NumPy does not have
                output = output.to(ctranslate2.DataType.float32)
            for piece, encoded in zip(fresh, np.asarray(output), strict=True):
                piece.encoded = encoded
            if len(fresh) == len(pieces):
                return output
        return ctranslate2.StorageView.from_array(np.stack([piece.encoded for piece in pieces]))

    def _generate(self, works: list[Generate], encoded: Any, first: Generate) -> list[Outcome]:
        options = self._options
        if first.temperature > 0:
            search = {
                "beam_size": 1,
                "num_hypotheses": options.best_of,
                "sampling_topk": 0,
                "sampling_temperature": first.temperature,
            }
        else:
            search = {"beam_size": options.beam_size}
        results = self._model.model.generate(
            encoded,
            [work.prompt for work in works],
            max_length=self._model.max_length,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_tokens=self._suppressed,
            max_initial_timestamp_index=_MAX_INITIAL_TIMESTAMP,
            **search,
        )
        return [_outcome(work, result) for work, result in zip(works, results, strict=True)]

    def _align(self, work: Align) -> None:
        """One by one: faster-whisper carries the end of the last word from each to the next."""
        encoded = ctranslate2.StorageView.from_array(np.stack([work.piece.encoded]))
        self._model.add_word_timestamps(
            [work.segments],
            work.tokenizer,
            encoded,
            work.num_frames,
            _PREPENDED,
            _APPENDED,
            work.last_speech_s,
        )


def _outcome(work: Generate, result: Any) -> Outcome:
    tokens = result.sequences_ids[0]
    return Outcome(
        tokens=tokens,
        temperature=work.temperature,
        avg_logprob=result.scores[0]
        * len(tokens)
        / (len(tokens) + 1),  # scores are per token, without the end
        no_speech_prob=result.no_speech_prob,
        compression_ratio=get_compression_ratio(work.tokenizer.decode(tokens).strip()),
    )

"""Texts to tokens on a thread of their own, counted exactly, refused or cut where the model cannot read them whole."""

from collections.abc import Iterator, Sequence
from typing import Any

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.blocking import ComputeThread
from engines.st_parts.pieces import Tokens

Pair = tuple[str, str]
_SLICE_CHARS = 16_000  # some 10 ms of work: so long do texts of other requests wait for a turn
_CHARS_PER_TOKEN = 16  # far above those of ordinary text
_SLACK_CHARS = 64 * 1024


class TooLong(Exception):
    """Text number `index` has `num_tokens`, more than the model reads."""

    def __init__(self, index: int, num_tokens: int) -> None:
        super().__init__(index, num_tokens)
        self.index = index
        self.num_tokens = num_tokens


class Reader:
    """Owns a tokenizer of the `tokenizers` library, which keeps settings between calls: only its thread may use it."""

    def __init__(self, thread: ComputeThread, tokenizer: Any, limit: int) -> None:
        self._thread = thread
        self._limit = limit
        self.use(tokenizer)

    def use(self, tokenizer: Any) -> None:
        """Read with this one from now on; only while nothing is being read."""
        self._tokenizer = tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True  # text that spells a control token stays text

    @property
    def limit(self) -> int:
        """Most tokens of a text or pair."""
        return self._limit

    async def read(self, texts: Sequence[str] | Sequence[Pair], *, truncate: bool) -> list[Tokens]:
        """Every text as tokens, in order; one that is too long is cut at its end if `truncate`, else raises TooLong."""
        tokens: list[Tokens] = []
        for part in _slices(texts):
            tokens += await self._thread.run(self._read, part, len(tokens), truncate=truncate)
        return tokens

    async def count(self, text: str | Pair) -> int:
        """Tokens of one text, however long it is."""
        return len((await self._thread.run(self._tokenizer.encode_batch_fast, [text]))[0].ids)

    def close(self) -> None:
        self._thread.close()

    def _read(self, texts: Sequence[str] | Sequence[Pair], first: int, *, truncate: bool) -> list[Tokens]:
        if truncate:
            texts = [self._shortened(text) for text in texts]
        encodings = self._tokenizer.encode_batch_fast(texts)
        for number, encoding in enumerate(encodings):
            if len(encoding.ids) <= self._limit:
                continue
            if not truncate:
                raise TooLong(first + number, len(encoding.ids))
            encodings[number] = self._cut(texts[number])
        return [Tokens(first + number, found.ids, found.type_ids) for number, found in enumerate(encodings)]

    def _cut(self, text: str | Pair) -> Any:
        """Cut as the library does: the tokenizer keeps the closing tokens, and a pair loses from its longer half."""
        self._tokenizer.enable_truncation(self._limit, strategy="longest_first")
        try:
            return self._tokenizer.encode_batch_fast([text])[0]
        finally:
            self._tokenizer.no_truncation()

    def _shortened(self, text: str | Pair) -> str | Pair:
        """Without what is cut away in any case, so that a huge text does not keep the tokenizer from others."""
        most = self._limit * _CHARS_PER_TOKEN + _SLACK_CHARS
        if isinstance(text, str):
            return text[:most]
        return text[0][:most], text[1][:most]


def too_long(field: str, num_tokens: int, limit: int) -> EngineError:
    return EngineError(
        ErrorCode.VALIDATION_ERROR,
        f"{field} has {num_tokens} tokens, but the model reads at most {limit}; shorten it or set truncate",
        field=field,
    )


def _slices(texts: Sequence[Any]) -> Iterator[list[Any]]:
    """Parts of bounded size, at least one text each."""
    part: list[Any] = []
    num_chars = 0
    for text in texts:
        length = len(text) if isinstance(text, str) else len(text[0]) + len(text[1])
        if part and num_chars + length > _SLICE_CHARS:
            yield part
            part, num_chars = [], 0
        part.append(text)
        num_chars += length
    yield part

"""From vLLM's outputs to our deltas; knows nothing of grammars and prompts."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from engines.contract.chat import Alternative, Delta, TokenLogprob
from engines.contract.errors import EngineError, ErrorCode
from engines.contract.types import FinishReason
from engines.vllm_parts import library as vllm
from engines.vllm_parts.readers import Reader

_LOWEST_LOGPROB = -9999.0  # minus infinity has no JSON


class Tally:
    """Makes one request's deltas and counts its tokens.

    `readers` makes a reader for a choice whose text must be taken apart; `echoes` are prompts to repeat, by choice;
    `bound_by` is the request's field that binds the text to a grammar, if there is one.
    """

    def __init__(
        self,
        speller: "TokenSpeller",
        num_logprobs: int | None,
        readers: Callable[[], Reader] | None,
        echoes: dict[int, str],
        bound_by: str | None,
    ) -> None:
        self._speller = speller
        self._num_logprobs = num_logprobs
        self._make_reader = readers
        self._echoes = echoes
        self._bound_by = bound_by
        self._readers: dict[int, Reader] = {}
        self.completion_tokens = 0

    @property
    def reasoning_tokens(self) -> int:
        return sum(reader.reasoning_tokens for reader in self._readers.values())

    def delta(self, index: int, choice: Any, output: Any) -> Delta | None:
        """What vLLM's `choice` adds to choice `index`, None if nothing. Raises EngineError if vLLM gave it up."""
        self.completion_tokens += len(choice.token_ids)
        reason = self._finish_reason(choice.finish_reason)
        logprobs: tuple[TokenLogprob, ...] = ()
        if self._num_logprobs is not None:
            logprobs = self._speller.logprobs(choice.token_ids, choice.logprobs, self._num_logprobs)
        if self._make_reader is not None:
            delta = self._read(index, choice, reason, logprobs)
        else:
            delta = Delta(index, choice.text, "", (), logprobs, reason)
        if index in self._echoes:
            delta = self._echo(delta, output)
        is_empty = not (delta.content or reason or logprobs or delta.tool_calls or delta.reasoning)
        return None if is_empty else delta

    def _read(
        self, index: int, choice: Any, reason: FinishReason | None, logprobs: tuple[TokenLogprob, ...]
    ) -> Delta:
        reader = self._readers.get(index) or self._readers.setdefault(index, self._make_reader())
        piece = reader.read(choice.text, list(choice.token_ids), is_last=reason is not None)
        if reason == "stop" and reader.num_calls:
            reason = "tool_calls"
        return Delta(index, piece.content, piece.reasoning, piece.tool_calls, logprobs, reason)

    def _finish_reason(self, reason: str | None) -> FinishReason | None:
        if reason is None or reason == "stop" or reason == "length":
            return reason
        if reason == "repetition":
            return "stop"
        if self._bound_by is not None:  # such as {"$ref": "#"}: it compiles, and no text fulfils it
            message = "no text fits this schema, or the model cannot write one"
            raise EngineError(ErrorCode.VALIDATION_ERROR, message, field=self._bound_by)
        raise EngineError(ErrorCode.BACKEND_ERROR, "the engine gave the request up")

    def _echo(self, delta: Delta, output: Any) -> Delta:
        """The first delta of a choice, with its prompt before it."""
        logprobs = delta.logprobs
        if self._num_logprobs is not None:
            logprobs = self._speller.prompt_logprobs(output, self._num_logprobs) + logprobs
        return msgspec.structs.replace(
            delta, content=self._echoes.pop(delta.index) + delta.content, logprobs=logprobs
        )


class TokenSpeller:
    """Gives the text and bytes of single tokens, for log probabilities."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._bytes: dict[int, bytes] = {}
        self._from_unicode = _byte_level_table()

    def logprobs(self, token_ids: Any, entries: Any, num_top: int) -> tuple[TokenLogprob, ...]:
        """One TokenLogprob per token, with its `num_top` best alternatives."""
        return tuple(
            self._token(token, entry, num_top) for token, entry in zip(token_ids, entries, strict=True)
        )

    def prompt_logprobs(self, output: Any, num_top: int) -> tuple[TokenLogprob, ...]:
        """As `logprobs`, for the prompt. Its first token has none: it is reported as 0.0 without alternatives."""
        first, *rest = output.prompt_token_ids
        text = self.text([first])
        known = self.logprobs(rest, output.prompt_logprobs[1:], num_top)
        return (TokenLogprob(Alternative(text, self._spell(first, text), 0.0)), *known)

    def text(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(token_ids)))

    def _token(self, token: int, entry: dict[int, vllm.Logprob], num_top: int) -> TokenLogprob:
        candidates = {id: self._candidate(id, logprob) for id, logprob in entry.items()}
        ranked = sorted(entry, key=lambda id: -entry[id].logprob)[:num_top]
        return TokenLogprob(candidates[token], tuple(candidates[id] for id in ranked))

    def _candidate(self, token: int, logprob: vllm.Logprob) -> Alternative:
        text = logprob.decoded_token or ""
        return Alternative(text, self._spell(token, text), max(logprob.logprob, _LOWEST_LOGPROB))

    def _spell(self, token: int, text: str) -> bytes:
        """The token's own bytes; a token may hold a part of a character, which no text can show."""
        if token not in self._bytes:
            raw = self._tokenizer.convert_ids_to_tokens(token) or ""
            self._bytes[token] = self._raw_bytes(raw, text)
        return self._bytes[token]

    def _raw_bytes(self, raw: str, text: str) -> bytes:
        if raw.startswith("<0x") and raw.endswith(">") and len(raw) == len("<0xFF>"):
            return bytes([int(raw[3:5], 16)])
        if "\ufffd" not in text and text:
            return text.encode()
        if all(character in self._from_unicode for character in raw):
            return bytes(self._from_unicode[character] for character in raw)
        return text.encode()


def _byte_level_table() -> dict[str, int]:
    """GPT-2's mapping of bytes to printable characters, reversed (`bytes_to_unicode` in openai/gpt-2, encoder.py)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(256 + number): byte for number, byte in enumerate(others)}

"""Log probabilities in the shape of OpenAI's legacy completions."""

from collections.abc import Sequence

from engines.contract.chat import TokenLogprob
from server.wire.chat_logprobs import LEAST_LOGPROB


def legacy_logprobs(logprobs: Sequence[TokenLogprob], text_offset: int) -> dict[str, object]:
    """`text_offset` is where in the choice's text, counted in characters, the first of `logprobs` begins."""
    offsets = []
    for entry in logprobs:
        offsets.append(text_offset)
        text_offset += len(entry.chosen.token)
    return {
        "tokens": [entry.chosen.token for entry in logprobs],
        "token_logprobs": [max(entry.chosen.logprob, LEAST_LOGPROB) for entry in logprobs],
        "top_logprobs": [_top(entry) for entry in logprobs],
        "text_offset": offsets,
    }


def text_length(logprobs: Sequence[TokenLogprob]) -> int:
    """Characters that these tokens add to the text."""
    return sum(len(entry.chosen.token) for entry in logprobs)


def _top(entry: TokenLogprob) -> dict[str, float]:
    return {item.token: max(item.logprob, LEAST_LOGPROB) for item in entry.top}

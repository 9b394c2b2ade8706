"""Log probabilities in the shape of OpenAI's chat completions."""

from collections.abc import Sequence

from engines.contract.chat import Alternative, TokenLogprob

LEAST_LOGPROB = -9999.0  # what OpenAI sends for tokens that cannot be; JSON has no -Infinity


def logprobs_object(logprobs: Sequence[TokenLogprob]) -> dict[str, object]:
    return {"content": [_token(entry) for entry in logprobs], "refusal": None}


def _token(entry: TokenLogprob) -> dict[str, object]:
    return _alternative(entry.chosen) | {"top_logprobs": [_alternative(item) for item in entry.top]}


def _alternative(item: Alternative) -> dict[str, object]:
    return {"token": item.token, "logprob": max(item.logprob, LEAST_LOGPROB), "bytes": list(item.data)}

"""Answers of a rerank request as bytes: results best first, in Cohere's shape or within the envelope."""

from collections.abc import Sequence

from engines.contract.embed import Scores
from engines.contract.requests import Item
from engines.contract.types import Usage
from server.envelope import success, to_json
from server.wire.heading import Heading
from server.wire.whole_answer import WholeAnswer


class Ranking:
    """What the client wants to see of the scores. `documents` is None unless they are to be repeated."""

    def __init__(self, top_n: int | None, documents: Sequence[str] | None) -> None:
        self._top_n = top_n
        self._documents = documents

    def results(self, items: Sequence[Item]) -> list[dict[str, object]]:
        """Best first; equal ones as they came."""
        scored = [
            (score, part.first + number)
            for part in items
            if isinstance(part, Scores)
            for number, score in enumerate(part.scores)
        ]
        best = sorted(scored, key=lambda pair: (-pair[0], pair[1]))[: self._top_n]
        return [self._result(score, index) for score, index in best]

    def _result(self, score: float, index: int) -> dict[str, object]:
        result: dict[str, object] = {"index": index, "relevance_score": score}
        if self._documents is not None:
            result["document"] = {"text": self._documents[index]}
        return result


class NativeRerank(WholeAnswer):
    """`Renderer` of POST /v1/inference/rerank."""

    def __init__(self, model: str, ranking: Ranking, request_id: str) -> None:
        self._model = model
        self._ranking = ranking
        self._request_id = request_id

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        data = {"model": self._model, "results": self._ranking.results(items), "usage": _usage(usage)}
        return to_json(success(data, self._request_id))


class CohereRerank(WholeAnswer):
    """`Renderer` of POST /oai/v1/rerank. `model` and `usage` are what other servers of this shape add."""

    def __init__(self, heading: Heading, ranking: Ranking) -> None:
        self._heading = heading
        self._ranking = ranking

    def whole(self, items: Sequence[Item], usage: Usage) -> bytes:
        return to_json(
            {
                "id": self._heading.id,
                "model": self._heading.model,
                "results": self._ranking.results(items),
                "meta": {
                    "api_version": {"version": "2"},
                    "tokens": {"input_tokens": usage.prompt_tokens, "output_tokens": 0},
                },
                "usage": _usage(usage),
            }
        )


def _usage(usage: Usage) -> dict[str, object]:
    return {"prompt_tokens": usage.prompt_tokens, "total_tokens": usage.total_tokens}

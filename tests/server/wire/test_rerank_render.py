"""Results best first, in both dialects."""

import json

from engines.contract.embed import Scores
from engines.contract.types import Usage
from server.wire.heading import Heading
from server.wire.rerank_render import CohereRerank, NativeRerank, Ranking

PARTS = (Scores(2, (0.5, 0.75)), Scores(0, (0.5, 0.25)))
USAGE = Usage(9, 0)


def test_best_come_first_and_equal_ones_as_they_were_sent() -> None:
    results = Ranking(None, None).results(PARTS)

    assert [(result["index"], result["relevance_score"]) for result in results] == [
        (3, 0.75),
        (0, 0.5),
        (2, 0.5),
        (1, 0.25),
    ]


def test_top_n_keeps_the_best_with_their_documents() -> None:
    assert Ranking(2, ["a", "b", "c", "d"]).results(PARTS) == [
        {"index": 3, "relevance_score": 0.75, "document": {"text": "d"}},
        {"index": 0, "relevance_score": 0.5, "document": {"text": "a"}},
    ]


def test_top_n_above_the_number_of_documents_means_all() -> None:
    assert len(Ranking(100, None).results(PARTS)) == 4


def test_native_answer_stands_in_the_envelope() -> None:
    body = json.loads(NativeRerank("m", Ranking(1, None), "req_1").whole(PARTS, USAGE))

    assert body == {
        "status": "ok",
        "data": {
            "model": "m",
            "results": [{"index": 3, "relevance_score": 0.75}],
            "usage": {"prompt_tokens": 9, "total_tokens": 9},
        },
        "meta": {"request_id": "req_1"},
    }


def test_coheres_shape() -> None:
    body = json.loads(CohereRerank(Heading("rerank-1", 0, "m"), Ranking(1, None)).whole(PARTS, USAGE))

    assert body == {
        "id": "rerank-1",
        "model": "m",
        "results": [{"index": 3, "relevance_score": 0.75}],
        "meta": {"api_version": {"version": "2"}, "tokens": {"input_tokens": 9, "output_tokens": 0}},
        "usage": {"prompt_tokens": 9, "total_tokens": 9},
    }

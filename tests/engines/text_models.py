"""Workers that embed and rerank with tiny models, made on the spot by the engines' interpreter."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.contract.spec import BackendSpec, Capabilities, Frontend
from engines.contract.types import Modality
from tests.engines.running_worker import ROOT

SIZE = 32
LIMIT = 32


def make_text_models(folder: Path, python: str) -> None:
    """`folder/embed` and `folder/rerank`: random weights, every letter is a token."""
    subprocess.run(
        [python, str(ROOT / "tests/engines/make_text_models.py"), str(folder)],
        check=True,
        capture_output=True,
    )


def embed_spec(weights: Path, *, context_window: int = LIMIT, **options: Any) -> BackendSpec:
    return _spec("st_embed", Modality.EMBEDDING, weights, context_window, options)


def rerank_spec(weights: Path, *, context_window: int = LIMIT, **options: Any) -> BackendSpec:
    return _spec("st_rerank", Modality.RERANK, weights, context_window, options)


def _spec(
    engine: str, modality: Modality, weights: Path, context_window: int, options: dict[str, Any]
) -> BackendSpec:
    return BackendSpec(
        id="be_test",
        engine=engine,
        modality=modality,
        frontends=(Frontend("test/model"),),
        weights=str(weights),
        licence="none",
        context_window=context_window,
        capabilities=Capabilities(dimensions=True),
        device="cpu",
        options={"omp_num_threads": 1} | options,
    )


class BareLibrary:
    """sentence-transformers in a process of its own, asked line by line: what our engines must agree with."""

    def __init__(self, weights: Path, python: str) -> None:
        self._process = subprocess.Popen(
            [python, "-c", _BARE, str(weights)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def encode(self, texts: Sequence[str], prompt: str | None = None) -> list[list[float]]:
        return self._ask([list(texts), prompt])

    def predict(self, query: str, documents: Sequence[str]) -> list[float]:
        return self._ask([[query, document] for document in documents])

    def close(self) -> None:
        self._process.communicate()

    def _ask(self, question: list[Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


_BARE = """
import json, sys
from sentence_transformers import CrossEncoder, SentenceTransformer
kind = CrossEncoder if sys.argv[1].endswith("rerank") else SentenceTransformer
model = kind(sys.argv[1], device="cpu", local_files_only=True)
for line in sys.stdin:
    question = json.loads(line)
    if kind is CrossEncoder:
        answer = model.predict([tuple(pair) for pair in question], show_progress_bar=False)
    else:
        answer = model.encode(question[0], prompt=question[1], show_progress_bar=False)
    print(json.dumps(answer.tolist()), flush=True)
"""

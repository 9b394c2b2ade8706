"""Search a folder of text files by meaning, through a Hearth server.

    export HEARTH_API_KEY=sgk_...
    python examples/semantic_search.py ~/notes "How do I bake bread?"

Every file is cut into passages, every passage becomes a vector, and the passages whose vectors lie nearest to the
question's are printed, best first. Vectors are kept in a file in the folder, so that only changed files are read again.
With --rerank a second model reads the best passages together with the question, which is slower and better.
"""

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
from openai import OpenAI

INDEX = ".semantic_search.json"
PASSAGE_WORDS = 60
BATCH = 256  # passages per request; the server takes up to 2048
CANDIDATES = 20  # so many of the nearest are reranked


class Passage(NamedTuple):
    file: str
    text: str


def main() -> None:
    options = parse()
    http = httpx.Client(trust_env=False, timeout=120)
    client = OpenAI(base_url=f"{options.url}/oai/v1", api_key=options.key, http_client=http)
    passages = [passage for file in files(options) for passage in cut(file, options.folder)]
    if not passages:
        sys.exit(f"No {options.suffix} files with text in {options.folder}")
    vectors = index(client, options, passages)
    asked = embed(client, options.model, [options.question])[0]
    scores = [sum(a * b for a, b in zip(asked, vector, strict=True)) for vector in vectors]
    best = sorted(zip(scores, passages, strict=True), reverse=True)
    if options.rerank:
        best = rerank(client, options, [passage for _, passage in best[:CANDIDATES]])
    for score, passage in best[: options.top]:
        print(f"{score:.3f}  {passage.file}\n       {passage.text}\n")


def files(options: argparse.Namespace) -> list[Path]:
    return sorted(path for path in options.folder.rglob(f"*{options.suffix}") if path.is_file())


def cut(file: Path, folder: Path) -> Iterator[Passage]:
    """Passages of so many words, each beginning with the second half of the one before."""
    words = file.read_text(encoding="utf-8", errors="replace").split()
    step = PASSAGE_WORDS // 2
    for start in range(0, max(1, len(words) - step), step):
        if piece := words[start : start + PASSAGE_WORDS]:
            yield Passage(str(file.relative_to(folder)), " ".join(piece))


def index(client: OpenAI, options: argparse.Namespace, passages: list[Passage]) -> list[list[float]]:
    """A vector for each passage; those that are not in the index file yet are asked for, in batches."""
    path = options.folder / INDEX
    known: dict[str, list[float]] = json.loads(path.read_text()) if path.exists() else {}
    keys = [hashlib.sha256(f"{options.model}\n{passage.text}".encode()).hexdigest() for passage in passages]
    new = {key: passage.text for key, passage in zip(keys, passages, strict=True) if key not in known}
    for start in range(0, len(new), BATCH):
        part = list(new)[start : start + BATCH]
        vectors = embed(client, options.model, [new[key] for key in part])
        known |= dict(zip(part, vectors, strict=True))
    path.write_text(json.dumps({key: known[key] for key in keys}))
    return [known[key] for key in keys]


def embed(client: OpenAI, model: str, texts: list[str]) -> list[list[float]]:
    """`truncate` is Hearth's own: passages with unusual words may have more tokens than the model reads."""
    answer = client.embeddings.create(model=model, input=texts, extra_body={"truncate": True})
    return [entry.embedding for entry in answer.data]


def rerank(
    client: OpenAI, options: argparse.Namespace, passages: list[Passage]
) -> list[tuple[float, Passage]]:
    body = {
        "model": options.rerank,
        "query": options.question,
        "documents": [passage.text for passage in passages],
        "truncate": True,
    }
    results = client.post("/rerank", body=body, cast_to=object)["results"]  # type: ignore[index]  # plain JSON
    return [(result["relevance_score"], passages[result["index"]]) for result in results]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("folder", type=Path, help="folder with text files, searched with its subfolders")
    parser.add_argument("question")
    parser.add_argument("--top", type=int, default=3, help="passages to print (default %(default)s)")
    parser.add_argument("--suffix", default=".txt", help="of the files (default %(default)s)")
    parser.add_argument("--model", default="starter/embed", help="embedding model (default %(default)s)")
    parser.add_argument("--rerank", metavar="MODEL", help="rerank the best with this, e.g. starter/rerank")
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="of the server (default %(default)s)")
    parser.add_argument("--key", default=os.environ.get("HEARTH_API_KEY", ""), help="default: HEARTH_API_KEY")
    return parser.parse_args()


if __name__ == "__main__":
    main()

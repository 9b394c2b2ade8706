"""One `encode` a call, of a list of texts: `python -m benchmark.bare.embed WEIGHTS`."""

import sys

from sentence_transformers import SentenceTransformer

from benchmark.bare.calls import answer_calls


def main() -> None:
    model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)

    def encode(texts: list[str]) -> str:
        model.encode(texts, show_progress_bar=False)
        return ""

    answer_calls(encode, ["warm up"])


if __name__ == "__main__":
    main()

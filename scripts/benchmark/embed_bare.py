"""The bare library, run by the engines' interpreter: jobs as JSON lines on stdin, figures as JSON lines on stdout.

A job is a list of calls, a call a list of texts for one `encode`; the answer is the seconds of each call.
"""

import json
import sys
import time

from sentence_transformers import SentenceTransformer


def main() -> None:
    model = SentenceTransformer(sys.argv[1], device="cpu", local_files_only=True)
    model.encode(["warm up"], show_progress_bar=False)
    print("ready", flush=True)
    for line in sys.stdin:
        latencies = []
        for texts in json.loads(line):
            begun_at = time.perf_counter()
            model.encode(texts, show_progress_bar=False)
            latencies.append(time.perf_counter() - begun_at)
        print(json.dumps(latencies), flush=True)


if __name__ == "__main__":
    main()

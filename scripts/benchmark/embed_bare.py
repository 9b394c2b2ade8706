"""The bare library, run by the engines' interpreter: jobs as JSON lines on stdin, figures as JSON lines on stdout.

A job is a list of calls, and a call a list of texts for one `encode`. Knows nothing of ours.
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
        cpu_before = time.process_time()
        for texts in json.loads(line):
            begun_at = time.perf_counter()
            model.encode(texts, show_progress_bar=False)
            latencies.append(time.perf_counter() - begun_at)
        cpu_s = time.process_time() - cpu_before
        print(json.dumps({"latencies": latencies, "cpu_s": cpu_s}), flush=True)


if __name__ == "__main__":
    main()

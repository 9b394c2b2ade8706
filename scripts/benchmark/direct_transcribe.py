"""Bare faster-whisper, as a program of its own in the engines' environment: a path a line in, seconds and text out.

python direct_transcribe.py WEIGHTS LANGUAGE
"""

import json
import sys
import time

from faster_whisper import BatchedInferencePipeline, WhisperModel

BATCH = 4  # what our engine computes together on a CPU


def main() -> None:
    model = WhisperModel(sys.argv[1], device="cpu", cpu_threads=1, local_files_only=True)
    batched = BatchedInferencePipeline(model)
    for line in sys.stdin:
        begun_at = time.perf_counter()
        segments, _ = batched.transcribe(
            line.strip(), language=sys.argv[2], batch_size=BATCH, without_timestamps=False
        )
        text = "".join(segment.text for segment in segments).strip()
        print(json.dumps({"seconds": time.perf_counter() - begun_at, "text": text}), flush=True)


if __name__ == "__main__":
    main()

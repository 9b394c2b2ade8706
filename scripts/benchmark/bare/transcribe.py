"""One file a call, its windows together: `python -m benchmark.bare.transcribe WEIGHTS LANGUAGE FIRST_FILE`."""

import sys

from faster_whisper import BatchedInferencePipeline, WhisperModel

from benchmark.bare.calls import answer_calls

_BATCH = 4  # what our engine computes together on a CPU


def main() -> None:
    model = WhisperModel(sys.argv[1], device="cpu", cpu_threads=1, local_files_only=True)
    batched = BatchedInferencePipeline(model)

    def transcribe(path: str) -> str:
        segments, _ = batched.transcribe(
            path, language=sys.argv[2], batch_size=_BATCH, without_timestamps=False
        )
        return "".join(segment.text for segment in segments).strip()

    answer_calls(transcribe, sys.argv[3])


if __name__ == "__main__":
    main()

"""A transcript as an engine tells it."""

from engines.contract.transcribe import Segment, TranscriptInfo, Word
from engines.contract.types import Usage

INFO = TranscriptInfo("en", 0.98, 3.2004)
FIRST = Segment(
    index=0,
    start_s=0.0,
    end_s=1.5,
    text=" Hello there.",
    tokens=(7, 8),
    avg_logprob=-0.25,
    compression_ratio=0.9,
    no_speech_prob=0.01,
    words=(Word(" Hello", 0.0, 0.7, 0.9), Word(" there.", 0.7, 1.5, 0.8)),
)
SECOND = Segment(1, 1.75, 3.0, " Goodbye.", words=(Word(" Goodbye.", 1.75, 3.0, 0.9),))
HEARD = (INFO, FIRST, SECOND)
USAGE = Usage(0, 5, audio_s=3.2004)
TEXT = "Hello there. Goodbye."

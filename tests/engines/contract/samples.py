"""One filled-in example of every frame; `python -m tests.engines.contract.samples` writes the snapshots anew."""

from pathlib import Path

import msgspec

from engines.contract.chat import (
    Alternative,
    ChatRequest,
    Delta,
    GenerateRequest,
    Message,
    OutputFormat,
    Sampling,
    TokenLogprob,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolChoice,
)
from engines.contract.codec import encode
from engines.contract.embed import EmbedRequest, RerankRequest, Scores, Vectors
from engines.contract.engine import EngineStats
from engines.contract.errors import ErrorCode
from engines.contract.frames import (
    Accepted,
    Asleep,
    Attach,
    Awake,
    Cancel,
    Done,
    Dying,
    Failed,
    FromWorker,
    Init,
    Items,
    LoadFailed,
    Progress,
    Ready,
    ResidencyFailed,
    Shutdown,
    Sleep,
    Start,
    Stats,
    ToWorker,
    Wake,
)
from engines.contract.image import ImageProgress, ImageRequest, Picture
from engines.contract.speech import AudioChunk, SpeechRequest
from engines.contract.transcribe import AudioFile, Segment, TranscribeRequest, TranscriptInfo, Word
from engines.contract.types import Priority, Usage
from tests.fakes.specs import make_spec

SNAPSHOTS = Path(__file__).parent / "snapshots"

_CHAT = ChatRequest(
    messages=(
        Message("system", "Be brief."),
        Message("user", "Weather in Rome?", name="ann"),
        Message(
            "assistant", None, tool_calls=(ToolCall("call_1", "weather", '{"city": "Rome"}'),), reasoning="hm"
        ),
        Message("tool", "sunny", tool_call_id="call_1"),
    ),
    sampling=Sampling(
        max_tokens=16, temperature=0.5, seed=7, stop=("\n",), n=2, logprobs=1, logit_bias={5: -1.0}
    ),
    tools=(Tool("weather", "Tells the weather", {"type": "object"}, strict=True),),
    tool_choice=ToolChoice("named", "weather"),
    parallel_tool_calls=False,
    output_format=OutputFormat("json_schema", {"type": "object"}),
    thinking=True,
    stream=True,
)
_DELTA = Delta(
    1,
    "Sun",
    "why",
    (ToolCallDelta(0, "call_2", "weather", "{"),),
    (TokenLogprob(Alternative("Sun", b"Sun", -0.25), (Alternative("Sun", b"Sun", -0.25),)),),
    "tool_calls",
)

TO_WORKER: dict[str, ToWorker] = {
    "init": Init(1, make_spec()),
    "attach": Attach(1),
    "start_chat": Start(3, _CHAT, Priority.INTERACTIVE),
    "start_generate": Start(
        4, GenerateRequest(("one", (1, 2)), Sampling(), echo=True, stream=True), Priority.BATCH
    ),
    "start_embed": Start(5, EmbedRequest(("one", "two"), 64, "query", truncate=True)),
    "start_rerank": Start(6, RerankRequest("which", ("one", "two"))),
    "start_image": Start(7, ImageRequest("a circle", 2, 64, 64, "blur", 15, 2.5, 42, "hd", "vivid")),
    "start_transcribe": Start(
        8,
        TranscribeRequest(AudioFile("/run/upload", 9), "translate", "de", "names", 0.5, word_timestamps=True),
    ),
    "start_speech": Start(9, SpeechRequest("Hello.", "anna", 1.5, "opus", "en", 1)),
    "cancel": Cancel(3),
    "sleep": Sleep(2, 30.0),
    "wake": Wake(120.0),
    "shutdown": Shutdown(),
}
FROM_WORKER: dict[str, FromWorker] = {
    "progress": Progress("loading", "weights"),
    "ready": Ready(1, 2.5, (1, 2)),
    "load_failed": LoadFailed("no config.json", permanent=True),
    "asleep": Asleep(1, 0.5, -4096, 8192),
    "awake": Awake(0.25),
    "residency_failed": ResidencyFailed("waking took longer than 120 s", is_fatal=True),
    "dying": Dying("the device failed: illegal memory access"),
    "accepted": Accepted(3),
    "items": Items([(3, _DELTA), (4, Delta(0, "x"))]),
    "items_of_other_modalities": Items(
        [
            (5, Vectors(0, 1, b"\x00\x00\x80?")),
            (6, Scores(1, (0.5,))),
            (7, ImageProgress(3, 15)),
            (7, Picture(0, b"\x89PNG", 42, 64, 64)),
            (8, TranscriptInfo("en", 0.75, 2.5)),
            (8, Segment(0, 0.0, 2.5, " hi", (5,), 0.0, -0.25, 1.0, 0.125, (Word(" hi", 0.5, 1.0, 0.75),))),
            (9, AudioChunk(b"ID3", 0.5)),
        ]
    ),
    "done": Done(3, Usage(10, 4, 8, 1, 2.5)),
    "failed": Failed(3, ErrorCode.VALIDATION_ERROR, "too long", "messages", 1, worker_died=True),
    "stats": Stats(2, 0.5, EngineStats(1, 1, 0.25, 9), 4096),
}


def on_the_wire(frame: ToWorker | FromWorker) -> str:
    """What a frame's bytes say, as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(msgspec.msgpack.decode(encode(frame)[4:]))).decode() + "\n"


if __name__ == "__main__":
    for name, sample in (TO_WORKER | FROM_WORKER).items():
        (SNAPSHOTS / f"{name}.json").write_text(on_the_wire(sample))

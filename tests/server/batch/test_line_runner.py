"""Lines of every endpoint, run to the answer that their route would give."""

import asyncio
import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest

from engines.contract.chat import Delta
from engines.contract.embed import Scores, Vectors
from engines.contract.errors import ErrorCode
from engines.contract.image import Picture
from engines.contract.requests import Item
from engines.contract.speech import AudioChunk
from engines.contract.transcribe import AudioFile, TranscribeRequest
from engines.contract.types import Priority, Usage
from server.batch.endpoints import ENDPOINTS
from server.errors import ServiceError
from server.telemetry import request_id_var
from tests.fakes.heard import HEARD, TEXT
from tests.server.batch.conftest import BATCH, KEPT_S, OWNER, Bench
from tests.server.batch.lines import asked

SOUND = "data:audio/wav;base64," + base64.b64encode(b"RIFF").decode()
HI = [{"role": "user", "content": "hi"}]
DELTAS = (Delta(0, "hi"), Delta(0, "!", finish_reason="stop"))
PICTURE = Picture(0, b"PNG", 42, 64, 64)
CHUNKS = (AudioChunk(b"one", 1.0), AudioChunk(b"two", 0.5))
ROUTES: dict[str, tuple[dict[str, Any], Sequence[Item], tuple[str | int, ...], object]] = {
    "/v1/inference/chat": ({"messages": HI}, DELTAS, ("choices", 0, "message", "content"), "hi!"),
    "/v1/inference/generate": ({"prompt": "a"}, DELTAS, ("choices", 0, "text"), "hi!"),
    "/v1/inference/embed": ({"input": "a"}, [Vectors(0, 1, bytes(4))], ("data", 0, "embedding"), [0.0]),
    "/v1/inference/rerank": (
        {"query": "q", "documents": ["d"], "return_documents": True},
        [Scores(0, (0.5,))],
        ("results", 0, "document", "text"),
        "d",
    ),
    "/v1/inference/images/generate": (
        {"prompt": "a", "response_format": "b64_json"},
        [PICTURE],
        ("data", 0, "b64_json"),
        "UE5H",
    ),
    "/v1/inference/audio/transcribe": ({"file": SOUND}, HEARD, ("text",), TEXT),
    "/v1/inference/audio/synthesize": ({"input": "a"}, CHUNKS, ("bytes",), 6),
}
TWINS = {
    "/v1/chat/completions": "/v1/inference/chat",
    "/v1/completions": "/v1/inference/generate",
    "/v1/embeddings": "/v1/inference/embed",
    "/v1/rerank": "/v1/inference/rerank",
    "/v1/images/generations": "/v1/inference/images/generate",
    "/v1/audio/transcriptions": "/v1/inference/audio/transcribe",
    "/v1/audio/translations": "/v1/inference/audio/transcribe",
    "/v1/audio/speech": "/v1/inference/audio/synthesize",
}


def at(value: Any, path: tuple[str | int, ...]) -> object:
    for step in path:
        value = value[step]
    return value


@pytest.mark.parametrize("url", ENDPOINTS)
async def test_every_endpoint_answers_in_its_dialect(bench: Bench, url: str) -> None:
    plain = url.removeprefix("/oai")
    body, items, path, expected = ROUTES[TWINS.get(plain, plain)]
    bench.gateway.batches = [list(items)]

    answer = await bench.run(asked(url, **body))

    told = json.loads(answer.body)
    if plain in TWINS:
        assert "status" not in told
    else:
        assert told["meta"] == {"request_id": "req_line"}
        told = told["data"]
    assert at(told, path) == expected
    assert (answer.status_code, answer.request_id, answer.usage) == (200, "req_line", Usage(3, 2))
    assert (bench.gateway.priorities, bench.num_started) == ([Priority.BATCH], 1)
    assert bench.left() == []


@pytest.mark.parametrize("url", ENDPOINTS)
async def test_streams_are_refused(bench: Bench, url: str) -> None:
    plain = url.removeprefix("/oai")
    body = ROUTES[TWINS.get(plain, plain)][0]

    assert await refused(bench, asked(url, **body, stream=True)) == ("stream", "is not supported in a batch")
    assert bench.left() == []
    if ENDPOINTS[url].kind == "speech":
        assert await refused(bench, asked(url, **body, stream_format="sse")) == (
            "stream_format",
            "is not supported in a batch",
        )


async def refused(bench: Bench, raw: bytes) -> tuple[str, str]:
    """The first field at fault, and what is wrong with it; nothing was asked of the gateway."""
    with pytest.raises(ServiceError) as caught:
        await bench.run(raw)
    assert caught.value.code is ErrorCode.VALIDATION_ERROR
    assert bench.gateway.asked == []
    return tuple(caught.value.details[0])  # type: ignore[return-value]  # a FieldProblem is a pair of strings


async def test_body_is_checked_as_the_route_checks_it(bench: Bench) -> None:
    assert await refused(bench, asked("/v1/inference/chat", messages=[])) == ("messages", "must not be empty")
    assert await refused(bench, asked("/v1/embeddings", input=[1, 2])) == (
        "input",
        "must be a string or a list of strings; token ids are not supported",
    )
    assert (await refused(bench, asked("/v1/inference/chat", messages=HI, functions=[])))[0] == "functions"


async def test_line_that_is_none_any_more_is_our_failure(bench: Bench) -> None:
    with pytest.raises(ServiceError) as caught:
        await bench.run(b"\0\0")

    assert caught.value.code is ErrorCode.INTERNAL_ERROR
    assert caught.value.message.startswith("line 3 was changed after the batch was accepted: ")


async def test_failures_of_the_gateway_are_raised(bench: Bench) -> None:
    bench.gateway.refusal = ServiceError(ErrorCode.MODEL_NOT_FOUND, "none")
    with pytest.raises(ServiceError, match="none"):
        await bench.run(asked("/v1/inference/chat", messages=HI))
    bench.gateway.refusal = None
    bench.gateway.batches = [[Delta(0, "hi")], ServiceError(ErrorCode.BACKEND_ERROR, "broke")]
    with pytest.raises(ServiceError, match="broke"):
        await bench.run(asked("/v1/inference/chat", messages=HI))


async def test_request_id_is_on_log_lines_while_the_line_runs(bench: Bench) -> None:
    seen = []

    async def before_start() -> None:
        seen.append(request_id_var.get())

    await bench.runner.run(asked("/v1/inference/chat", messages=HI), bench.order, before_start)

    assert seen == ["req_line"]
    assert request_id_var.get() is None


class TestPictures:
    async def test_links_live_as_long_as_the_batch(self, bench: Bench) -> None:
        bench.gateway.batches = [[PICTURE]]

        answer = await bench.run(asked("/v1/images/generations", prompt="a"))

        url = json.loads(answer.body)["data"][0]["url"]
        prefix = "https://hearth.example.org/v1/media/"
        assert url.startswith(prefix)
        bench.clock.now += KEPT_S - 1
        assert await bench.media.find(url.removeprefix(prefix)) is not None
        bench.clock.now += 1
        assert await bench.media.find(url.removeprefix(prefix)) is None

    async def test_full_media_store_fails_the_line(self, bench: Bench) -> None:
        bench.gateway.batches = [[PICTURE]]
        bench.storage.is_full = True

        with pytest.raises(ServiceError) as caught:
            await bench.run(asked("/v1/inference/images/generate", prompt="a"))

        assert caught.value.code is ErrorCode.INTERNAL_ERROR


class TestHearing:
    url = "/v1/inference/audio/transcribe"

    @pytest.fixture(autouse=True)
    def heard(self, bench: Bench) -> None:
        bench.gateway.batches = [list(HEARD)]

    @pytest.mark.parametrize("prefix", ["", "scaigrid://file/"])
    async def test_stored_file_is_used_in_place(self, bench: Bench, prefix: str) -> None:
        file_id = await bench.keep(b"RIFF")

        await bench.run(asked(self.url, file=prefix + file_id, task="translate", temperature=0))

        (_, request) = bench.gateway.asked[0]
        audio = AudioFile(str(bench.folder / file_id), 4)
        assert request == TranscribeRequest(audio, task="translate", temperature=0.0)
        assert bench.files.path(file_id).read_bytes() == b"RIFF"

    async def test_data_url_is_spooled_for_the_time_of_the_line(self, bench: Bench) -> None:
        seen: list[bytes] = []

        async def before_start() -> None:
            seen.extend(path.read_bytes() for path in bench.left())

        await bench.runner.run(asked(self.url, file=SOUND), bench.order, before_start)

        assert seen == [b"RIFF"]
        assert bench.left() == []

    @pytest.mark.parametrize(
        "file",
        [
            *(None, 5, "", "sound.wav", "https://example.org/a.wav", ["data:"], "../../etc/passwd"),
            *("file_" + "0" * 24, "scaigrid://file/file_" + "0" * 24, "file_" + "0" * 23, "file_" + "0" * 25),
            *("data:", "data:audio/wav", "data:audio/wav,RIFF", "data:;base64,", "data:;base64,R"),
            *("data:;base64,\u00e9\u00e9\u00e9\u00e9", "data:;base64,UklG RkY=", "data:;charset=x,UklG"),
        ],
    )
    async def test_other_references_are_refused(self, bench: Bench, file: object) -> None:
        assert (await refused(bench, asked(self.url, file=file)))[0] == "file"
        assert bench.left() == []

    async def test_foreign_and_expired_files_do_not_exist(self, bench: Bench) -> None:
        foreign, own = await bench.keep(b"RIFF", owner="key_2"), await bench.keep(b"RIFF")
        bench.clock.now += 3601

        for file_id in (foreign, own):
            assert await refused(bench, asked(self.url, file=file_id)) == ("file", "is no file of this key")

    async def test_large_data_url_is_refused(self, bench: Bench) -> None:
        """The bench takes uploads of 1000 bytes."""
        with pytest.raises(ServiceError) as caught:
            await bench.run(asked(self.url, file="data:;base64," + "A" * 1336))

        assert caught.value.code is ErrorCode.PAYLOAD_TOO_LARGE
        assert bench.left() == []

    async def test_fields_have_the_types_of_json(self, bench: Bench) -> None:
        for fields, field in (
            ({"temperature": "0"}, "temperature"),
            ({"timestamp_granularities": "word"}, "timestamp_granularities"),
            ({"language": 5}, "language"),
            ({"response_format": "doc"}, "response_format"),
            ({"include": ["logprobs"]}, "include"),
            ({"timestamp_granularities": ["word"]}, "timestamp_granularities"),
        ):
            assert (await refused(bench, asked(self.url, file=SOUND, **fields)))[0] == field
        assert bench.left() == []

    @pytest.mark.parametrize(("kind", "begins"), [("text", "Hello"), ("srt", "1\n"), ("vtt", "WEBVTT")])
    async def test_text_is_a_string_of_json(self, bench: Bench, kind: str, begins: str) -> None:
        openai = await bench.run(asked("/v1/audio/transcriptions", file=SOUND, response_format=kind))
        bench.gateway.batches = [list(HEARD)]
        native = await bench.run(asked(self.url, file=SOUND, response_format=kind))

        told = json.loads(openai.body)
        assert told.startswith(begins)
        assert json.loads(native.body)["data"]["text"] == told

    async def test_translation_is_asked_for(self, bench: Bench) -> None:
        await bench.run(asked("/v1/audio/translations", file=SOUND))

        request = bench.gateway.asked[0][1]
        assert isinstance(request, TranscribeRequest)
        assert request.task == "translate"


class TestSpeaking:
    url = "/v1/inference/audio/synthesize"

    async def test_sound_becomes_a_file(self, bench: Bench) -> None:
        bench.gateway.batches = [[chunk] for chunk in CHUNKS]

        answer = await bench.run(asked(self.url, input="a", response_format="wav"))

        (record,) = answer.files
        assert bench.files.path(record.id).read_bytes() == b"onetwo"
        assert (record.owner, record.purpose, record.batch_id) == (OWNER, "batch_output", BATCH)
        assert (record.filename, record.content_type, record.size_bytes) == ("a.wav", "audio/wav", 6)
        assert (record.created_at, record.expires_at) == (bench.now(), bench.order.kept_until)
        assert json.loads(answer.body)["data"] == {
            "file_id": record.id,
            "file_url": f"https://hearth.example.org/v1/files/{record.id}/content",
            "content_type": "audio/wav",
            "bytes": 6,
            "seconds": 0.0,
        }

    @pytest.mark.parametrize("url", ["/v1/audio/speech", "/oai/v1/audio/speech"])
    async def test_openai_link_leads_to_its_surface(self, bench: Bench, url: str) -> None:
        bench.gateway.batches = [list(CHUNKS)]

        answer = await bench.run(asked(url, input="a"))

        told = json.loads(answer.body)
        assert told["file_url"] == f"https://hearth.example.org/oai/v1/files/{told['file_id']}/content"
        assert answer.files[0].filename == "a.mp3"

    async def test_sound_that_breaks_off_leaves_nothing(self, bench: Bench) -> None:
        broken = ServiceError(ErrorCode.BACKEND_ERROR, "broke")
        bench.gateway.batches = [[AudioChunk(b"x" * 300_000, 1.0)], broken]

        with pytest.raises(ServiceError, match="broke"):
            await bench.run(asked(self.url, input="a"))

        assert bench.left() == []
        assert [path.name for path in bench.folder.iterdir()] == ["incoming"]


@pytest.mark.parametrize("url", ["/v1/inference/audio/transcribe", "/v1/inference/audio/synthesize"])
async def test_cancelled_line_stops_and_leaves_nothing(bench: Bench, url: str) -> None:
    waiting = asyncio.Event()
    ended = []

    async def before_start() -> None:
        waiting.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    body = ROUTES[url][0]
    running = asyncio.create_task(bench.runner.run(asked(url, **body), bench.order, before_start))
    await waiting.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert ended == [True]
    assert bench.left() == []

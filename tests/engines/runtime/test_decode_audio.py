"""Sound files of any usual format become plain samples, in a child; all else is refused in our own words."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from engines.contract.errors import EngineError, ErrorCode
from engines.runtime.media import DecodeLimits, MediaDecoder
from tests.engines import sounds
from tests.engines.conftest import engines_python

pytestmark = pytest.mark.engines
LIMITS = DecodeLimits(max_audio_s=60, timeout_s=20)
BAD = sounds.bad_files()
ODD = sounds.odd_but_good_files()
GONE_S = 10.0


@pytest.fixture
async def decoder() -> AsyncIterator[MediaDecoder]:
    running = MediaDecoder(2, engines_python())
    running.start()
    yield running
    running.close()


def written(folder: Path, content: bytes, name: str = "sound") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


async def refusal(decoder: MediaDecoder, path: str, limits: DecodeLimits = LIMITS) -> EngineError:
    with pytest.raises(EngineError) as caught:
        await decoder.decode_audio(path, limits)
    return caught.value


async def number_of_children(pid: int, expected: int) -> None:
    """Returns when the process has so many."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    async with asyncio.timeout(GONE_S):
        while True:
            if len((await asyncio.to_thread(children.read_text)).split()) == expected:
                return
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("form", sounds.FORMATS)
async def test_every_usual_format_is_decoded(decoder: MediaDecoder, form: str) -> None:
    sound = await decoder.decode_audio(str(sounds.camera(form)), LIMITS)

    assert sound.duration_s == pytest.approx(1.71, abs=0.12)
    assert len(sound.samples) == 2 * sound.num_samples
    assert max(sound.samples[:]) > 0


@pytest.mark.parametrize("name", ODD)
async def test_what_players_play_is_decoded(decoder: MediaDecoder, tmp_path: Path, name: str) -> None:
    sound = await decoder.decode_audio(written(tmp_path, ODD[name]), LIMITS)

    assert 1.0 < sound.duration_s < 1.9


@pytest.mark.parametrize("name", BAD)
async def test_what_is_no_sound_is_refused(decoder: MediaDecoder, tmp_path: Path, name: str) -> None:
    content, words = BAD[name]

    error = await refusal(decoder, written(tmp_path, content, name))

    assert (error.code, error.field) == (ErrorCode.VALIDATION_ERROR, "file")
    assert words in error.message


async def test_hours_of_silence_are_refused_as_soon_as_they_are_too_long(
    decoder: MediaDecoder, tmp_path: Path
) -> None:
    path = written(tmp_path, sounds.silence(8 * 3600))

    error = await refusal(decoder, path)

    assert error.message == "is too long: at most 60 s of sound are taken"


async def test_a_file_that_takes_too_long_is_given_up(decoder: MediaDecoder, tmp_path: Path) -> None:
    path = written(tmp_path, sounds.silence(8 * 3600))
    await decoder.decode_audio(str(sounds.camera("wav")), LIMITS)  # the decoding process is there

    error = await refusal(decoder, path, DecodeLimits(max_audio_s=9 * 3600, timeout_s=0.2))

    assert error.message == "takes too long to decode"


async def test_nothing_is_left_beside_the_file(decoder: MediaDecoder, tmp_path: Path) -> None:
    path = written(tmp_path, sounds.camera("ogg").read_bytes())

    await decoder.decode_audio(path, LIMITS)

    assert os.listdir(tmp_path) == ["sound"]


async def test_cancelling_kills_the_child(decoder: MediaDecoder, tmp_path: Path) -> None:
    path = written(tmp_path, sounds.silence(8 * 3600))
    parent = decoder.pid
    assert parent is not None
    task = asyncio.create_task(decoder.decode_audio(path, DecodeLimits(max_audio_s=9 * 3600, timeout_s=90)))
    await number_of_children(parent, 1)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    await number_of_children(parent, 0)


async def test_a_dead_decoder_is_started_again(decoder: MediaDecoder) -> None:
    parent = decoder.pid
    assert parent is not None
    os.kill(parent, 9)
    await asyncio.to_thread(os.waitid, os.P_PID, parent, os.WEXITED | os.WNOWAIT)

    sound = await decoder.decode_audio(str(sounds.camera("wav")), LIMITS)

    assert sound.num_samples > 0
    assert decoder.pid != parent


async def test_a_child_without_memory_harms_nobody(decoder: MediaDecoder) -> None:
    path = str(sounds.camera("m4a"))

    error = await refusal(decoder, path, DecodeLimits(60, 20, memory_bytes=1024**2))

    assert "cannot be decoded" in error.message
    assert (await decoder.decode_audio(path, LIMITS)).num_samples > 0

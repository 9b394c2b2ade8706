"""The engine's options and its estimate need none of its libraries."""

import sys
from pathlib import Path

import pytest

from engines import whisper_transcribe
from engines.contract.options import OptionsError, parse_options
from engines.contract.spec import BackendSpec, Frontend
from engines.contract.types import Modality
from engines.whisper_parts.options import Options


def test_module_is_imported_without_its_library() -> None:
    assert whisper_transcribe.Options is Options
    assert "ctranslate2" not in sys.modules


@pytest.mark.parametrize(
    "options",
    [
        {"beam_size": 0},
        {"temperatures": []},
        {"temperatures": [2.0]},
        {"window_s": 31},
        {"compute_type": "int4"},
        {"decode_timeout_s": 1000},
    ],
)
def test_impossible_option_is_refused_by_name(options: dict[str, object]) -> None:
    with pytest.raises(OptionsError, match=next(iter(options))):
        parse_options("whisper_transcribe", options)


def test_estimate_grows_with_the_windows_of_a_batch(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes(bytes(1200))
    spec = BackendSpec(
        id="be_a",
        engine="whisper_transcribe",
        modality=Modality.AUDIO,
        frontends=(Frontend("a"),),
        weights=str(tmp_path),
        licence="none",
    )

    few = whisper_transcribe.estimate(spec, Options(max_batch_windows=1))
    many = whisper_transcribe.estimate(spec, Options(max_batch_windows=11))

    assert few.weights_bytes == 1200
    assert many.working_bytes - few.working_bytes == 1000

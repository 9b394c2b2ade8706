"""Options are checked without the engine's library, and mistakes are named with the right key."""

import sys

import pytest

from engines.contract.options import OptionsError, parse_options


def test_known_options_become_the_engines_struct() -> None:
    options = parse_options("tests.fakes.fake_engine", {"token_delay_s": 0.5})

    assert options.token_delay_s == 0.5  # type: ignore[attr-defined]


def test_unknown_option_names_the_nearest_right_one() -> None:
    with pytest.raises(OptionsError) as caught:
        parse_options("vllm_chat", {"max_modle_len": 2048})

    assert (caught.value.path, caught.value.suggestion) == ("options.max_modle_len", "max_model_len")


def test_wrong_type_names_its_path() -> None:
    with pytest.raises(OptionsError) as caught:
        parse_options("vllm_chat", {"max_num_seqs": "many"})

    assert caught.value.path == "options.max_num_seqs"


def test_unknown_engine_is_refused() -> None:
    with pytest.raises(OptionsError, match="no engine `nonsense`"):
        parse_options("nonsense", {})


@pytest.mark.parametrize("name", ["trust_remote_code", "hf_overrides", "model"])
def test_engine_arguments_that_could_run_code_are_refused(name: str) -> None:
    with pytest.raises(OptionsError, match=name):
        parse_options("vllm_chat", {"extra_engine_args": {name: True}})


def test_options_of_vllm_are_checked_without_vllm() -> None:
    parse_options("vllm_chat", {"dtype": "bfloat16", "extra_engine_args": {"block_size": 16}})

    assert "vllm" not in sys.modules

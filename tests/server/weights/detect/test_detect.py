"""The detection table over configurations as published models have them, cut to what counts."""

from pathlib import Path
from typing import Any

import pytest

from engines.contract.types import Modality
from server.catalog import read_catalog
from server.weights.config_file import Origin, render, write_config
from server.weights.problem import NotServed
from tests.server.weights.detect.shapes import (
    CHATS,
    COQUI_AUDIO,
    HERMES,
    IMAGES,
    QWEN3,
    ST_MODULES,
    TEXTS,
    WHISPER_CT2,
    chat,
    found,
    pipeline,
)


@pytest.mark.parametrize(
    ("model", "files", "tools", "reasoning", "sense"), CHATS, ids=[row[0] for row in CHATS]
)
def test_chat_model_gets_the_parsers_of_its_family(
    model: str, files: dict[str, Any], tools: str | None, reasoning: str | None, sense: str
) -> None:
    detected = found(model, files)

    assert (detected.engine, detected.modality) == ("vllm_chat", Modality.CHAT)
    assert (detected.options.get("tool_parser"), detected.options.get("reasoning_parser")) == (
        tools,
        reasoning,
    )
    assert detected.capabilities == {
        name: True
        for name, is_so in (
            ("tools", tools),
            ("reasoning", reasoning),
            ("vision", sense == "vision"),
            ("audio_input", sense == "audio_input"),
        )
        if is_so
    }


@pytest.mark.parametrize(
    ("config", "tokenizer", "window", "remark"),
    [
        ({"max_position_embeddings": 131072}, {}, 32768, "the model can do 131072"),
        ({"max_position_embeddings": 4096}, {}, 4096, None),
        ({"text_config": {"max_position_embeddings": 8192}, "max_position_embeddings": 1}, {}, 8192, None),
        ({"n_positions": 1024}, {}, 1024, None),
        ({"max_sequence_length": 2048}, {}, 2048, None),
        ({}, {"model_max_length": 2048}, 2048, None),
    ],
)
def test_context_window_is_the_models_own_up_to_a_usual_one(
    config: dict[str, Any], tokenizer: dict[str, Any], window: int, remark: str | None
) -> None:
    files = {
        "config.json": {"architectures": ["LlamaForCausalLM"], "model_type": "llama"} | config,
        "tokenizer_config.json": {"chat_template": "x"} | tokenizer,
    }

    detected = found("acme/chat", files)

    assert (detected.context_window, detected.remarks.get("context_window")) == (window, remark)


@pytest.mark.parametrize(
    ("switch", "default_thinking"),
    [
        ("{% if enable_thinking is defined and enable_thinking is false %}<think></think>{% endif %}", None),
        ("{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}", None),
        ("{% if enable_thinking is not defined %}{% set enable_thinking = true %}{% endif %}<think>", None),
        ("{% set enable_thinking = enable_thinking if enable_thinking is defined else True %}<think>", None),
        ("{% if enable_thinking is undefined or enable_thinking is true %}<think>{% endif %}", None),
        ("{% set enable_thinking = enable_thinking | default( true ) %}<think>", None),
        ("{% set enable_thinking = enable_thinking | default(false) %}<think>", False),
        (
            "{% set enable_thinking = enable_thinking if enable_thinking is defined else False %}<think>",
            False,
        ),
        ("{% if enable_thinking is defined and enable_thinking %}<think>{% endif %}", False),
        ("{% if enable_thinking %}<think>{% endif %}", False),
        ("<think>", None),
    ],
)
def test_template_that_thinks_only_when_asked_makes_that_the_default(
    switch: str, default_thinking: bool | None
) -> None:
    """Otherwise the parser would take a whole answer for reasoning: it goes by what the request says."""
    detected = found("acme/chat", chat("Qwen3ForCausalLM", "qwen3", switch))

    assert detected.options.get("default_thinking") is default_thinking


@pytest.mark.parametrize(
    "place",
    [
        {"chat_template.jinja": HERMES},
        {"chat_template.json": {"chat_template": HERMES}},
        {"tokenizer_config.json": {"chat_template": HERMES}},
        {"tokenizer_config.json": {"chat_template": [{"name": "tool_use", "template": HERMES}]}},
    ],
)
def test_chat_template_is_found_wherever_it_lies(place: dict[str, Any]) -> None:
    files = chat("Qwen2ForCausalLM", "qwen2", "") | {"chat_template.jinja": ""}
    del files["chat_template.jinja"]

    assert found("acme/chat", files | place).options == {"tool_parser": "hermes"}


@pytest.mark.parametrize(("model", "files", "engine", "window", "note"), TEXTS, ids=[row[0] for row in TEXTS])
def test_text_model_gets_its_engine_and_the_length_that_it_reads(
    model: str, files: dict[str, Any], engine: str, window: int, note: str | None
) -> None:
    detected = found(model, files)

    assert (detected.engine, detected.context_window) == (engine, window)
    assert (detected.notes[0] if detected.notes else None) == note


def test_prompts_of_known_families_are_written_where_their_files_do_not_say() -> None:
    config = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512}

    detected = found("intfloat/e5-base-v2", {"config.json": config, "modules.json": ST_MODULES})

    assert detected.options == {"prompts": {"query": "query: ", "document": "passage: "}}


def test_card_that_names_matryoshka_allows_dimensions() -> None:
    config = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512}

    detected = found("acme/e", {"config.json": config, "modules.json": ST_MODULES}, {"tags": ["Matryoshka"]})

    assert detected.capabilities == {"dimensions": True}


@pytest.mark.parametrize(("name", "parts", "options"), IMAGES)
def test_pipeline_gets_the_numbers_of_its_kind(
    name: str, parts: dict[str, Any], options: dict[str, Any]
) -> None:
    detected = found("acme/pictures", pipeline(name, **parts))

    assert detected.engine == "diffusers_image"
    assert options.items() <= detected.options.items()


def test_half_precision_is_taken_where_every_part_has_it() -> None:
    half = {"unet/diffusion_pytorch_model.fp16.safetensors": None}
    lone = {"vae/diffusion_pytorch_model.safetensors": None}

    assert found("acme/x", pipeline("FluxPipeline") | half).options["variant"] == "fp16"
    assert "variant" not in found("acme/x", pipeline("FluxPipeline") | half | lone).options


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        ("Systran/faster-whisper-large-v3", {"transcribe": True, "translate": True}),
        ("Systran/faster-whisper-small", {"transcribe": True, "translate": True}),
        ("Systran/faster-whisper-small.en", {"transcribe": True}),
        ("deepdml/faster-whisper-large-v3-turbo-ct2", {"transcribe": True}),
        ("distil-whisper/distil-large-v3.5-ct2", {"transcribe": True}),
        ("acme/hearing", {"transcribe": True}),
    ],
)
def test_whisper_translates_if_its_name_is_one_that_does(model: str, capabilities: dict[str, bool]) -> None:
    detected = found(model, {"config.json": WHISPER_CT2, "model.bin": None})

    assert (detected.engine, detected.capabilities) == ("whisper_transcribe", capabilities)


def test_voice_that_reads_phonemes_needs_a_program() -> None:
    config = {"model": "vits", "audio": COQUI_AUDIO, "use_phonemes": True}

    detected = found("acme/vits", {"config.json": config, "model.pth": None})

    assert detected.engine == "coqui_speech"
    assert "espeak-ng" in detected.notes[0]


def test_speakers_become_voices() -> None:
    config = {
        "model": "vits",
        "audio": COQUI_AUDIO,
        "phoneme_language": "en-us",
        "model_args": {"num_speakers": 2},
    }

    detected = found("acme/vits", {"config.json": config, "speaker_ids.json": {"p225": 0, "P 226": 1}})

    assert detected.options["voices"] == {
        "p-226": {"speaker": "P 226", "language": "en"},
        "p225": {"speaker": "p225", "language": "en"},
    }


def test_xtts_waits_for_its_licence_to_be_accepted() -> None:
    detected = found("coqui/XTTS-v2", {"config.json": {"model": "xtts", "audio": COQUI_AUDIO}})

    assert detected.accept_license is False


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (
            {"config.json": {"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 1}},
            "no chat template",
        ),
        ({"config.json": {"architectures": ["T5ForConditionalGeneration"], "model_type": "t5"}}, "not chat"),
        (
            {"config.json": {"architectures": ["WhisperForConditionalGeneration"]}},
            "ct2-transformers-converter",
        ),
        ({"config.json": {"architectures": ["BertForSequenceClassification"]}}, "2 classes"),
        (
            {"config.json": {"architectures": ["BertForTokenClassification"], "model_type": "bert"}},
            "no engine serves",
        ),
        (
            {"config.json": {"architectures": ["ViTForImageClassification"], "model_type": "vit"}},
            "no engine serves",
        ),
        ({"adapter_config.json": {}, "adapter_model.safetensors": None}, "an adapter"),
        ({"model-q4.gguf": None}, "is GGUF"),
        ({"model.safetensors": None}, "without config.json"),
        (pipeline("WanPipeline"), "does not draw pictures from text"),
        (pipeline("StableDiffusionUpscalePipeline"), "does not draw pictures from text"),
        (
            {
                "config.json": {"architectures": ["BertModel"], "model_type": "bert"},
                "modules.json": ST_MODULES,
                "1_Pooling/config.json": {"include_prompt": False},
            },
            "pooling leaves prompts out",
        ),
    ],
)
def test_what_no_engine_serves_is_refused_with_the_reason(files: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotServed, match=reason):
        found("acme/model", files)


def test_ranker_that_answers_as_a_language_model_is_refused() -> None:
    with pytest.raises(NotServed, match="is a reranker of a kind"):
        found(
            "Qwen/Qwen3-Reranker-0.6B",
            chat("Qwen3ForCausalLM", "qwen3", QWEN3),
            {"pipeline_tag": "text-ranking"},
        )


ALL = [
    *((model, files) for model, files, *_ in CHATS),
    *((model, files) for model, files, *_ in TEXTS),
    *((f"acme/{name}", pipeline(name, **parts)) for name, parts, _ in IMAGES),
    ("Systran/faster-whisper-small", {"config.json": WHISPER_CT2, "model.bin": None}),
    ("coqui/XTTS-v2", {"config.json": {"model": "xtts", "audio": COQUI_AUDIO}}),
]


@pytest.mark.parametrize(("model", "files"), ALL)
def test_every_written_file_is_one_that_the_server_takes(
    tmp_path: Path, model: str, files: dict[str, Any]
) -> None:
    detected = found(model, files)
    origin = Origin(title=model, source="here", licence="mit", size_bytes=1, command="hearth add")

    text = render("acme/slug", tmp_path / "weights", detected, origin, {"a.json": "0" * 64})
    write_config(tmp_path / "slug.yaml", text, may_replace=False)

    spec = read_catalog(tmp_path).backends["be_slug"]
    assert (spec.engine, spec.context_window, spec.options) == (
        detected.engine,
        detected.context_window,
        detected.options,
    )

"""Chat: language models with a chat template, also those that see and hear."""

from typing import Any

from engines.contract.types import Modality
from server.weights.detect.detected import Detected, architectures, as_dict, as_int, as_text
from server.weights.detect.formats import reasoning_parser, thinks_unasked, tool_parser
from server.weights.documents import Documents
from server.weights.problem import NotServed

_USUAL_WINDOW = 32768  # of more, memory for the cache is what limits a card
_WINDOW_KEYS = (
    "max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "max_seq_len", "n_ctx",
    "model_max_length",
)  # fmt: skip
_ENDLESS = 2**31  # tokenizers without a limit name a huge number
_HEADS = ("ForCausalLM", "ForConditionalGeneration", "LMHeadModel")
_NOT_TEXT = ("Talker", "Token2Wav", "VideoModel")


def detect_chat(documents: Documents) -> Detected | None:
    config = documents.get("config.json")
    names = architectures(config)
    if not any(name.endswith(_HEADS) for name in names) or any(part in names[0] for part in _NOT_TEXT):
        return None
    text = as_dict(config.get("text_config")) or as_dict(
        as_dict(config.get("thinker_config")).get("text_config")
    )
    if config.get("is_encoder_decoder") is True or config.get("model_type") in (
        "t5",
        "bart",
        "mbart",
        "pegasus",
    ):
        raise NotServed(
            f"{documents.model} turns one text into another (encoder and decoder), which is not chat"
        )
    if documents.template is None:
        raise NotServed(
            f"{documents.model} has no chat template: it was not trained to chat. Take its instruct version,"
            " or put a chat_template.jinja into the folder and use `hearth add`"
        )
    most = _window(config, text, documents)
    family = as_text(config.get("model_type"))
    return _chat(documents.template, family, config, most)


def _chat(template: str, family: str, config: dict[str, Any], most: int) -> Detected:
    tools, reasoning = tool_parser(template, family), reasoning_parser(template, family)
    capabilities = {
        "tools": tools is not None,
        "reasoning": reasoning is not None,
        "vision": _has_part(config, "vision"),
        "audio_input": _has_part(config, "audio"),
    }
    parsers = {"tool_parser": tools, "reasoning_parser": reasoning}
    options: dict[str, Any] = {name: parser for name, parser in parsers.items() if parser is not None}
    if reasoning is not None and not thinks_unasked(template):
        options["default_thinking"] = False
    window = min(most, _USUAL_WINDOW)
    return Detected(
        engine="vllm_chat",
        modality=Modality.CHAT,
        summary=_summary(capabilities),
        context_window=window,
        capabilities={name: True for name, is_so in capabilities.items() if is_so},
        options=options,
        remarks={"context_window": f"the model can do {most}"} if most > window else {},
        notes=_notes(template, tools),
    )


def _notes(template: str, tools: str | None) -> tuple[str, ...]:
    if tools is not None or "tools" not in template:
        return ()
    return (
        "It may call tools, in a format that is not known here: see `tool_parser` in docs/configuration.md.",
    )


def _summary(capabilities: dict[str, bool]) -> str:
    words = {"tools": "tools", "reasoning": "thinking", "vision": "images", "audio_input": "sound"}
    found = [word for name, word in words.items() if capabilities[name]]
    return "chat" + (f" with {', '.join(found)}" if found else "") + ", on vLLM"


def _window(config: dict[str, Any], text: dict[str, Any], documents: Documents) -> int:
    """Tokens of prompt and answer that the model was made for. Raises NotServed where no file says."""
    said = (as_int(part.get(key)) for part in (text, config) for key in _WINDOW_KEYS)
    found = next((number for number in said if number is not None), None)
    found = found or as_int(documents.get("tokenizer_config.json").get("model_max_length"))
    if found is None or found >= _ENDLESS:
        raise NotServed(f"{documents.model}: config.json does not say how long a text it reads")
    return found


def _has_part(config: dict[str, Any], sense: str) -> bool:
    parts = (config, as_dict(config.get("thinker_config")))
    return any(as_dict(part.get(f"{sense}_config")) for part in parts)

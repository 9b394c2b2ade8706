"""In which format a chat model writes tool calls and reasoning: by signs in its template, and by its family.

Names of parsers are vLLM's. A sign is a text that the template of every model of that format contains.
"""

import msgspec


class Format(msgspec.Struct, frozen=True):
    """`signs` must all be in the template, `families` (beginnings of `model_type`) are all that are meant, if any."""

    parser: str
    signs: tuple[str, ...] = ()
    families: tuple[str, ...] = ()

    def fits(self, template: str, family: str) -> bool:
        return all(sign in template for sign in self.signs) and (
            not self.families or family.startswith(self.families)
        )


TOOL_FORMATS = (
    Format("qwen3_coder", ("<tool_call>", "<function=")),
    Format("glm45", ("<tool_call>", "<arg_key>")),
    Format("kimi_k2", ("<|tool_calls_section_begin|>",)),
    Format("minimax_m2", ("<minimax:tool_call>",)),
    Format("seed_oss", ("<seed:tool_call>",)),
    Format("deepseek_v3", ("<｜tool▁calls▁begin｜>", "```json")),  # noqa: RUF001  # these models write such bars
    Format("deepseek_v31", ("<｜tool▁calls▁begin｜>",)),  # noqa: RUF001
    Format("openai", ("<|channel|>", "commentary")),
    Format("mistral", ("[TOOL_CALLS]",)),
    Format("lfm2", ("<|tool_call_start|>",)),
    Format("llama4_pythonic", families=("llama4",)),
    Format("llama3_json", ("<|python_tag|>",)),
    Format("llama3_json", ("ipython", "<|start_header_id|>")),
    Format("granite4", ("<tool_call>",), ("granitemoehybrid",)),
    Format("granite", ("<|tool_call|>",), ("granite",)),
    Format("phi4_mini_json", ("<|tool_call|>",), ("phi",)),
    Format("internlm", ("<|plugin|>",)),
    Format("olmo3", ("<function_calls>",), ("olmo3",)),
    Format("functiongemma", ("<start_function_call>",)),
    Format("gemma4", ("<|tool_call>",), ("gemma4",)),
    Format("hunyuan_a13b", ("<tool_calls>",), ("hunyuan",)),
    Format("jamba", ("<tool_calls>",), ("jamba",)),
    Format("ernie45", ("<tool_call>",), ("ernie4_5",)),
    Format("hermes", ("<tool_call>",)),
)
REASONING_FORMATS = (
    Format("mistral", ("[THINK]",)),
    Format("openai_gptoss", ("<|channel|>", "analysis")),
    Format("seed_oss", ("<seed:think>",)),
    Format("gemma4", ("enable_thinking",), ("gemma4",)),
    Format("glm45", ("<think>",), ("glm4",)),
    Format("minimax_m2", ("<think>",), ("minimax",)),
    Format("kimi_k2", ("<think>",), ("kimi",)),
    Format("hunyuan_a13b", ("<think>",), ("hunyuan",)),
    Format("ernie45", ("<think>",), ("ernie4_5",)),
    Format("nemotron_v3", ("<think>",), ("nemotron",)),
    Format("olmo3", ("<think>",), ("olmo3",)),
    Format("step3", ("<think>",), ("step3",)),
    Format("granite", ("thinking",), ("granite",)),
    Format("deepseek_v3", ("<think>", "thinking"), ("deepseek_v3",)),
    Format("qwen3", ("<think>", "enable_thinking")),
    Format("deepseek_r1", ("<think>",)),
)

_SWITCH = "enable_thinking"
_ON_UNASKED = (  # without blanks: it is asked whether thinking was switched off, or a default is given
    "enable_thinkingisfalse", "enable_thinkingissameasfalse", "enable_thinking==false", "notenable_thinking",
    "enable_thinkingisnotdefined", "enable_thinkingisundefined", "enable_thinking|default(true",
    "enable_thinkingisdefinedelsetrue", "setenable_thinking=true",
)  # fmt: skip


def tool_parser(template: str, family: str) -> str | None:
    """None for a model that was not trained to call tools, or in a format that is not known here."""
    return _first(TOOL_FORMATS, template, family) if "tools" in template else None


def reasoning_parser(template: str, family: str) -> str | None:
    return _first(REASONING_FORMATS, template, family)


def thinks_unasked(template: str) -> bool:
    """Whether a template with a switch for thinking has it on where a request does not say."""
    squeezed = "".join(template.lower().split())
    return _SWITCH not in squeezed or any(sign in squeezed for sign in _ON_UNASKED)


def _first(formats: tuple[Format, ...], template: str, family: str) -> str | None:
    return next((known.parser for known in formats if known.fits(template, family)), None)

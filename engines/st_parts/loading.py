"""Opens a model with sentence-transformers from local files, and finds out how long a text it reads; blocks."""

from collections.abc import Callable
from typing import Any

import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

from engines.contract.errors import EngineError, ErrorCode
from engines.contract.spec import BackendSpec
from engines.st_parts.options import ModelOptions
from engines.torch_parts.devices import choose_dtype

_ENDLESS = 2**31  # tokenizers without a limit name a huge number


def open_embedder(spec: BackendSpec, options: ModelOptions, device: str) -> SentenceTransformer:
    """Raises EngineError; also for a model whose pooling cannot be served here."""
    model = _open(SentenceTransformer, spec, options, device)
    if any(getattr(module, "include_prompt", True) is False for module in model.modules()):
        raise _refused("its pooling leaves prompts out, which is not supported")
    return model


def open_ranker(spec: BackendSpec, options: ModelOptions, device: str) -> CrossEncoder:
    """Raises EngineError; also for a model that gives more than one number per pair."""
    model = _open(CrossEncoder, spec, options, device)
    if model.num_labels != 1:
        raise _refused(f"it has {model.num_labels} labels; reranking needs one that gives a single score")
    return model


def text_limit(model: Any, spec: BackendSpec, options: ModelOptions) -> int:
    """Most tokens of a text. Raises EngineError if the spec or its options promise more than the model has places."""
    places = _num_places(model)
    if options.max_length is not None and options.max_length > places:
        raise _refused(f"max_length is {options.max_length}, but it has places for {places} tokens only")
    limit = options.max_length or min(model.max_seq_length or _ENDLESS, places)
    if spec.text_window > limit:
        raise _refused(
            f"context_window is {spec.text_window}, but it reads at most {limit} tokens; lower it, or set max_length"
        )
    return spec.text_window


def _open(kind: Callable[..., Any], spec: BackendSpec, options: ModelOptions, device: str) -> Any:
    arguments: dict[str, Any] = {"dtype": choose_dtype(options.dtype, device)}
    if options.attn_implementation is not None:
        arguments["attn_implementation"] = options.attn_implementation
    try:
        model = kind(
            spec.weights,
            device=device,
            local_files_only=True,
            trust_remote_code=False,
            model_kwargs=arguments,
        )
    except (ValueError, TypeError, KeyError, ImportError, OSError) as error:
        # What the library says is for the operator, who chose the model and its options.
        raise EngineError(ErrorCode.VALIDATION_ERROR, _first_line(error)) from error
    except RuntimeError as error:
        raise EngineError(ErrorCode.MODEL_UNAVAILABLE, _first_line(error)) from error
    if not getattr(model.tokenizer, "is_fast", False) or "text" not in model.modalities:
        raise _refused("it does not read plain text with a fast tokenizer (tokenizer.json)")
    if "message" in model.modalities:
        raise _refused("it reads conversations, which is not supported; a plain text model is")
    return model


def _num_places(model: Any) -> int:
    """Rows of the table of positions, where it is learned; else what the configuration says."""
    for module in model.modules():
        table = getattr(module, "position_embeddings", None)
        if isinstance(table, torch.nn.Embedding):
            unused = 0 if table.padding_idx is None else table.padding_idx + 1
            return table.num_embeddings - unused
    return int(getattr(model.config, "max_position_embeddings", None) or _ENDLESS)


def _refused(reason: str) -> EngineError:
    return EngineError(ErrorCode.VALIDATION_ERROR, f"this model cannot be served: {reason}")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"sentence-transformers: {lines[0][:500]}"

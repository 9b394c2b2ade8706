"""Embeddings and reranking: folders of sentence-transformers, and encoders and rankers without its files."""

from typing import Any

from engines.contract.types import Modality
from server.weights.detect.detected import Detected, architectures, as_dict, as_int, as_text
from server.weights.documents import Documents
from server.weights.problem import NotServed

_MOST_TOKENS = 8192  # a longer text takes a batch for itself
_UNKNOWN_TOKENS = 512
_ENDLESS = 2**31  # tokenizers without a limit name a huge number
_SHIFTED = frozenset({"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet"})
"""Their positions begin behind that of the padding token."""
_ENCODERS = frozenset(
    {"bert", "distilbert", "electra", "albert", "deberta", "deberta-v2", "modernbert", "nomic_bert", "mpnet"}
) | (_SHIFTED)
_E5 = {"query": "query: ", "document": "passage: "}
_SEARCH = {"query": "Represent this sentence for searching relevant passages: "}
PROMPTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("e5-mistral", {}),  # instructions, in its own files
    ("multilingual-e5-large-instruct", {}),
    ("e5-", _E5),
    ("bge-small-en", _SEARCH),
    ("bge-base-en", _SEARCH),
    ("bge-large-en", _SEARCH),
    ("mxbai-embed", _SEARCH),
)
"""What models were trained to read before a text, where their own files do not say; by a part of the name."""


def detect_ranking(documents: Documents) -> Detected | None:
    config = documents.get("config.json")
    names = architectures(config)
    is_cross = documents.get("config_sentence_transformers.json").get("model_type") == "CrossEncoder"
    is_ranker = documents.card.get("pipeline_tag") == "text-ranking" or "rerank" in documents.model.lower()
    if not any(name.endswith("ForSequenceClassification") for name in names):
        if is_cross or (is_ranker and names):
            raise NotServed(f"{documents.model} is a reranker of a kind that is not served ({names[0][:80]})")
        return None
    num_labels = len(as_dict(config.get("id2label"))) or as_int(config.get("num_labels")) or 2
    if num_labels != 1:
        raise NotServed(
            f"{documents.model} sorts texts into {num_labels} classes; a reranker gives a single score"
        )
    return _text_model(documents, config, engine="st_rerank", modality=Modality.RERANK, summary="reranking")


def detect_embedding(documents: Documents) -> Detected | None:
    config = documents.get("config.json") or documents.get("0_Transformer/config.json")
    has_modules = documents.has("modules.json")
    if not has_modules and config.get("model_type") not in _ENCODERS:
        return None
    if not has_modules and any(name.endswith("ForTokenClassification") for name in architectures(config)):
        return None
    pooling = documents.get("1_Pooling/config.json")
    if pooling.get("include_prompt") is False:
        raise NotServed(f"{documents.model}: its pooling leaves prompts out, which is not supported")
    how = f"Pooling: {_pooling(pooling)}."
    if not has_modules:
        how = "Pooling: mean, since the model has no modules.json that says; look at its card whether that is right."
    return _text_model(
        documents,
        config,
        engine="st_embed",
        modality=Modality.EMBEDDING,
        summary="embeddings",
        capabilities={"dimensions": True} if _is_nested(documents) else {},
        options=_prompt_options(documents),
        notes=(how, *_prompt_notes(documents)),
    )


def _text_model(documents: Documents, config: dict[str, Any], *, summary: str, **more: Any) -> Detected:
    limit = text_limit(documents, config)
    window = min(limit, _MOST_TOKENS)
    return Detected(
        summary=f"{summary}, on sentence-transformers",
        context_window=window,
        remarks={"context_window": f"the model reads up to {limit} tokens"} if limit > window else {},
        **more,
    )


def text_limit(documents: Documents, config: dict[str, Any]) -> int:
    """Most tokens of a text, as sentence-transformers and the places of the model allow."""
    said = as_int(documents.get("sentence_bert_config.json").get("max_seq_length")) or as_int(
        documents.get("0_Transformer/sentence_bert_config.json").get("max_seq_length")
    )
    said = said or as_int(documents.get("tokenizer_config.json").get("model_max_length"))
    places = as_int(config.get("max_position_embeddings"))
    if places is not None and config.get("model_type") in _SHIFTED:
        places -= (as_int(config.get("pad_token_id")) or 1) + 1
    return min((said if said and said < _ENDLESS else places) or _UNKNOWN_TOKENS, places or _ENDLESS)


def _pooling(pooling: dict[str, Any]) -> str:
    """`mean`, `cls`, `lasttoken` ..., in the old and the new form."""
    if isinstance(new := pooling.get("pooling_mode"), str):
        return new
    modes = [
        name.removeprefix("pooling_mode_").removesuffix("_tokens").removesuffix("_token")
        for name, value in pooling.items()
        if name.startswith("pooling_mode_") and value is True
    ]
    return " and ".join(modes) or "as its modules.json says"


def _is_nested(documents: Documents) -> bool:
    """Whether its card says that the first numbers of a vector can be used alone."""
    tags = documents.card.get("tags")
    return isinstance(tags, list) and any("matryoshka" in as_text(tag).lower() for tag in tags)


def _own_prompts(documents: Documents) -> dict[str, Any]:
    return as_dict(documents.get("config_sentence_transformers.json").get("prompts"))


def _prompt_options(documents: Documents) -> dict[str, Any]:
    if any(_own_prompts(documents).values()):
        return {}
    name = documents.model.rsplit("/", 1)[-1].lower()
    prompts = next((prompts for part, prompts in PROMPTS if part in name), {})
    return {"prompts": dict(prompts)} if prompts else {}


def _prompt_notes(documents: Documents) -> tuple[str, ...]:
    names = [name for name, text in _own_prompts(documents).items() if text] or list(
        as_dict(_prompt_options(documents).get("prompts"))
    )
    shown = ", ".join(name for name in names if name.isprintable())
    return (f'Prompts: clients choose one with "task": {shown[:200]}.',) if shown else ()

"""Configurations as published models have them, cut to what counts, with what should be found out about each."""

from collections.abc import Mapping
from typing import Any

from server.weights.detect import Detected, detect
from server.weights.documents import read_documents
from tests.server.weights.models import as_json

HERMES = "{% if tools %}<tools>{% endif %}<tool_call>"
QWEN3 = HERMES + "{% if enable_thinking is false %}<think></think>{% endif %}"
LLAMA3 = "<|start_header_id|>{% if tools is not none %}Environment: ipython{% endif %}"
ST_MODULES = [
    {"path": "", "type": "sentence_transformers.models.Transformer"},
    {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
COQUI_AUDIO = {"sample_rate": 22050}
WHISPER_CT2 = {"alignment_heads": [[1, 1]], "lang_ids": [50259], "suppress_ids": []}


def found(model: str, files: Mapping[str, Any], card: dict[str, Any] | None = None) -> Detected:
    """`files`: a document's value, text as it is, or None for a file that is only there."""
    contents = {
        name: value.encode() if isinstance(value, str) else as_json(value) for name, value in files.items()
    }
    sizes = {name: len(content) for name, content in contents.items()}
    return detect(read_documents(model, sizes, contents.__getitem__, card or {}))


def chat(architecture: str, model_type: str, template: str, **config: Any) -> dict[str, Any]:
    told = {"architectures": [architecture], "model_type": model_type, "max_position_embeddings": 131072}
    return {"config.json": told | config, "chat_template.jinja": template, "model.safetensors": None}


def pipeline(name: str, **parts: Any) -> dict[str, Any]:
    index = {
        "_class_name": name,
        "unet": ["diffusers", "X"],
        "vae": ["diffusers", "Y"],
        "safety_checker": [None, None],
    }
    return {"model_index.json": index, "unet/diffusion_pytorch_model.safetensors": None, **parts}


CHATS = [
    ("Qwen/Qwen3-8B", chat("Qwen3ForCausalLM", "qwen3", QWEN3), "hermes", "qwen3", ""),
    ("Qwen/Qwen3-30B-A3B", chat("Qwen3MoeForCausalLM", "qwen3_moe", QWEN3), "hermes", "qwen3", ""),
    ("Qwen/Qwen2.5-7B-Instruct", chat("Qwen2ForCausalLM", "qwen2", HERMES), "hermes", None, ""),
    ("NousResearch/Hermes-3", chat("LlamaForCausalLM", "llama", HERMES), "hermes", None, ""),
    (
        "Qwen/Qwen3-Coder-30B",
        chat("Qwen3MoeForCausalLM", "qwen3_moe", "{% if tools %}<tool_call>\n<function=x>{% endif %}"),
        "qwen3_coder",
        None,
        "",
    ),
    ("meta-llama/Llama-3.1-8B-Instruct", chat("LlamaForCausalLM", "llama", LLAMA3), "llama3_json", None, ""),
    (
        "meta-llama/Llama-4-Scout",
        chat("Llama4ForConditionalGeneration", "llama4", LLAMA3, vision_config={"hidden_size": 1}),
        "llama4_pythonic",
        None,
        "vision",
    ),
    (
        "mistralai/Mistral-7B-Instruct-v0.3",
        chat("MistralForCausalLM", "mistral", "{% if tools %}[AVAILABLE_TOOLS]{% endif %}[TOOL_CALLS]"),
        "mistral",
        None,
        "",
    ),
    (
        "deepseek-ai/DeepSeek-V3.1",
        chat(
            "DeepseekV3ForCausalLM",
            "deepseek_v3",
            "{% if tools %}{% endif %}<｜tool▁calls▁begin｜><think>thinking",  # noqa: RUF001
        ),
        "deepseek_v31",
        "deepseek_v3",
        "",
    ),
    (
        "deepseek-ai/DeepSeek-R1-Distill-Qwen-7B",
        chat("Qwen2ForCausalLM", "qwen2", "<｜Assistant｜><think>\n"),  # noqa: RUF001
        None,
        "deepseek_r1",
        "",
    ),
    (
        "zai-org/GLM-4.5-Air",
        chat("Glm4MoeForCausalLM", "glm4_moe", "{% if tools %}<tool_call><arg_key>{% endif %}<think>"),
        "glm45",
        "glm45",
        "",
    ),
    (
        "openai/gpt-oss-20b",
        chat(
            "GptOssForCausalLM",
            "gpt_oss",
            "{% if tools %}<|channel|>commentary{% endif %}<|channel|>analysis",
        ),
        "openai",
        "openai_gptoss",
        "",
    ),
    (
        "ibm-granite/granite-3.3-8b-instruct",
        chat(
            "GraniteForCausalLM",
            "granite",
            "{% if tools %}<|tool_call|>{% endif %}{% if thinking %}{% endif %}",
        ),
        "granite",
        "granite",
        "",
    ),
    (
        "microsoft/Phi-4-mini-instruct",
        chat("Phi3ForCausalLM", "phi3", "{% if tools %}<|tool|>{% endif %}<|tool_call|>"),
        "phi4_mini_json",
        None,
        "",
    ),
    (
        "moonshotai/Kimi-K2-Instruct",
        chat("DeepseekV3ForCausalLM", "kimi_k2", "{% if tools %}<|tool_calls_section_begin|>{% endif %}"),
        "kimi_k2",
        None,
        "",
    ),
    (
        "Qwen/Qwen2.5-VL-7B-Instruct",
        chat("Qwen2_5_VLForConditionalGeneration", "qwen2_5_vl", "plain", vision_config={"depth": 32}),
        None,
        None,
        "vision",
    ),
    (
        "google/gemma-3-4b-it",
        chat(
            "Gemma3ForConditionalGeneration",
            "gemma3",
            "plain",
            text_config={"max_position_embeddings": 8192},
            vision_config={"hidden_size": 1},
        ),
        None,
        None,
        "vision",
    ),
    (
        "Qwen/Qwen2-Audio-7B-Instruct",
        chat("Qwen2AudioForConditionalGeneration", "qwen2_audio", "plain", audio_config={"d_model": 1}),
        None,
        None,
        "audio_input",
    ),
]


TEXTS = [
    (
        "sentence-transformers/all-MiniLM-L6-v2",
        {
            "config.json": {
                "architectures": ["BertModel"],
                "model_type": "bert",
                "max_position_embeddings": 512,
            },
            "modules.json": ST_MODULES,
            "sentence_bert_config.json": {"max_seq_length": 256},
            "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False},
        },
        "st_embed",
        256,
        "Pooling: mean.",
    ),
    (
        "BAAI/bge-m3",
        {
            "config.json": {
                "architectures": ["XLMRobertaModel"],
                "model_type": "xlm-roberta",
                "max_position_embeddings": 8194,
                "pad_token_id": 1,
            },
            "modules.json": ST_MODULES,
            "sentence_bert_config.json": {"max_seq_length": 8192},
            "1_Pooling/config.json": {"pooling_mode_cls_token": True},
        },
        "st_embed",
        8192,
        "Pooling: cls.",
    ),
    (
        "sentence-transformers/all-mpnet-base-v2",
        {
            "config.json": {
                "architectures": ["MPNetForMaskedLM"],
                "model_type": "mpnet",
                "max_position_embeddings": 514,
                "pad_token_id": 1,
            },
            "modules.json": ST_MODULES,
            "tokenizer_config.json": {"model_max_length": 512},
        },
        "st_embed",
        512,
        "Pooling: as its modules.json says.",
    ),
    (
        "Qwen/Qwen3-Embedding-0.6B",
        {
            "config.json": {
                "architectures": ["Qwen3ForCausalLM"],
                "model_type": "qwen3",
                "max_position_embeddings": 32768,
            },
            "modules.json": ST_MODULES,
            "tokenizer_config.json": {"chat_template": QWEN3, "model_max_length": 131072},
            "config_sentence_transformers.json": {"prompts": {"query": "Instruct: ...", "document": ""}},
            "1_Pooling/config.json": {"pooling_mode_lasttoken": True},
        },
        "st_embed",
        8192,
        "Pooling: lasttoken.",
    ),
    (
        "acme/plain-bert",
        {
            "config.json": {
                "architectures": ["BertModel"],
                "model_type": "bert",
                "max_position_embeddings": 512,
            }
        },
        "st_embed",
        512,
        "Pooling: mean, since the model has no modules.json that says; look at its card whether that is right.",
    ),
    (
        "BAAI/bge-reranker-v2-m3",
        {
            "config.json": {
                "architectures": ["XLMRobertaForSequenceClassification"],
                "model_type": "xlm-roberta",
                "max_position_embeddings": 8194,
                "pad_token_id": 1,
                "id2label": {"0": "LABEL_0"},
            },
            "tokenizer_config.json": {"model_max_length": 8192},
        },
        "st_rerank",
        8192,
        None,
    ),
    (
        "cross-encoder/ms-marco-MiniLM-L6-v2",
        {
            "config.json": {
                "architectures": ["BertForSequenceClassification"],
                "model_type": "bert",
                "max_position_embeddings": 512,
                "id2label": {"0": "LABEL_0"},
            },
        },
        "st_rerank",
        512,
        None,
    ),
]


IMAGES = [
    (
        "StableDiffusionPipeline",
        {"unet/config.json": {"sample_size": 64}},
        {"sizes": ["512x512"], "steps": 30},
    ),
    ("StableDiffusionPipeline", {"unet/config.json": {"sample_size": 96}}, {"sizes": ["768x768"]}),
    ("StableDiffusionXLPipeline", {"unet/config.json": {"sample_size": 128}}, {"guidance": 5.0}),
    ("StableDiffusion3Pipeline", {}, {"max_prompt_tokens": 256, "steps": 40}),
    ("FluxPipeline", {"transformer/config.json": {"guidance_embeds": False}}, {"steps": 4, "guidance": 0.0}),
    (
        "FluxPipeline",
        {"transformer/config.json": {"guidance_embeds": True}},
        {"steps": 28, "negative_prompts": False},
    ),
    ("QwenImagePipeline", {}, {"guidance_argument": "true_cfg_scale"}),
    ("PixArtSigmaPipeline", {}, {"steps": 20}),
]

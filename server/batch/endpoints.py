"""The paths that lines may name: what each makes of a body, and in which dialect it answers.

Every path uses the same bodies, translations and renderers as the route of that name.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from server.batch import plans
from server.batch.plans import Planner

Kind = Literal["chat", "generate", "embed", "rerank", "image", "transcribe", "speech"]
_ALIAS = "/oai"


class Endpoint(NamedTuple):
    kind: Kind
    is_openai: bool
    plan: Planner


_NATIVE: dict[str, Endpoint] = {
    "/v1/inference/chat": Endpoint("chat", False, plans.native_chat),
    "/v1/inference/generate": Endpoint("generate", False, plans.native_generate),
    "/v1/inference/embed": Endpoint("embed", False, plans.native_embed),
    "/v1/inference/rerank": Endpoint("rerank", False, plans.native_rerank),
    "/v1/inference/images/generate": Endpoint("image", False, plans.native_images),
    "/v1/inference/audio/transcribe": Endpoint("transcribe", False, plans.native_transcript),
    "/v1/inference/audio/synthesize": Endpoint("speech", False, plans.native_speech),
}
_OPENAI: dict[str, Endpoint] = {
    "/v1/chat/completions": Endpoint("chat", True, plans.openai_chat),
    "/v1/completions": Endpoint("generate", True, plans.openai_completion),
    "/v1/embeddings": Endpoint("embed", True, plans.openai_embeddings),
    "/v1/rerank": Endpoint("rerank", True, plans.openai_rerank),
    "/v1/images/generations": Endpoint("image", True, plans.openai_images),
    "/v1/audio/transcriptions": Endpoint("transcribe", True, plans.openai_transcription),
    "/v1/audio/translations": Endpoint("transcribe", True, plans.openai_translation),
    "/v1/audio/speech": Endpoint("speech", True, plans.openai_speech),
}
ENDPOINTS: Mapping[str, Endpoint] = (
    _NATIVE | _OPENAI | {_ALIAS + path: endpoint for path, endpoint in _OPENAI.items()}
)
OPENAI_URLS = tuple(path for path, endpoint in ENDPOINTS.items() if endpoint.is_openai)
"""What a batch of OpenAI's surface may name, in both spellings."""


def without_prefix(path: str) -> str:
    """The shorter of a path's two spellings; both mean the same endpoint."""
    return path.removeprefix(_ALIAS)

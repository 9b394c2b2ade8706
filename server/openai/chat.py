"""POST /oai/v1/chat/completions, also as /v1/chat/completions: OpenAI's chat, as its SDKs speak it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import example_heading, openai_inference
from server.wire.chat_body import ChatBody, parse
from server.wire.chat_render import OpenAIChat
from server.wire.heading import new_heading
from server.wire.json_body import body_docs, read_json
from server.wire.remote_images import with_remote_images

router = APIRouter(tags=["openai"])
_HEADING = example_heading("chatcmpl")
_ANSWERS = openai_inference(
    OpenAIChat(_HEADING, includes_usage=False), OpenAIChat(_HEADING, includes_usage=True)
)


@router.post("/v1/chat/completions", include_in_schema=False)
@router.post(
    "/oai/v1/chat/completions", responses=_ANSWERS, openapi_extra=body_docs(ChatBody, **examples.CHAT)
)
async def chat_completions(request: Request) -> Response:
    """Continue a conversation. `/v1/chat/completions` is the same. Needs `models:use`."""
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    body = await with_remote_images(await read_json(request, ChatBody), hub.remote)
    return Answering(
        hub.gateway.run(body.model, parse(body), caller),
        OpenAIChat(new_heading("chatcmpl", body.model), includes_usage=body.includes_usage),
        is_streamed=bool(body.stream),
    )

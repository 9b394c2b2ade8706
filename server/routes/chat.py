"""POST /v1/inference/chat: body to contract, gateway, answer in the native dialect."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from server.caller import Permission
from server.deps import request_id, require, services
from server.streaming import Answering
from server.wire import examples
from server.wire.answer_docs import REQUEST_ID, example_heading, native_inference
from server.wire.chat_body import ChatBody, parse
from server.wire.chat_render import NativeChat
from server.wire.heading import new_heading
from server.wire.json_body import body_docs, read_json
from server.wire.remote_images import with_remote_images

router = APIRouter(tags=["inference"])
_HEADING = example_heading("chatcmpl")
_ANSWERS = native_inference(NativeChat(_HEADING, REQUEST_ID), NativeChat(_HEADING, REQUEST_ID))


@router.post("/v1/inference/chat", responses=_ANSWERS, openapi_extra=body_docs(ChatBody, **examples.CHAT))
async def chat(request: Request) -> Response:
    """Continue a conversation. Needs `models:use`.

    The answer is a `chat.completion` in `data`. With `stream: true` it comes as server-sent events: the last
    chunk carries `usage`, a failure on the way is an `event: error`, and `data: [DONE]` ends it in any case.
    """
    caller = require(request, Permission.MODELS_USE)
    hub = services(request)
    body = await with_remote_images(await read_json(request, ChatBody), hub.remote)
    return Answering(
        hub.gateway.run(body.model, parse(body), caller),
        NativeChat(new_heading("chatcmpl", body.model), request_id(request)),
        is_streamed=bool(body.stream),
    )

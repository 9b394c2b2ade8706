"""The native surface: one file per resource, one line here per file."""

from server.routes import (
    backends,
    chat,
    embed,
    generate,
    health,
    images,
    keys,
    me,
    media,
    models,
    reference,
    requests,
    rerank,
    speech,
    transcribe,
    voices,
)

ROUTERS = (
    backends.router,
    chat.router,
    embed.router,
    generate.router,
    health.router,
    images.router,
    keys.router,
    me.router,
    media.router,
    models.router,
    reference.router,
    rerank.router,
    requests.router,
    transcribe.router,
    speech.router,
    voices.router,
)

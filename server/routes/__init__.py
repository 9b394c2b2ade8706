"""The native surface: one file per resource, one line here per file."""

from server.routes import (
    backends,
    chat,
    generate,
    health,
    images,
    keys,
    me,
    media,
    models,
    reference,
    requests,
)

ROUTERS = (
    backends.router,
    chat.router,
    generate.router,
    health.router,
    images.router,
    keys.router,
    me.router,
    media.router,
    models.router,
    reference.router,
    requests.router,
)

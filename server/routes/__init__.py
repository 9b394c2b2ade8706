"""The native surface: one file per resource, one line here per file."""

from server.routes import backends, chat, generate, health, keys, me, models, reference

ROUTERS = (
    backends.router,
    chat.router,
    generate.router,
    health.router,
    keys.router,
    me.router,
    models.router,
    reference.router,
)

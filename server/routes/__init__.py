"""The native surface: one file per resource, one line here per file."""

from server.routes import health, keys, me

ROUTERS = (health.router, keys.router, me.router)

"""The native surface. A new endpoint is a file here and a line in ROUTERS."""

from server.routes import backends, chat, generate, models

ROUTERS = (chat.router, generate.router, models.router, backends.router)

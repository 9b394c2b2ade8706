"""The OpenAI surface: thin translations, no envelope. A new endpoint is a file here and a line in ROUTERS."""

from server.openai import chat, completions, images, models

ROUTERS = (chat.router, completions.router, images.router, models.router)

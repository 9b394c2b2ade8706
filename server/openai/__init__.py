"""The OpenAI surface: thin translations, no envelope. A new endpoint is a file here and a line in ROUTERS."""

from server.openai import (
    batches,
    chat,
    completions,
    embeddings,
    files,
    images,
    models,
    rerank,
    speech,
    transcriptions,
)

ROUTERS = (
    chat.router,
    completions.router,
    embeddings.router,
    files.router,
    images.router,
    models.router,
    batches.router,
    rerank.router,
    transcriptions.router,
    speech.router,
)

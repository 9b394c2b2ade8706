"""What one writes first: FastAPI around `encode`, one call per request."""

import os
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

app = FastAPI()
model = SentenceTransformer(os.environ["PLAIN_MODEL"], device="cpu", local_files_only=True)


class Body(BaseModel):
    input: str | list[str]


@app.post("/v1/embeddings")
def embeddings(body: Body) -> dict[str, Any]:
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors = model.encode(texts, show_progress_bar=False)
    return {"data": [{"index": index, "embedding": vector.tolist()} for index, vector in enumerate(vectors)]}

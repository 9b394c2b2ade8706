"""The body of a rerank request, the same in both dialects, and its translation into the contract. Pure."""

from typing import Annotated, ClassVar

from pydantic import Discriminator, Field, Tag

from engines.contract.embed import RerankRequest
from server.wire.fields import Body, Count, ModelName
from server.wire.problems import OURS

MAX_DOCUMENTS = 2048
_Text = Annotated[str, Field(min_length=1)]


class DocumentBody(Body):
    text: _Text


def _document_kind(value: object) -> str | None:
    if isinstance(value, str):
        return "~text"
    return "~object" if isinstance(value, dict) else None


_Document = Annotated[
    Annotated[_Text, Tag("~text")] | Annotated[DocumentBody, Tag("~object")],
    Discriminator(
        _document_kind,
        custom_error_type=OURS,
        custom_error_message="must be a string or an object with `text`",
    ),
]


class RerankBody(Body):
    """Cohere's rerank request, as its API's first and second version have it, and `truncate`, which is ours."""

    model: ModelName
    query: _Text
    documents: Annotated[list[_Document], Field(min_length=1, max_length=MAX_DOCUMENTS)] = Field(
        description='At most 2048: strings, or objects `{"text": ...}`'
    )
    top_n: Count | None = Field(None, description="Answer with so many of the best, at most")
    return_documents: bool | None = Field(None, description="Repeat each document in its result")
    truncate: bool | None = Field(None, description="Cut pairs that are too long instead of refusing them")

    refused: ClassVar[dict[str, str]] = {
        "rank_fields": "is not supported; send the text to rank",
        "max_chunks_per_doc": "is not supported; use truncate",
        "max_tokens_per_doc": "is not supported; use truncate",
    }

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(document if isinstance(document, str) else document.text for document in self.documents)

    @property
    def repeated(self) -> tuple[str, ...] | None:
        """The documents that the results shall repeat; None: none."""
        return self.texts if self.return_documents else None


def parse_rerank(body: RerankBody) -> RerankRequest:
    return RerankRequest(body.query, body.texts, truncate=bool(body.truncate))

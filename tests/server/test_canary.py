"""No byte of a key or a prompt reaches log or metrics, whatever goes wrong with the request."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from fastapi import APIRouter
from pydantic import BaseModel

from engines.contract.errors import ErrorCode
from server.deps import Services
from server.errors import ServiceError
from server.telemetry import configure_logging
from tests.fakes.edge import bearer, body_of, call, make_app

PROMPT = "canary-prompt"


class Body(BaseModel):
    prompt: str
    outcome: str


def routes() -> APIRouter:
    router = APIRouter()

    @router.post("/v1/inference/{what}")
    async def run(what: str, body: Body) -> dict[str, str]:
        if body.outcome == "bug":
            raise KeyError(body.prompt)
        if body.outcome == "refusal":
            raise ServiceError(ErrorCode.MODEL_NOT_FOUND, "no such model")
        logging.getLogger("some.library").error("cannot say %s", body.prompt)
        return {"said": body.prompt}

    return router


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything at the most verbose level, as it would be written."""
    root, ours = logging.getLogger(), logging.getLogger("hearth")
    before = root.handlers[:], root.level, ours.level
    stream = io.StringIO()
    configure_logging("debug", stream)
    root.setLevel(logging.DEBUG)
    yield stream
    root.handlers[:], root.level, ours.level = before[0], before[1], before[2]


@pytest.mark.parametrize("outcome", ["answer", "bug", "refusal", "invalid"])
async def test_no_prompt_and_no_key_leaves_a_trace(
    services: Services, log: io.StringIO, outcome: str
) -> None:
    secret = services.keys.create("mine", []).secret.reveal()
    body = {"prompt": [PROMPT] if outcome == "invalid" else PROMPT, "outcome": outcome}
    content = json.dumps(body).encode()
    headers = [
        bearer(secret),
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(content))),
        ("X-Note", PROMPT),
    ]

    app = make_app(services, [routes()])
    answer = await call(
        app, f"/v1/inference/{PROMPT}", method="POST", headers=headers, receive=body_of(content)
    )

    written = log.getvalue() + services.metrics.render().decode()
    assert "request.finished" in written
    assert PROMPT not in written
    assert secret.removeprefix("sgk_") not in written
    assert PROMPT.encode() not in answer.body or outcome == "answer"


async def test_key_sent_in_the_wrong_place_leaves_no_trace(services: Services, log: io.StringIO) -> None:
    secret = services.keys.create("mine", []).secret.reveal()
    app = make_app(services, [routes()])

    for path, header in ((f"/v1/{secret}", ("X-Api-Key", secret)), ("/v1/me", ("Authorization", secret))):
        await call(app, path, headers=[header])

    assert "request.finished" in log.getvalue()
    assert secret.removeprefix("sgk_") not in log.getvalue()

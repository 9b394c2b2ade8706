"""Lines of batches that several tests start from."""

import json
from typing import Any

CHAT_URL = "/v1/inference/chat"


def line(**fields: Any) -> dict[str, Any]:
    """A good line with `fields` put over it; a field that is `...` is left out."""
    good: dict[str, Any] = {
        "custom_id": "a",
        "method": "POST",
        "url": CHAT_URL,
        "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    }
    return {name: value for name, value in (good | fields).items() if value is not ...}


def raw(**fields: Any) -> bytes:
    return json.dumps(line(**fields)).encode()


def asked(url: str, **body: Any) -> bytes:
    """A line that asks `url` with `body`."""
    return raw(url=url, body={"model": "m"} | body)

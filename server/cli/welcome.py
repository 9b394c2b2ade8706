"""What `hearth serve` says when it starts: where it listens, the first key, calls to paste. Only text."""

from collections.abc import Sequence

from engines.contract.spec import BackendSpec

_EXAMPLE_TEXT = "Hello!"


def heading(address: str, version: str, *, docs_open: bool) -> str:
    docs = f"{address}/docs" + ("" if docs_open else " (with a key)")
    return f"Hearth {version} listens on {address}\nDocs: {docs}"


def first_key(secret: str, address: str, backends: Sequence[BackendSpec]) -> str:
    """The only text in which the key of the first start appears."""
    return "\n".join(
        [
            "",
            "This is the first start. Your key, with every permission, is shown only now:",
            "",
            f"  {secret}",
            "",
            *_calls(secret, address, backends),
        ]
    )


def no_usable_key() -> str:
    return "\nNo key can be used any more: make one with `hearth keys create NAME`."


def models(backends: Sequence[BackendSpec], models_dir: object) -> str:
    """One line per public name."""
    if not backends:
        return f"\nNo models: put a file into {models_dir}, see its examples/, and start again."
    ids: dict[str, list[str]] = {}
    whens: dict[str, str] = {}
    for spec in backends:
        for frontend in spec.frontends:
            ids.setdefault(frontend.slug, []).append(spec.id)
            whens[frontend.slug] = "loads now" if spec.preload else "loads at its first request"
    lines = [f"  {slug}  ({', '.join(ids[slug])}, {whens[slug]})" for slug in ids]
    return "\n".join(["", "Models:", *lines, ""])


def _calls(secret: str, address: str, backends: Sequence[BackendSpec]) -> list[str]:
    if not backends:
        return []
    slug = backends[0].frontends[0].slug
    return [
        "Ask a model, in ScaiGrid's dialect and in OpenAI's:",
        "",
        *_curl(f"{address}/v1/inference/chat", secret, slug),
        "",
        *_curl(f"{address}/oai/v1/chat/completions", secret, slug),
        "",
    ]


def _curl(url: str, secret: str, slug: str) -> list[str]:
    body = f'{{"model": "{slug}", "messages": [{{"role": "user", "content": "{_EXAMPLE_TEXT}"}}]}}'
    return [
        f"  curl {url} \\",
        f"    -H 'Authorization: Bearer {secret}' -H 'Content-Type: application/json' \\",
        f"    -d '{body}'",
    ]

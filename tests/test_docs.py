"""The manual and the code agree: what a user can name is in its page, and what a page names exists."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute

from engines.contract.errors import ErrorCode
from engines.contract.options import engine_module
from engines.contract.spec import BackendSpec, Capabilities, Frontend, Limits
from server.caller import Permission
from server.catalog import read_catalog
from server.cli.commands import app
from server.errors import OUTWARD
from server.openai import ROUTERS as OPENAI_ROUTERS
from server.routes import ROUTERS as NATIVE_ROUTERS
from server.settings import PREFIX, Settings
from server.settings_sources import CLIENT_KEY_VARIABLE, FILE_VARIABLE
from server.telemetry import Metrics
from server.workers.status import WorkerState

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
ROUTERS: tuple[APIRouter, ...] = (*NATIVE_ROUTERS, *OPENAI_ROUTERS)
FASTAPI_ROUTES = {"GET /openapi.json"}
README_TAGS = {"inference", "models", "openai"}
VARIABLES = {FILE_VARIABLE, CLIENT_KEY_VARIABLE} | {PREFIX + name.upper() for name in Settings.model_fields}
ENGINE_OPTIONS = [
    engine_module(name).Options
    for name in (
        "coqui_speech",
        "diffusers_image",
        "st_embed",
        "st_rerank",
        "vllm_chat",
        "whisper_transcribe",
    )
]
_ROUTE = re.compile(r"`((?:GET|HEAD|POST|PUT|PATCH|DELETE) /[^`\s]*)`")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def routes(tags: set[str] | None = None) -> set[str]:
    """`GET /path` of every route, or of those with one of `tags`."""
    return {
        f"{method} {route.path.replace(':path}', '}')}"
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and (tags is None or tags & set(route.tags))
        for method in route.methods or ()
    }


def table_routes(text: str, heading: str) -> set[str]:
    """Routes named in the section below `heading`."""
    section = text.split(heading, 1)[1].split("\n## ", 1)[0]
    return set(_ROUTE.findall(section))


def test_every_route_is_in_the_api_page() -> None:
    documented = table_routes(page("docs/api.md"), "## Routes")

    assert (routes() | FASTAPI_ROUTES) - documented == set()


def test_every_route_in_the_api_page_exists() -> None:
    assert set(_ROUTE.findall(page("docs/api.md"))) - routes() - FASTAPI_ROUTES == set()


def test_the_readmes_table_holds_the_inference_routes() -> None:
    assert table_routes(page("README.md"), "## Endpoints") == routes(README_TAGS)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_is_explained_to_clients_with_its_status(code: ErrorCode) -> None:
    row = next(line for line in page("docs/api.md").splitlines() if line.startswith(f"| `{code}` |"))

    assert row.split("|")[2].split(",")[0].strip() == str(OUTWARD[code].status)


@pytest.mark.parametrize("code", ErrorCode)
def test_every_error_code_is_explained_to_operators(code: ErrorCode) -> None:
    assert f"`{code}`" in page("docs/operations.md")


@pytest.mark.parametrize("permission", Permission)
def test_every_permission_is_in_the_api_page(permission: Permission) -> None:
    assert f"| `{permission}` |" in page("docs/api.md")


@pytest.mark.parametrize("state", WorkerState)
def test_every_state_of_a_worker_is_in_the_architecture_page(state: WorkerState) -> None:
    assert f"| `{state}` |" in page("docs/architecture.md")


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_configuration_page(name: str) -> None:
    assert f"| `{PREFIX}{name.upper()}` |" in page("docs/configuration.md")


@pytest.mark.parametrize("struct", [BackendSpec, Capabilities, Limits, *ENGINE_OPTIONS])
def test_every_key_of_a_model_file_has_a_row(struct: type[msgspec.Struct]) -> None:
    text = page("docs/configuration.md")

    assert [name for name in struct.__struct_fields__ if f"\n| `{name}` |" not in text] == []


@pytest.mark.parametrize("name", Frontend.__struct_fields__)
def test_every_key_of_a_frontend_is_in_the_configuration_page(name: str) -> None:
    assert f"`{name}`" in page("docs/configuration.md")


@pytest.mark.parametrize(
    "command",
    [one.name or getattr(one.callback, "__name__", "") for one in app.registered_commands if not one.hidden],
)
def test_every_command_is_in_the_operations_page(command: str) -> None:
    table = page("docs/operations.md").split("## Command line", 1)[1].split("\n## ", 1)[0]

    assert f"`hearth {command}" in table


def test_every_metric_is_in_the_operations_page() -> None:
    documented = set(re.findall(r"^\| `([a-z_]+)` \|", page("docs/operations.md"), re.MULTILINE))

    assert set(metric_names()) - documented == set()


def metric_names() -> Iterator[str]:
    for metric in Metrics().registry.collect():
        yield metric.name + ("_total" if metric.type == "counter" else "")


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_variable_that_a_page_names_exists(file: Path) -> None:
    named = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", file.read_text(encoding="utf-8")))

    assert named - VARIABLES == set()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(file: Path) -> None:
    broken = [
        link for link in _LINK.findall(file.read_text(encoding="utf-8")) if not leads_somewhere(file, link)
    ]

    assert broken == []


def leads_somewhere(file: Path, link: str) -> bool:
    if "://" in link:
        return True
    path, _, anchor = link.partition("#")
    target = file.parent / path if path else file
    return target.exists() and (not anchor or anchor in anchors(target))


def anchors(file: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_decision_has_context_choice_and_cost() -> None:
    incomplete = [
        file.name
        for file in sorted(ROOT.glob("docs/decisions/*.md"))
        if not all(
            f"**{part}.**" in file.read_text(encoding="utf-8") for part in ("Context", "Choice", "Cost")
        )
    ]

    assert incomplete == []


def test_the_example_of_a_model_file_is_right(tmp_path: Path) -> None:
    (tmp_path / "example.yaml").write_text(code_block("docs/configuration.md", "yaml"), encoding="utf-8")

    assert list(read_catalog(tmp_path).backends) == ["be_example"]


def test_the_example_of_a_settings_file_is_right() -> None:
    Settings(**tomllib.loads(code_block("docs/configuration.md", "toml")))


def code_block(name: str, language: str) -> str:
    """The first block of that language in a page."""
    return page(name).split(f"```{language}\n", 1)[1].split("```", 1)[0]

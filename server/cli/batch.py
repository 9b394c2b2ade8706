"""`hearth batch`: hand in a batch to the running server, watch it, stop it, fetch its results."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from server.cli.batch_files import download_file, upload_file
from server.cli.batch_wait import follow
from server.cli.client import ApiKey, call
from server.cli.terminal import AsJson, ago, fail, print_json, print_table

batch_app = typer.Typer(no_args_is_help=True, help="Hand in batches, watch them, fetch their results.")
BatchId = Annotated[str, typer.Argument(help="Id of the batch, as `hearth batch list` shows it.")]
WINDOWS = ("24h", "4h", "1h")
_PATH = "/v1/inference/batch"
_MAX_LISTED = 100


@batch_app.command()
def submit(
    file: Annotated[Path, typer.Argument(help="JSONL: one request a line.", exists=True, dir_okay=False)],
    window: Annotated[str, typer.Option(help="Time to finish in: 24h, 4h or 1h.")] = "24h",
    metadata: Annotated[list[str] | None, typer.Option(help="KEY=VALUE, as often as needed.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the batch has ended.")] = False,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Upload a file of requests and begin a batch of it; prints the batch's id."""
    if window not in WINDOWS:
        fail(f"--window {window}: must be one of {', '.join(WINDOWS)}")
    body = {"endpoint_completion_window": window, "metadata": _pairs(metadata or [])}
    uploaded = upload_file(file, api_key)
    body["input_file_url"] = f"scaigrid://file/{uploaded['id']}"
    batch = call("POST", _PATH, api_key, body)
    if not wait:
        print_json(batch) if as_json else print(batch["id"])
        return
    if not as_json:
        print(batch["id"])
    _wait(batch["id"], api_key, as_json)


@batch_app.command("list")
def list_batches(
    status: Annotated[str | None, typer.Option(help="Only batches of this status.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=_MAX_LISTED, help="Most batches to show.")] = 20,
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Show the batches of this key, newest first."""
    query = {"limit": str(limit)} | ({} if status is None else {"status": status})
    items = call("GET", f"{_PATH}?{urlencode(query)}", api_key)["items"]
    if as_json:
        print_json(items)
        return
    titles = ("BATCH", "STATUS", "WINDOW", "AGE", "DONE", "FAILED", "TOTAL")
    print_table(titles, map(_row, items), "This key has no batches.")


@batch_app.command()
def show(batch: BatchId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Show one batch."""
    _print(call("GET", _path(batch), api_key), as_json)


@batch_app.command()
def cancel(batch: BatchId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """End a batch: lines that run are stopped, results so far are kept."""
    _print(call("POST", f"{_path(batch)}/cancel", api_key), as_json)


@batch_app.command("wait")
def wait_for(batch: BatchId, api_key: ApiKey = None, as_json: AsJson = False) -> None:
    """Stay until a batch has ended; the status is 0 if it was completed, else 1."""
    _wait(batch, api_key, as_json)


@batch_app.command()
def download(
    batch: BatchId,
    output: Annotated[Path, typer.Option(help="Folder for the files.", file_okay=False)] = Path(),
    api_key: ApiKey = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the results and the errors of a batch that has ended."""
    found = call("GET", _path(batch), api_key)
    wanted = {kind: found.get(f"{kind}_file_id") for kind in ("output", "error")}
    if not any(wanted.values()):
        fail(f"{batch} has no files: its status is {found['status']}")
    output.mkdir(parents=True, exist_ok=True)
    written = {
        kind: str(download_file(file_id, output / f"{found['id']}_{kind}.jsonl", api_key))
        for kind, file_id in wanted.items()
        if file_id is not None
    }
    if as_json:
        print_json(written)
    else:
        print("\n".join(written.values()))


def _wait(batch_id: str, api_key: str | None, as_json: bool) -> None:
    found = follow(_path(batch_id), api_key, is_quiet=as_json)
    if as_json:
        print_json(found)
    if found["status"] != "completed":
        raise typer.Exit(1)


def _path(batch_id: str) -> str:
    return f"{_PATH}/{quote(batch_id, safe='')}"


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    for key, sign, _ in pairs:
        if not key or not sign:
            fail(f"--metadata {key}: must be KEY=VALUE")
    return {key: value for key, _, value in pairs}


def _print(batch: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(batch)
        return
    counts = batch["request_counts"]
    told = {name: batch.get(name) for name in ("id", "status", "endpoint_completion_window", "created_at")}
    told |= {"requests": ", ".join(f"{count} {name}" for name, count in counts.items())}
    told |= {name: batch.get(name) for name in ("expires_at", "output_file_id", "error_file_id", "metadata")}
    rows = [(name, str(value)) for name, value in told.items() if value]
    problems = [(f"line {problem.get('line')}", problem["message"]) for problem in batch.get("errors") or ()]
    print_table(("FIELD", "VALUE"), rows + problems, "")


def _row(batch: Mapping[str, Any]) -> tuple[str, ...]:
    counts = batch["request_counts"]
    return (
        batch["id"],
        batch["status"],
        batch["endpoint_completion_window"],
        ago(datetime.fromisoformat(batch["created_at"])),
        *(str(counts.get(name, 0)) for name in ("completed", "failed", "total")),
    )

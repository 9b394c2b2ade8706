"""A small HTTP server with batches for the command line: answers what a test has put into `batches`."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

RESULTS = b'{"custom_id": "a"}\n'
ERRORS = b'{"custom_id": "b"}\n'


def batch_object(status: str, **fields: object) -> dict[str, Any]:
    counts = {"total": 10, "completed": 4, "failed": 1, "cancelled": 0, "expired": 0, "pending": 5}
    found: dict[str, Any] = {
        "id": "batch_1",
        "status": status,
        "endpoint_completion_window": "24h",
        "request_counts": counts,
        "progress": {"fraction": 0.5, "lines_per_second": 2.5, "seconds_left": 62},
        "created_at": "2026-01-02T03:04:05Z",
        "errors": [],
        "output_file_id": None,
        "error_file_id": None,
        "metadata": {},
    }
    return found | fields


class BatchServer:
    """`batches` are the answers to the next GETs of a batch; the last one stays. None hangs up, a number refuses."""

    def __init__(self) -> None:
        self.batches: list[dict[str, Any] | int | None] = [batch_object("in_progress")]
        self.asked: list[tuple[str, str, bytes]] = []
        self.refuses_content = False
        self.port = 0

    def answer(self, method: str, path: str) -> tuple[int, bytes] | None:
        if path.startswith("/v1/files/"):
            return self._content(path)
        if path == "/v1/files":
            return 201, _enveloped({"id": "file_1"})
        if path.startswith("/v1/inference/batch?"):
            return 200, _enveloped({"items": [batch_object("in_progress")]})
        if method == "POST":
            return 200, _enveloped(batch_object("cancelling" if "/cancel" in path else "validating"))
        found = self.batches.pop(0) if len(self.batches) > 1 else self.batches[0]
        if isinstance(found, int):
            return found, _refusal()
        return None if found is None else (200, _enveloped(found))

    def _content(self, path: str) -> tuple[int, bytes]:
        if self.refuses_content:
            return 404, _refusal()
        return 200, ERRORS if "error" in path else RESULTS


def _enveloped(data: object) -> bytes:
    return json.dumps({"status": "ok", "data": data}).encode()


def _refusal() -> bytes:
    return json.dumps({"error": {"code": "NOT_FOUND", "message": "No such thing"}}).encode()


@contextmanager
def run_batch_server() -> Iterator[BatchServer]:
    server = BatchServer()
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(server)) as http_server:
        server.port = http_server.server_port
        thread = threading.Thread(target=http_server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        http_server.shutdown()
        thread.join()


def _handler(server: BatchServer) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            server.asked.append((self.command, self.path, body))
            answer = server.answer(self.command, self.path)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer[0])
            self.send_header("Content-Length", str(len(answer[1])))
            self.end_headers()
            self.wfile.write(answer[1])

        do_POST = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Quiet."""

    return Handler

"""A tiny server of files and batches, correct unless told to have a fault: what the durability rig is tested on.

It knows the routes the rig calls, reads the settings the rig gives, and has no workers. HEARTH_FAULT is one of

- `early`: a batch is acknowledged before it is stored;
- `doubles`: the output file is appended to line by line, so a restart repeats the line it was at;
- `rewrites`: results that were published change with a restart;
- `unsynced`: commits do not reach the disk.
"""

import base64
import json
import os
import re
import secrets
import sqlite3
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TABLES = """
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, content BLOB);
CREATE TABLE IF NOT EXISTS batches (id TEXT, key TEXT UNIQUE, metadata TEXT, content BLOB, is_cancelled INT);
CREATE TABLE IF NOT EXISTS results (batch TEXT, line INT, kind TEXT, text TEXT);
"""
LINE_S = 0.002
_FILE = re.compile(rb"filename=.*?\r\n\r\n(.*)\r\n--", re.DOTALL)


class State:
    def __init__(self, folder: Path, fault: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.fault = fault
        self.lock = threading.RLock()
        self.store = sqlite3.connect(folder / "hearth.db", isolation_level=None, check_same_thread=False)
        self.store.execute(f"PRAGMA synchronous = {'OFF' if fault == 'unsynced' else 'EXTRA'}")
        self.store.executescript(TABLES)
        self.taken_up: set[str] = set()
        self.life = secrets.token_hex(2) if fault == "rewrites" else ""

    def ask(self, sql: str, *values: object) -> list[Any]:
        with self.lock:
            return self.store.execute(sql, values).fetchall()

    def work(self) -> None:
        """Line after line, for ever."""
        while True:
            for batch, content, is_cancelled in self.ask("SELECT id, content, is_cancelled FROM batches"):
                done = {line for (line,) in self.ask("SELECT line FROM results WHERE batch = ?", batch)}
                if self.fault == "doubles" and done and batch not in self.taken_up:
                    done.discard(max(done))
                self.taken_up.add(batch)
                requests = content.splitlines()
                for number in range(len(requests)):
                    if number not in done:
                        self.record(batch, number, requests[number], is_cancelled)
                        break
            time.sleep(LINE_S)

    def record(self, batch: str, number: int, request: bytes, is_cancelled: bool) -> None:
        kind, result = ("error", None) if is_cancelled else answer(json.loads(request))
        custom_id = json.loads(request)["custom_id"]
        error = {"code": "batch_cancelled", "message": ""} if is_cancelled else None
        if result is not None and result["status_code"] != 200:
            kind = "error"
        text = json.dumps({"custom_id": custom_id, "response": result, "error": error, "attempts": 1})
        self.ask("INSERT INTO results VALUES (?, ?, ?, ?)", batch, number, kind, text)

    def view(self, batch: str) -> dict[str, Any]:
        ((content, metadata),) = self.ask("SELECT content, metadata FROM batches WHERE id = ?", batch)
        total = content.count(b"\n")
        results = self.ask("SELECT kind, text FROM results WHERE batch = ?", batch)
        num_done = len({json.loads(text)["custom_id"] for _, text in results})
        cancelled = sum("batch_cancelled" in text for _, text in results)
        completed = sum(kind == "output" for kind, _ in results)
        counts = {"total": total, "completed": completed, "cancelled": cancelled, "expired": 0}
        counts |= {"failed": len(results) - completed - cancelled, "pending": total - num_done}
        has_ended = num_done == total
        files = {f"{kind}_file_id": f"{kind}_{batch}" if has_ended else None for kind in ("output", "error")}
        state = "cancelled" if cancelled else "completed"
        return files | {
            "id": batch,
            "status": state if has_ended else "in_progress",
            "request_counts": counts,
            "metadata": json.loads(metadata),
        }

    def content(self, file_id: str) -> bytes | None:
        if file_id.startswith("file_"):
            found = self.ask("SELECT content FROM files WHERE id = ?", file_id)
            return found[0][0] if found else None
        kind, _, batch = file_id.partition("_")
        rows = self.ask("SELECT text FROM results WHERE batch = ? AND kind = ? ORDER BY line", batch, kind)
        return "".join(
            text.replace('"attempts"', f'"attempts{self.life}"') + "\n" for (text,) in rows
        ).encode()

    def submit(self, body: dict[str, Any], key: str) -> str:
        known = self.ask("SELECT id FROM batches WHERE key = ?", key)
        if known:
            return str(known[0][0])
        if "input_file_url" in body:
            content = self.content(body["input_file_url"].removeprefix("scaigrid://file/"))
        else:
            content = base64.b64decode(body["input_file_base64"])
        batch = "batch_" + secrets.token_hex(12)
        row = (batch, key, json.dumps(body["metadata"]), content)
        if self.fault == "early":
            threading.Timer(0.2, self.ask, ("INSERT INTO batches VALUES (?, ?, ?, ?, 0)", *row)).start()
        else:
            self.ask("INSERT INTO batches VALUES (?, ?, ?, ?, 0)", *row)
        return batch


def answer(request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    body = request["body"]
    if body["model"] == "fake/none":
        return "error", {"status_code": 404, "body": {}}
    if "temperature" in body:
        return "error", {"status_code": 400 if request["url"].startswith("/oai") else 422, "body": {}}
    message = {"content": body["messages"][0]["content"]}
    return "output", {"status_code": 200, "body": {"choices": [{"message": message}]}}


class Handler(BaseHTTPRequestHandler):
    state: State

    def do_GET(self) -> None:
        path = self.path.partition("?")[0].strip("/").split("/")
        match path:
            case ["health", "ready"]:
                self.reply({})
            case ["v1", "inference", "batch"]:
                batches = self.state.ask("SELECT id FROM batches")
                self.reply({"items": [self.state.view(batch) for (batch,) in batches]})
            case ["v1", "inference", "batch", batch] if self.state.ask(
                "SELECT 1 FROM batches WHERE id = ?", batch
            ):
                self.reply(self.state.view(batch))
            case ["v1", "files", file_id, "content"] if (content := self.state.content(file_id)) is not None:
                self.send(200, content)
            case _:
                self.send(404, b"{}")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = str(self.headers["Idempotency-Key"])
        match self.path.strip("/").split("/"):
            case ["v1", "files"]:
                found = _FILE.search(body)
                file_id = "file_" + secrets.token_hex(12)
                self.state.ask("INSERT INTO files VALUES (?, ?)", file_id, found[1] if found else b"")
                self.reply({"id": file_id})
            case ["v1", "inference", "batch"]:
                self.reply({"id": self.state.submit(json.loads(body), key)})
            case ["v1", "inference", "batch", batch, "cancel"]:
                self.state.ask("UPDATE batches SET is_cancelled = 1 WHERE id = ?", batch)
                self.reply(self.state.view(batch))
            case _:
                self.send(404, b"{}")

    def reply(self, data: object) -> None:
        self.send(200, json.dumps({"status": "ok", "data": data}).encode())

    def send(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


def main() -> None:
    Handler.state = State(Path(os.environ["HEARTH_DATA_DIR"]), os.environ.get("HEARTH_FAULT", ""))
    threading.Thread(target=Handler.state.work, daemon=True).start()
    ThreadingHTTPServer(("127.0.0.1", int(os.environ["HEARTH_PORT"])), Handler).serve_forever()


if __name__ == "__main__":
    main()

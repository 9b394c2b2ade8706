"""One batch on a running server: submitted, watched, cancelled. Knows no load.

Lines take the path of OpenAI's chat, as the online requests they are compared with.
"""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proof import api

from benchmark.servers import Server

URL = "/oai/v1/chat/completions"
POLL_S = 0.05
END_S = 600.0
_SCRIPTS = Path(__file__).resolve().parents[1]


class BatchFailed(Exception):
    """The server refused a call, or a batch did not end as it should."""


class Job:
    """A batch of these bodies, from the moment it is acknowledged."""

    def __init__(self, server: Server, bodies: list[bytes]) -> None:
        self._server = _Keyed(server)
        lines = (
            b'{"custom_id": "%d", "method": "POST", "url": "%s", "body": %s}\n' % (number, URL.encode(), body)
            for number, body in enumerate(bodies)
        )
        key = f"bench-{time.time_ns()}"
        file_id = _data(api.upload(self._server, "bench.jsonl", b"".join(lines), f"{key}-file"))["id"]
        self.submitted_at = time.perf_counter()
        self.id = _data(api.submit(self._server, api.by_file(file_id), "bench", key))["id"]

    def look(self) -> dict[str, Any]:
        return _data(api.call(self._server, "GET", f"/v1/inference/batch/{self.id}"))

    def num_done(self) -> int:
        counts = self.look()["request_counts"]
        return int(counts["total"] - counts["pending"])

    def wait_for_lines(self, num: int) -> None:
        """Until so many are recorded."""
        self._wait(lambda seen: seen["request_counts"]["total"] - seen["request_counts"]["pending"] >= num)

    def wait_for_end(self, at_each_look: Callable[[], object] = lambda: None) -> float:
        """The seconds from the submission to `completed`. Raises BatchFailed where any line was not answered."""
        seen = self._wait(lambda seen: seen["output_file_id"] is not None, at_each_look)
        elapsed_s = time.perf_counter() - self.submitted_at
        counts = seen["request_counts"]
        if seen["status"] != "completed" or counts["completed"] != counts["total"]:
            raise BatchFailed(f"{self.id} ended {seen['status']} with {counts}")
        return elapsed_s

    def answers(self) -> list[dict[str, Any]]:
        """The bodies, in the order of the input."""
        content = api.call(self._server, "GET", f"/v1/files/{self.look()['output_file_id']}/content").content
        return [json.loads(line)["response"]["body"] for line in content.splitlines()]

    def cancel(self) -> None:
        _data(api.post_json(self._server, f"/v1/inference/batch/{self.id}/cancel", {}))
        self._wait(lambda seen: seen["status"] in ("cancelled", "completed"))

    def _wait(
        self, is_enough: Callable[[dict[str, Any]], bool], at_each_look: Callable[[], object] = lambda: None
    ) -> dict[str, Any]:
        deadline = time.monotonic() + END_S
        while time.monotonic() < deadline:
            seen = self.look()
            at_each_look()
            if is_enough(seen):
                return seen
            if seen["status"] in ("failed", "expired"):
                break
            time.sleep(POLL_S)
        raise BatchFailed(f"{self.id} got no further")


def num_commits(server: Server) -> int:
    """So far, as /metrics tells."""
    text = api.call(_Keyed(server), "GET", "/metrics").content.decode()
    found = re.search(r"^hearth_store_commits_total(?:_total)? ([0-9.e+]+)$", text, re.MULTILINE)
    if found is None:
        raise BatchFailed("/metrics does not count commits")
    return int(float(found[1]))


def client(program: str, server: Server, bodies: list[bytes], **job: object) -> dict[str, float]:
    """What `client` or `open_loop` measured with these bodies, in a process of its own."""
    job |= {"port": server.port, "path": URL, "key": server.key, "bodies": [body.decode() for body in bodies]}
    command = [sys.executable, "-c", f"import benchmark.{program}; benchmark.{program}.main()"]
    done = subprocess.run(
        command, input=json.dumps(job), cwd=_SCRIPTS, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BatchFailed(f"{program}: {done.stderr[-2000:]}")
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


class _Keyed:
    """A server that has a key."""

    def __init__(self, server: Server) -> None:
        self.port = server.port
        self.key = server.key or ""


def _data(answer: api.Answer) -> dict[str, Any]:
    if answer.status >= 300:
        raise BatchFailed(f"{answer.status}: {answer.content[:500].decode(errors='replace')}")
    return answer.data

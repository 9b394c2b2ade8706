"""A careful client of servers that die: repeats what got no answer, and writes down all that was asked and answered."""

import functools
import json
import random
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from proof import api
from proof.api import Address, Answer, Unanswered
from proof.events import (
    TERMINAL,
    Acknowledged,
    Counts,
    Downloaded,
    FileAcknowledged,
    FileRead,
    Journal,
    MayEnd,
    Missing,
    Observed,
    Planned,
    Surprise,
)
from proof.progress import Progress
from proof.workload import Submission

POLL_S = 0.03
PASSING = (409, 429, 503, 507)
MOST_FAILURES = 20  # answers of 500 to one call; a disk that fails may cause some
MOST_UNANSWERED = 300  # tries of one call; no server stays away for so long


class GaveUp(Exception):
    """The call is not repeated any more: its answer was surprising, or the rig ends."""


class Unacknowledged(Exception):
    """As many calls as were wanted got no answer: whether they were carried out is not known."""


class Client:
    """Asks one of `servers` at random each time. Not for two threads. All calls raise GaveUp once `ends` is set."""

    def __init__(
        self,
        servers: Sequence[Address],
        journal: Journal,
        progress: Progress,
        *,
        seed: int,
        ends: threading.Event,
    ) -> None:
        self.chance = random.Random(seed)
        self._servers = servers
        self._journal = journal
        self._progress = progress
        self._ends = ends

    def upload(self, name: str, content: bytes) -> str:
        """The id of an acknowledged file."""
        key = f"file-{name}-{self.chance.getrandbits(64):x}"
        answer = self._insist(lambda server: api.upload(server, f"{name}.jsonl", content, key))
        file_id = str(answer.data["id"])
        self._journal.write(FileAcknowledged(file_id, api.sha256(content)))
        return file_id

    def submit(self, submission: Submission, *, num_calls: int | None = None) -> str:
        """The batch's id. Raises Unacknowledged after `num_calls`."""
        self._journal.write(Planned(submission.name, submission.lines))
        is_uploaded = self.chance.random() < 0.7
        source = (
            api.by_file(self.upload(submission.name, submission.content))
            if is_uploaded
            else api.inline(submission.content)
        )
        key = f"batch-{submission.name}-{self.chance.getrandbits(64):x}"
        batch_id = self._submit(submission.name, source, key, num_calls)
        while self.chance.random() < 0.4:
            self._submit(submission.name, source, key, None)
        return batch_id

    def observe(self, batch_id: str) -> Observed | None:
        """None where nothing was answered."""
        server = self.chance.choice(self._servers)
        try:
            answer = api.call(server, "GET", f"/v1/inference/batch/{batch_id}")
        except Unanswered:
            return None
        if answer.status == 404:
            self._journal.write(Missing(batch_id))
            raise GaveUp(f"{batch_id} is not there")
        if answer.status != 200:
            return None
        return self._note(answer.data, server)

    def watch(self, batch_id: str, is_enough: Callable[[Observed], bool]) -> Observed:
        """Look again and again."""
        while True:
            seen = self.observe(batch_id)
            if seen is not None and is_enough(seen):
                return seen
            self._pause()

    def cancel(self, batch_id: str) -> None:
        self._journal.write(MayEnd(batch_id, "batch_cancelled"))
        path = f"/v1/inference/batch/{batch_id}/cancel"
        self._insist(lambda server: api.post_json(server, path, {}), accepted=(200, 202, 409))

    def download(self, batch_id: str) -> None:
        """Both files of a batch once it has ended, into the journal."""
        seen = self.watch(batch_id, has_ended)
        for kind, file_id in (("output", seen.output_file_id), ("error", seen.error_file_id)):
            if file_id is not None:
                content = self._content(file_id)
                text = None if content is None else content.decode()
                self._journal.write(Downloaded(batch_id, kind, file_id, text))

    def read_file(self, file_id: str) -> None:
        content = self._content(file_id)
        self._journal.write(FileRead(file_id, None if content is None else api.sha256(content)))

    def list_batches(self) -> list[str]:
        """Ids of all there are; each is written down as observed."""
        found: list[str] = []
        query: str | None = "?limit=100"
        while query is not None:
            answer = self._insist(functools.partial(_list, query=query))
            found += [self._note(item, self._servers[0]).batch_id for item in answer.data["items"]]
            whole = json.loads(answer.content)
            paging = whole.get("pagination") or whole["data"].get("pagination") or {}
            query = f"?limit=100&cursor={paging['next_cursor']}" if paging.get("has_more") else None
        return found

    def _submit(self, name: str, source: dict[str, str], key: str, num_calls: int | None) -> str:
        answer = self._insist(lambda server: api.submit(server, source, name, key), num_calls=num_calls)
        batch_id = str(answer.data["id"])
        self._journal.write(Acknowledged(name, batch_id))
        return batch_id

    def _content(self, file_id: str) -> bytes | None:
        path = f"/v1/files/{file_id}/content"
        answer = self._insist(lambda server: api.call(server, "GET", path), accepted=(200, 404))
        return answer.content if answer.status == 200 else None

    def _insist(
        self,
        ask: Callable[[Address], Answer],
        *,
        accepted: Sequence[int] = (200, 201, 202),
        num_calls: int | None = None,
    ) -> Answer:
        """Ask until answered."""
        unanswered = failures = 0
        while unanswered < (num_calls or MOST_UNANSWERED):
            try:
                answer = ask(self.chance.choice(self._servers))
            except Unanswered as error:
                unanswered += 1
                text = f"often unanswered: {error}"
            else:
                if answer.status in accepted:
                    return answer
                text = f"{answer.status}: {answer.content[:300].decode(errors='replace')}"
                failures += answer.status == 500
                if answer.status not in (*PASSING, 500) or failures > MOST_FAILURES:
                    break
            self._pause()
        else:
            if num_calls is not None:
                raise Unacknowledged
        self._journal.write(Surprise(text))
        raise GaveUp(text)

    def _note(self, data: dict[str, Any], server: Address) -> Observed:
        seen = observed(data, str(server.port))
        self._journal.write(seen)
        self._progress.note(seen.batch_id, seen.counts.done)
        return seen

    def _pause(self) -> None:
        time.sleep(POLL_S)
        if self._ends.is_set():
            raise GaveUp("the rig ends")


def _list(server: Address, query: str) -> Answer:
    return api.call(server, "GET", f"/v1/inference/batch{query}")


def has_ended(seen: Observed) -> bool:
    return seen.status in TERMINAL


def observed(data: dict[str, Any], server: str) -> Observed:
    """What a batch object says."""
    counts = data["request_counts"]
    return Observed(
        batch_id=data["id"],
        status=data["status"],
        counts=Counts(**{name: counts[name] for name in Counts.__struct_fields__}),
        output_file_id=data.get("output_file_id"),
        error_file_id=data.get("error_file_id"),
        submission=(data.get("metadata") or {}).get("submission"),
        server=server,
    )

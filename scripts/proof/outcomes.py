"""Watches the recorded outcomes in the database itself: one that is there may never change. Knows no server.

Two attempts of a line give the same answer, so the files cannot show that a late one overwrote an earlier; the request
ids in the rows can.
"""

import contextlib
import threading
from collections.abc import Iterator

import psycopg

from proof.events import Journal, Surprise

EVERY_S = 0.1
_QUERY = b"SELECT batch_id, line_no, md5(answer) FROM batch_lines WHERE answer IS NOT NULL"


@contextlib.contextmanager
def watched(database_url: str, journal: Journal) -> Iterator[None]:
    """While this lasts."""
    ends = threading.Event()
    watching = threading.Thread(target=_watch, args=(database_url, journal, ends), daemon=True)
    watching.start()
    try:
        yield
    finally:
        ends.set()
        watching.join()


def _watch(database_url: str, journal: Journal, ends: threading.Event) -> None:
    seen: dict[tuple[str, int], str] = {}
    while not ends.is_set():
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(database_url) as connection:
            while not ends.wait(EVERY_S):
                _compare(connection.execute(_QUERY).fetchall(), seen, journal)
                connection.rollback()
        ends.wait(EVERY_S)


def _compare(rows: list[tuple[str, int, str]], seen: dict[tuple[str, int], str], journal: Journal) -> None:
    for batch_id, line, digest in rows:
        if seen.setdefault((batch_id, line), digest) != digest:
            journal.write(Surprise(f"the outcome of line {line} of {batch_id} has changed"))
            seen[batch_id, line] = digest

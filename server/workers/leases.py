"""Who holds a lease, who waits for one, and who goes first. Pure."""

from engines.contract.errors import EngineError
from engines.contract.types import Priority
from server.workers.actions import Action, Grant, Refuse, overloaded
from server.workers.record import Record


class Leases:
    """The tickets of all backends. What is granted and refused comes out as actions."""

    def __init__(self) -> None:
        self._holder: dict[int, Record] = {}  # ticket -> its backend

    def ask(self, record: Record, ticket: int, priority: Priority, now: float) -> list[Action]:
        """Grants, refuses, or returns nothing: then it waits, and the backend should come up."""
        if priority is Priority.BATCH:
            return self._ask_for_batch(record, ticket, now)
        limits = record.spec.limits
        record.pace.see_client(now)
        if record.num_free > 0:
            return [self._grant(record, ticket)]
        if len(record.waiting) >= limits.max_queue:
            return [Refuse(ticket, overloaded(len(record.leases), len(record.waiting)))]
        timeout_s = limits.queue_timeout_s if record.is_serving else limits.load_timeout_s
        record.waiting[ticket] = now + timeout_s
        self._holder[ticket] = record
        return []

    def leave(self, ticket: int, now: float) -> Record | None:
        """The backend that has a place free now; None if the ticket only waited."""
        record = self._holder.pop(ticket, None)
        if record is None:
            return None
        if ticket not in record.leases:
            record.waiting.pop(ticket, None)
            record.batch_waiting.pop(ticket, None)
            return None
        record.leases.remove(ticket)
        if ticket in record.batch_leases:
            record.batch_leases.remove(ticket)
        else:
            record.pace.see_client(now)
        record.last_used_at = now
        return record

    def serve(self, record: Record, now: float) -> list[Action]:
        """Give the free places to those who wait: clients first."""
        tickets = list(record.waiting)[: max(0, record.num_free)]
        for ticket in tickets:
            del record.waiting[ticket]
        granted: list[Action] = [self._grant(record, ticket) for ticket in tickets]
        return granted + self.serve_batch(record, now)

    def serve_batch(self, record: Record, now: float) -> list[Action]:
        num_begun = min(len(record.batch_waiting), record.pace.allowance(now, record.num_free_for_batch))
        record.pace.take(num_begun)
        tickets = list(record.batch_waiting)[:num_begun]
        for ticket in tickets:
            del record.batch_waiting[ticket]
            record.batch_leases.add(ticket)
        return [self._grant(record, ticket) for ticket in tickets]

    def hand_over(self, record: Record, successor: Record, now: float) -> None:
        """Who waits for `record` waits for `successor`, which is ready."""
        successor.waiting = dict.fromkeys(record.waiting, now + successor.spec.limits.queue_timeout_s)
        successor.batch_waiting = record.batch_waiting
        record.waiting, record.batch_waiting = {}, {}
        for ticket in (*successor.waiting, *successor.batch_waiting):
            self._holder[ticket] = successor

    def refuse_waiting(self, record: Record, error: EngineError) -> list[Action]:
        tickets = [*record.waiting, *record.batch_waiting]
        return [self._refuse(record, ticket, error) for ticket in tickets]

    def expire(self, record: Record, now: float) -> list[Action]:
        """Refuse those who have waited for as long as they may."""
        expired = [ticket for ticket, deadline in record.waiting.items() if deadline <= now]
        return [self._refuse(record, ticket, record.refusal(now)) for ticket in expired]

    def _ask_for_batch(self, record: Record, ticket: int, now: float) -> list[Action]:
        if len(record.batch_waiting) >= record.max_batch_waiting:
            return [Refuse(ticket, overloaded(len(record.leases), len(record.batch_waiting)))]
        record.batch_waiting[ticket] = None
        self._holder[ticket] = record
        return self.serve_batch(record, now)

    def _grant(self, record: Record, ticket: int) -> Grant:
        record.leases.add(ticket)
        self._holder[ticket] = record
        return Grant(ticket, record.spec.id)

    def _refuse(self, record: Record, ticket: int, error: EngineError) -> Refuse:
        record.waiting.pop(ticket, None)
        record.batch_waiting.pop(ticket, None)
        del self._holder[ticket]
        return Refuse(ticket, error)

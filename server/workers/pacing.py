"""How many requests of batches may begin at once on a backend that clients use too. Pure.

Lines of like length that began together end together, and all that follow them are read in one step of the engine: a
client that comes just then waits for it. So while clients are about, few lines begin at a time, which also parts those
that went in step.
"""

ABOUT_S = 1.0  # a client counts as being about for so long after its request
INTERVAL_S = 0.01
SHARE = 8  # of the places of batches, so many may begin in one interval: one in SHARE


class Pace:
    """Of one backend. Times are seconds of one monotonic clock."""

    def __init__(self, batch_room: int) -> None:
        self._most = max(1, batch_room // SHARE)
        self._client_at = float("-inf")
        self._interval_at = float("-inf")
        self._num_begun = 0

    def see_client(self, now: float) -> None:
        """A request that is no batch's begins or ends."""
        self._client_at = now

    def allowance(self, now: float, num_free: int) -> int:
        """Of `num_free` places, how many may be taken now."""
        if now - self._client_at > ABOUT_S:
            return num_free
        if now >= self.next_at:
            self._interval_at, self._num_begun = now, 0
        return min(num_free, self._most - self._num_begun)

    def take(self, num_begun: int) -> None:
        self._num_begun += num_begun

    @property
    def next_at(self) -> float:
        """When more may begin, after an allowance that was not enough."""
        return self._interval_at + INTERVAL_S

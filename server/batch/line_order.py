"""For whom, and until when, one line is run."""

from datetime import datetime
from typing import NamedTuple

from server.caller import Caller


class LineOrder(NamedTuple):
    """`base_url` is what links in the answer begin with; they and files of the answer live until `kept_until`."""

    caller: Caller
    batch_id: str
    line_no: int
    base_url: str
    kept_until: datetime
    request_id: str

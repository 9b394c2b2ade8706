"""What on this machine keeps Hearth from working, and what to do about it. Changes nothing.

`gathering/` looks and `judging/` decides, from facts alone, so that judgements need no hardware to be tested.
"""

from server.doctor.examine import examine
from server.doctor.verdict import Finding, Verdict

__all__ = ["Finding", "Verdict", "examine"]

"""Cuts a long sound into windows that the model hears at once; pure, knows samples only by their number.

A span is a stretch of speech, `(first sample, one after its last)`; a window is one or more spans, joined without the
silence between them.
"""

import msgspec

Span = tuple[int, int]
Window = tuple[Span, ...]


def pack(spans: list[Span], longest: int) -> list[Window]:
    """Neighbours share a window while together they are at most `longest` samples; a longer span stands alone."""
    windows: list[list[Span]] = []
    length = 0
    for start, end in spans:
        if windows and length + end - start <= longest:
            windows[-1].append((start, end))
        else:
            windows.append([(start, end)])
            length = 0
        length += end - start
    return [tuple(window) for window in windows]


class Cut(msgspec.Struct, frozen=True):
    """Windows of a block that are complete, and the sample at which the next block begins."""

    windows: list[Window]
    next_start: int


def cut_block(spans: list[Span], *, block: Span, total: int, longest: int) -> Cut:
    """Windows of a block of a longer sound; `spans` are absolute and lie within `block`.

    What may go on after the block is left for the next one: the last window, as it may not be full, or the last span if
    it touches the block's end. `next_start` is always after the block's beginning.
    """
    start, end = block
    windows = pack(spans, longest)
    if end == total or not windows:
        return Cut(windows, end)
    if len(windows) > 1:
        return Cut(windows[:-1], windows[-1][0][0])
    last_start, last_end = windows[0][-1]
    if last_end < end or last_start <= start:
        return Cut(windows, end)
    return Cut([windows[0][:-1]] if len(windows[0]) > 1 else [], last_start)

"""Speech is packed into windows of bounded length, and blocks of a long file end where nothing is cut through."""

import pytest

from engines.whisper_parts.windows import Cut, cut_block, pack


def test_neighbours_share_a_window_up_to_its_length() -> None:
    assert pack([(0, 4), (10, 14), (20, 23)], longest=8) == [((0, 4), (10, 14)), ((20, 23),)]


def test_span_longer_than_a_window_stands_alone() -> None:
    assert pack([(0, 2), (5, 20), (22, 23)], longest=8) == [((0, 2),), ((5, 20),), ((22, 23),)]


def test_silence_has_no_windows() -> None:
    assert pack([], longest=8) == []
    assert cut_block([], block=(10, 20), total=50, longest=8) == Cut([], 20)


def test_last_block_gives_all_windows() -> None:
    assert cut_block([(11, 15), (16, 20)], block=(10, 20), total=20, longest=5) == Cut(
        [((11, 15),), ((16, 20),)], 20
    )


def test_last_window_of_a_block_is_left_for_the_next() -> None:
    cut = cut_block([(0, 6), (7, 12), (13, 15)], block=(0, 20), total=50, longest=8)

    assert cut == Cut([((0, 6),)], 7)


def test_speech_that_touches_the_end_of_a_block_is_left_for_the_next() -> None:
    assert cut_block([(0, 2), (17, 20)], block=(0, 20), total=50, longest=8) == Cut([((0, 2),)], 17)
    assert cut_block([(17, 20)], block=(0, 20), total=50, longest=8) == Cut([], 17)


def test_one_window_that_ends_in_time_is_kept() -> None:
    assert cut_block([(2, 5)], block=(0, 20), total=50, longest=8) == Cut([((2, 5),)], 20)


@pytest.mark.parametrize("spans", [[(0, 20)], [(0, 3), (3, 20)], [(0, 20), (20, 20)]])
def test_next_block_always_begins_later(spans: list[tuple[int, int]]) -> None:
    assert cut_block(spans, block=(0, 20), total=50, longest=8).next_start > 0

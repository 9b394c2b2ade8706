"""The wire does not change by accident: every frame has a snapshot of what its bytes say."""

import msgspec
import pytest

from engines.contract.frames import FromWorker, ToWorker
from tests.engines.contract.samples import FROM_WORKER, SNAPSHOTS, TO_WORKER, on_the_wire


@pytest.mark.parametrize(("name", "frame"), (TO_WORKER | FROM_WORKER).items())
def test_frame_is_on_the_wire_as_its_snapshot_says(name: str, frame: ToWorker | FromWorker) -> None:
    expected = (SNAPSHOTS / f"{name}.json").read_text()

    assert expected == on_the_wire(frame)


@pytest.mark.parametrize("direction", [(ToWorker, TO_WORKER), (FromWorker, FROM_WORKER)])
def test_every_frame_has_a_sample(direction: tuple[object, dict[str, object]]) -> None:
    union, samples = direction

    assert set(union.__args__) == {type(sample) for sample in samples.values()}  # type: ignore[attr-defined]


def test_snapshots_have_no_strays() -> None:
    names = {path.stem for path in SNAPSHOTS.glob("*.json")}

    assert names == set(TO_WORKER | FROM_WORKER)


def test_unknown_field_of_a_frame_is_refused() -> None:
    raw = msgspec.msgpack.encode({"type": "cancel", "id": 1, "extra": True})

    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(raw, type=ToWorker)

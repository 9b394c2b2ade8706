"""The run that cuts the power right after the first, second, third ... sync of a scenario.

From that sync on every call to the disk fails, as if it had gone first; then the server is killed, what was not synced
is dropped, and the scenario goes on after the restart. It ends with the first number that no scenario reaches.
"""

import contextlib
from collections.abc import Callable
from pathlib import Path

from proof import api
from proof.checker import Verdict, check
from proof.crowd import read_everything
from proof.disk import Disk, mounted
from proof.events import Journal, Struck, Surprise, read
from proof.named_points import FAST, SCENARIO_S, Stage, act, complete
from proof.site import NotReadyError, Nursery, Site, running


def run(
    nursery: Nursery,
    folder: Path,
    *,
    seed: int,
    every: int = 1,
    tell: Callable[[int], None] = lambda number: None,
) -> Verdict:
    """With `every` 3 only the third, sixth ... sync."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        contextlib.closing(Journal(folder / "journal.jsonl")) as journal,
        mounted(folder / "disk", folder / "disk.log") as disk,
    ):
        number = every
        while _is_first_start_cut(_site(nursery, folder, disk, f"first-{number}"), journal, disk, number):
            number += every
        stage = Stage(_site(nursery, folder, disk, "data"), journal, seed=seed)
        with running(stage.site):
            try:
                stage.site.start()
                _cut_at_each(stage, disk, every, tell)
                _read(stage)
            except NotReadyError as error:
                journal.write(Surprise(f"the server did not start: {error}"))
        journal.flush()
        return check(read(journal.path))


def _site(nursery: Nursery, folder: Path, disk: Disk, name: str) -> Site:
    """Its data folder has long been there; what the server makes in it is the server's."""
    (disk.folder / name).mkdir()
    disk.sync()
    return Site(nursery, folder / name, data_dir=disk.folder / name)


def _is_first_start_cut(site: Site, journal: Journal, disk: Disk, number: int) -> bool:
    """Whether a first start got to that sync. The next start must come up, and know the key if one was shown."""
    site.add_backend(FAST, 0.0)
    disk.stop_after(number)
    with contextlib.suppress(NotReadyError):
        site.start()
    is_cut = disk.is_stopped
    if is_cut:
        journal.write(Struck("power", "a sync of the first start"))
    with running(site):
        if site.is_running:
            site.kill()
        disk.cut_power()
        try:
            site.start()
        except NotReadyError as error:
            journal.write(Surprise(f"no start after a cut at sync {number} of the first: {error}"))
            return is_cut
        if site.key and (status := api.call(site, "GET", "/v1/inference/batch").status) != 200:
            journal.write(Surprise(f"the key shown by a first start cut at sync {number}: {status}"))
        site.kill()
    return is_cut


def _cut_at_each(stage: Stage, disk: Disk, every: int, tell: Callable[[int], None]) -> None:
    number = every
    while _is_cut(stage, disk, number):
        tell(number)
        number += every
    disk.go_on()


def _is_cut(stage: Stage, disk: Disk, number: int) -> bool:
    """Whether the scenario got to that sync, its start included."""
    if stage.site.is_running:
        stage.site.kill(with_workers=True)
    disk.stop_after(number)
    is_cut = False

    def look_after() -> None:
        nonlocal is_cut
        if disk.is_stopped:
            is_cut = True
            stage.journal.write(Struck("power", "a sync"))
            if stage.site.is_running:
                stage.site.kill(with_workers=True)
            disk.cut_power()
            stage.site.start()

    try:
        stage.site.start()
    except NotReadyError:
        if not disk.is_stopped:
            raise
    act(stage, complete, look_after, name=f"sync {number}")
    return is_cut


def _read(stage: Stage) -> None:
    for _ in range(2):
        if stage.site.is_running:
            stage.site.stop()
        stage.site.start()
        read_everything([stage.site], stage.journal, timeout_s=SCENARIO_S)

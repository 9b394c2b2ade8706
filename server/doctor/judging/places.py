"""Judges folders: rights, room, file systems."""

from collections.abc import Iterator

from server.doctor.facts import Place, Places
from server.doctor.verdict import Finding, ok, problem, warning

NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "ncpfs",
        "afs",
        "9p",
        "ceph",
        "lustre",
        "gpfs",
        "beegfs",
        "ocfs2",
        "glusterfs",
    }
    | {f"fuse.{name}" for name in ("glusterfs", "sshfs", "s3fs", "ceph", "juicefs", "rclone", "gcsfuse")}
)
FLEETING = frozenset({"tmpfs", "ramfs"})
GIB = 2**30
ROOM_FOR_TEMPORARY_BYTES = GIB
ROOM_FOR_ENGINES_BYTES = {"cpu": 5 * GIB, "cuda": 20 * GIB}
_OTHERS = 0o077


def judge_places(places: Places, *, flavour: str, has_engines: bool) -> Iterator[Finding]:
    yield _data(places)
    if places.store is not None:
        yield _store(places.store)
    yield _written("files_dir", places.files, places.min_free_bytes)
    yield _models(places.models)
    yield _engines(places.engines, 0 if has_engines else ROOM_FOR_ENGINES_BYTES[flavour])
    yield _temporary(places.temporary)


def _data(places: Places) -> Finding:
    finding = _written("data_dir", places.data, places.min_free_bytes)
    if finding.fix is None and places.data.exists and places.data.mode & _OTHERS:
        found = f"{places.data.path} can be entered by other users (mode {places.data.mode:o})"
        return warning("data_dir", found, f"chmod 700 {places.data.path}")
    return finding


def _store(folder: Place) -> Finding:
    found = f"{folder.path} lies on {folder.file_system}"
    if folder.file_system in NETWORK:
        fix = "put data_dir on a local disk, or use PostgreSQL (HEARTH_DATABASE_URL): SQLite would be damaged"
        return problem("store's disk", found, fix)
    if folder.file_system in FLEETING:
        return warning("store's disk", f"{found}: keys are gone after a restart", "put data_dir on a disk")
    return ok("store's disk", found)


def _written(name: str, place: Place, least_bytes: int) -> Finding:
    found = f"{place.path}, {place.free_bytes / GIB:.1f} GiB free"
    if not place.is_folder:
        return problem(name, f"{place.nearest} is not a folder", f"move {place.nearest} away")
    if not place.can_write:
        return problem(name, f"cannot write to {place.nearest}", f'sudo chown "$(id -un)" {place.nearest}')
    if place.free_bytes < least_bytes:
        return problem(
            name, f"{found}, less than min_free_bytes ({least_bytes})", "make room, or name another disk"
        )
    return ok(name, found if place.exists else f"{found}; will be made")


def _models(place: Place) -> Finding:
    if not place.exists or not place.is_folder:
        return problem("models_dir", f"{place.path} is not a folder", f"mkdir -p {place.path}")
    if not place.can_read:
        return problem("models_dir", f"cannot read {place.path}", f"chmod u+rx {place.path}")
    return ok("models_dir", str(place.path))


def _engines(place: Place, needed_bytes: int) -> Finding:
    found = f"{place.path}, {place.free_bytes / GIB:.1f} GiB free"
    if place.free_bytes < needed_bytes:
        fix = f"make room for {needed_bytes / GIB:.0f} GiB, or set HEARTH_ENGINES_DIR to another disk"
        return problem("engines_dir", found, fix)
    return ok("engines_dir", found)


def _temporary(place: Place) -> Finding:
    found = f"{place.path}, {place.free_bytes / GIB:.1f} GiB free"
    if not place.can_write:
        return problem(
            "temporary files", f"cannot write to {place.path}", "set TMPDIR to a folder of your own"
        )
    if place.free_bytes < ROOM_FOR_TEMPORARY_BYTES:
        return warning("temporary files", found, "make room, or set TMPDIR to a folder on another disk")
    return ok("temporary files", found)

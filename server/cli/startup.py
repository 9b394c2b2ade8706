"""Everything that must be right before the server binds: models, store, address. All faults in one list."""

import fcntl
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple, TextIO

from sqlalchemy.exc import SQLAlchemyError

from server.caller import Permission
from server.catalog import Catalog, CatalogError, read_catalog
from server.disk import make_folder
from server.keys import KeyRing
from server.media import check_media
from server.settings import Settings, check_binding
from server.store import StoreError, claim, open_store, path_of

FIRST_KEY_NAME = "first start"
BACKLOG = 2048


class StartupError(Exception):
    """The server must not start; one line per fault."""

    def __init__(self, problems: list[str], exit_status: int = 1) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
        self.exit_status = exit_status


class Prepared(NamedTuple):
    """What a server needs and what was found to be right. Whoever gets it closes `keys` and then `claim`."""

    catalog: Catalog
    keys: KeyRing
    claim: ExitStack


def prepare(settings: Settings) -> Prepared:
    """Read and open everything. Raises StartupError with every fault; nothing is bound and no key is made."""
    problems: list[str] = []
    exit_status = 1
    catalog, keys = Catalog({}), None
    with ExitStack() as claims:
        try:
            catalog = read_catalog(settings.models_dir)
        except CatalogError as error:
            problems += [str(problem) for problem in error.problems]
        try:
            claims.enter_context(claim_data_dir(settings.data_dir))
            problems += check_media(settings)
            problems += check_files_folder(settings.files_folder)
            keys = _open_store_of_our_own(settings, claims)
        except StartupError as error:
            problems += error.problems
        except StoreError as error:
            problems.append(str(error))
            exit_status = error.exit_status
        problems += check_binding(settings, has_keys=keys is None or keys.has_usable())
        if keys is not None and not problems:
            return Prepared(catalog, keys, claims.pop_all())
        if keys is not None:
            keys.close()
        raise StartupError(problems, exit_status)


def _open_store_of_our_own(settings: Settings, claims: ExitStack) -> KeyRing:
    """A SQLite store is claimed before it is opened: opening may migrate it, which a running server must not see."""
    if (path := path_of(settings.store_url)) is not None:
        claims.enter_context(claim(path))
    return open_keys(settings)


def claim_data_dir(data_dir: Path) -> TextIO:
    """An open file, locked while this server runs: two in one folder would tear down each other's workers."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / "server.lock").open("a")
    except OSError as error:
        raise StartupError([f"cannot write to data_dir {data_dir}: {error.strerror}"]) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise StartupError([f"another server runs with data_dir {data_dir}"]) from error
    return lock


def check_files_folder(folder: Path) -> list[str]:
    """What forbids to keep files in it; empty if nothing does. Makes it where it is missing; a full disk is fine."""
    try:
        make_folder(folder.absolute())
    except OSError as error:
        return [f"cannot make files_dir {folder}: {error.strerror}"]
    return [] if os.access(folder, os.W_OK | os.X_OK) else [f"cannot write to files_dir {folder}"]


def open_keys(settings: Settings) -> KeyRing:
    """The keys in the store of these settings. Raises StoreError."""
    store = open_store(settings.store_url)
    try:
        return KeyRing(store)
    except SQLAlchemyError as error:
        store.close()
        raise StoreError(
            f"cannot read the keys in {settings.redacted_url}: {type(error).__name__}"
        ) from error


def make_first_key(keys: KeyRing, file: Path | None) -> str | None:
    """Make a key with every permission if there never was a key. Returns its secret, unless `file` gets it.

    The file is for services whose output ends up in a log. Raises StartupError if it cannot be made.
    """
    if keys.list(include_revoked=True):
        return None
    if file is None:
        return keys.create(FIRST_KEY_NAME, list(Permission)).secret.reveal()
    try:
        file.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise StartupError([f"cannot make the key file {file}: {error.strerror}"]) from error
    file.write_text(keys.create(FIRST_KEY_NAME, list(Permission)).secret.reveal() + "\n", encoding="utf-8")
    return None


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises StartupError, for example when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host.strip("[]"), settings.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # the address is said already
        hint = "; choose another with --port or HEARTH_PORT" if settings.port else ""
        raise StartupError(
            [f"cannot listen on {settings.host} port {settings.port}: {reason}{hint}"]
        ) from error


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

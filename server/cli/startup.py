"""Everything that must be right before the server binds: models, store, address. All faults in one list."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from server.caller import Permission
from server.catalog import Catalog, CatalogError, read_catalog
from server.keys import KeyRing
from server.settings import Settings, check_binding
from server.store import Store, StoreError, open_store

FIRST_KEY_NAME = "first start"
BACKLOG = 2048


class StartupError(Exception):
    """The server must not start; one line per fault."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Prepared(NamedTuple):
    """What a server needs and what was found to be right."""

    catalog: Catalog
    store: Store
    keys: KeyRing


def prepare(settings: Settings) -> Prepared:
    """Read and open everything. Raises StartupError with every fault; nothing is bound and no key is made."""
    problems: list[str] = []
    catalog, store = Catalog({}), None
    try:
        catalog = read_catalog(settings.models_dir)
    except CatalogError as error:
        problems += [str(problem) for problem in error.problems]
    try:
        store = open_store(settings.store_url)
    except StoreError as error:
        problems.append(str(error))
    keys = None if store is None else KeyRing(store)
    problems += check_binding(settings, has_keys=keys is None or keys.has_usable())
    if problems or store is None or keys is None:
        if store is not None:
            store.close()
        raise StartupError(problems)
    return Prepared(catalog, store, keys)


def make_first_key(keys: KeyRing) -> str | None:
    """The secret of a key with every permission if this store never had a key; else None."""
    if keys.list(include_revoked=True):
        return None
    return keys.create(FIRST_KEY_NAME, list(Permission)).secret.reveal()


def hand_over(secret: str, file: Path | None, say: Callable[[str], None], text: str) -> None:
    """Show the key once: on the terminal or, for services whose output is kept, in a private file."""
    if file is None:
        say(text)
        return
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(secret + "\n", encoding="utf-8")
    say(f"\nThis is the first start. Your key, with every permission, is in {file}.")


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises StartupError, for example when the port is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.host.strip("[]"), settings.port), family=family, backlog=BACKLOG
        )
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "; choose another with --port" if settings.port else ""
        raise StartupError(
            [f"cannot listen on {settings.host} port {settings.port}: {reason}{hint}"]
        ) from error


def address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

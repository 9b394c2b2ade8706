"""From settings to a media store: which place, which key. Blocks; for the start of the server."""

import importlib.util

from server.media.bucket import MediaBucket
from server.media.folder import MediaFolder
from server.media.storage import MediaStorage
from server.media.store import MediaStore
from server.media.token import Signer, load_key
from server.settings import Settings

KEY_FILE = "media.key"


def check_media(settings: Settings) -> list[str]:
    """What forbids to start with these settings; empty if nothing does. Makes the key where there is none."""
    problems = []
    if settings.media_s3_bucket is not None and importlib.util.find_spec("obstore") is None:
        problems.append("media_s3_bucket is set, but obstore is not installed: pip install 'hearth[s3]'")
    try:
        load_key(settings.data_dir / KEY_FILE)
    except OSError as error:
        problems.append(f"cannot use {KEY_FILE} in data_dir {settings.data_dir}: {error.strerror or error}")
    return problems


def open_media(settings: Settings) -> MediaStore:
    """Raises OSError if the key cannot be read or made."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    storage: MediaStorage = (
        MediaFolder(settings.data_dir / "media")
        if settings.media_s3_bucket is None
        else MediaBucket(settings)
    )
    key = load_key(settings.data_dir / KEY_FILE)
    return MediaStore(storage, Signer(key), ttl_s=settings.media_ttl_s)

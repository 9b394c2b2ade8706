"""Files that the server made and hands out by link: stored by their digest, named by signed tokens, swept in time."""

from server.media.opening import check_media, open_media
from server.media.store import Media, MediaStore
from server.media.token import PUBLIC_PATH, ROUTE

__all__ = ["PUBLIC_PATH", "ROUTE", "Media", "MediaStore", "check_media", "open_media"]

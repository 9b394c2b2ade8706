"""Durable files of clients and batches: content in a folder, one row each in the store. Knows no route and no line."""

from server.files.draft import RENDER, UPLOAD, Draft, Sealed
from server.files.record import MAX_FILENAME_CHARS, FilePlace, FileRecord, Purpose, clean_filename
from server.files.store import FileStore
from server.files.writer import FileWriter

__all__ = [
    "MAX_FILENAME_CHARS",
    "RENDER",
    "UPLOAD",
    "Draft",
    "FilePlace",
    "FileRecord",
    "FileStore",
    "FileWriter",
    "Purpose",
    "Sealed",
    "clean_filename",
]

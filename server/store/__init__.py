"""The server's durable state. Knows tables and files, not what they mean to a request."""

from server.store.engine import Store, open_store, path_of, reach
from server.store.sqlite_file import CorruptStoreError, StoreError, claim

__all__ = ["CorruptStoreError", "Store", "StoreError", "claim", "open_store", "path_of", "reach"]

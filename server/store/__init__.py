"""The server's durable state. Knows tables and files, not what they mean to a request."""

from server.store.engine import CorruptStoreError, Store, StoreError, open_store

__all__ = ["CorruptStoreError", "Store", "StoreError", "open_store"]

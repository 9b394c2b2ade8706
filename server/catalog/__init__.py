"""Which models this server has: one YAML per backend, read strictly. Knows no HTTP and no worker."""

from server.catalog.live import LiveCatalog
from server.catalog.problems import CatalogError, Problem
from server.catalog.reader import Catalog, read_catalog, read_files

__all__ = ["Catalog", "CatalogError", "LiveCatalog", "Problem", "read_catalog", "read_files"]

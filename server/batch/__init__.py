"""Durable batches: many requests in one file, run beside interactive ones, answered in files. Knows no HTTP."""

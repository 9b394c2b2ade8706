"""Durable batches: lines of a file are run as requests, each with one outcome that is never lost. Knows no HTTP."""

"""Measures two servers under the same load: who is measured, with what, and how it is told."""

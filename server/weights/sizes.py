"""Sizes in words, in the decimal units in which hubs and disks are told."""


def in_words(size_bytes: float) -> str:
    """`16.38 GB`, `7.6 MB`, `12 kB`."""
    if size_bytes >= 1e9:
        return f"{size_bytes / 1e9:.2f} GB"
    if size_bytes >= 1e6:
        return f"{size_bytes / 1e6:.1f} MB"
    return f"{size_bytes / 1e3:.0f} kB"

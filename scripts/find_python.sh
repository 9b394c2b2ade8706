#!/bin/sh
# Prints the Python to use: the first of the usual names that is 3.11 to 3.14 and can make virtual environments.
set -eu

for name in python3 python3.13 python3.12 python3.11 python3.14; do
    python=$(command -v "$name") || continue
    "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' 2>/dev/null || continue
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        echo "$python"
        exit 0
    fi
    incomplete=$python
done

if [ -n "${incomplete:-}" ]; then
    echo "$incomplete cannot make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2
else
    echo "Hearth needs Python 3.11 to 3.14; none was found (python3 here: $(python3 --version 2>/dev/null || echo none))" >&2
fi
exit 1

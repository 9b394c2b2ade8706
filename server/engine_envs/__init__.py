"""The engines' Python environments: which one fits this machine, whether it is complete, how it is made.

The API process imports nothing from them; it only needs to know their interpreter. Knows no command line.
"""

from server.engine_envs.environment import EngineEnvironment, EngineSettings, State, VersionError, python_for
from server.engine_envs.flavour import FLAVOURS, detect_flavour
from server.engine_envs.version import Version

__all__ = [
    "FLAVOURS",
    "EngineEnvironment",
    "EngineSettings",
    "State",
    "Version",
    "VersionError",
    "detect_flavour",
    "python_for",
]

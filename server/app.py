"""Composition root: the only place that constructs and wires. Read it to see what there is and in which order."""

import contextlib
import secrets
from collections.abc import AsyncIterator

from fastapi import FastAPI
from starlette.types import ASGIApp

from engines.contract.errors import EngineError
from server import envelope
from server.auth import Authentication
from server.catalog import Catalog
from server.deps import Services
from server.engine_envs import python_for
from server.gateway import Gateway
from server.http.context import RequestContext
from server.http.disconnect import CancelOnDisconnect
from server.http.draining import DrainHooks
from server.http.guards import Guards
from server.keys import KeyRing
from server.openai import ROUTERS as OPENAI_ROUTERS
from server.router import Router
from server.routes import ROUTERS as NATIVE_ROUTERS
from server.settings import Settings
from server.telemetry import Metrics
from server.workers.launch import Launcher
from server.workers.supervisor import Supervisor

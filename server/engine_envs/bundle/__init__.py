"""One bundle for machines without a network: the server, every wheel, and a program that installs them there."""

from server.engine_envs.bundle.make import BundleError, BundleOrder, make_bundle, try_bundle
from server.engine_envs.bundle.target import Target, TargetError, parse_target

__all__ = ["BundleError", "BundleOrder", "Target", "TargetError", "make_bundle", "parse_target", "try_bundle"]

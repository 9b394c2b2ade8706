"""Who is calling and what they may do."""

import enum

import msgspec


class Permission(enum.StrEnum):
    """Permissions a key can carry; the documented names."""

    MODELS_LIST = "models:list"
    MODELS_USE = "models:use"
    MODELS_MANAGE = "models:manage"
    API_KEYS_MANAGE = "api_keys:manage"
    ADMIN_ACCESS = "admin:access"


class Caller(msgspec.Struct, frozen=True):
    """The owner of a valid key. `models` is the allow-list of frontend slugs, None for all."""

    key_id: str
    name: str
    permissions: frozenset[Permission]
    models: frozenset[str] | None = None

    def may(self, permission: Permission) -> bool:
        """Whoever may see everything of the server may also manage its models."""
        is_implied = permission is Permission.MODELS_MANAGE and Permission.ADMIN_ACCESS in self.permissions
        return permission in self.permissions or is_implied

    def may_use_model(self, slug: str) -> bool:
        return self.models is None or slug in self.models

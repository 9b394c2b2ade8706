"""Field types that several bodies share: bounded numbers, names, values that come alone or in a list."""

from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from server.errors import invalid
from server.wire.problems import OURS

ModelName = Annotated[
    str, Field(min_length=1, max_length=200, description="Slug of a model of GET /v1/models")
]
FunctionName = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Int64 = Annotated[int, Field(ge=-(2**63), le=2**63 - 1)]
Penalty = Annotated[float, Field(ge=-2, le=2)]
StopString = Annotated[str, Field(min_length=1, max_length=256)]


class Body(BaseModel):
    """Base of everything in a request body: strict types; unknown fields are ignored (contract 15.17).

    Fields in `refused` would change the answer if we knew them; ignoring these would lie.
    """

    model_config = ConfigDict(strict=True, extra="ignore", allow_inf_nan=False)

    refused: ClassVar[dict[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _refuse_by_name(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name in cls.refused.keys() & data.keys():
                if data[name] is not None:
                    raise invalid(name, cls.refused[name])
        return data


def _text_or_list(value: object) -> str | None:
    if isinstance(value, str):
        return "~text"
    return "~list" if isinstance(value, list) else None


_Text = TypeVar("_Text")
_Item = TypeVar("_Item")
TextOrList = Annotated[
    Annotated[_Text, Tag("~text")] | Annotated[list[_Item], Tag("~list")],
    Discriminator(_text_or_list, custom_error_type=OURS, custom_error_message="must be a string or a list"),
]

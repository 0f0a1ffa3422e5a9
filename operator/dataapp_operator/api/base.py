"""What every model of the API shares.

Field names are snake_case in Python and camelCase on the wire. Models are frozen. Unknown fields are ignored when an
object is read from the cluster (an older operator may meet a newer object); the server has already refused or pruned
what the schema does not know.
"""

import re
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "dataapps.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

_DURATION = re.compile(r"([0-9]+)(h|m|s)")
_UNIT_SECONDS = {"h": 3600, "m": 60, "s": 1}

DURATION_PATTERN = r"^([0-9]{1,5}(h|m|s)){1,3}$"
Duration = Annotated[
    str,
    Field(
        pattern=DURATION_PATTERN,
        max_length=16,
        json_schema_extra={"x-message": "a duration is written like 30s, 10m or 1h30m"},
    ),
]
"""A length of time as people write it: ``30s``, ``10m``, ``1h30m``. Read it with :func:`seconds`."""

Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC with whole seconds. Made by :func:`timestamp`, read by :func:`instant`."""


class Model(BaseModel):
    """Base of all API models: frozen, camelCase on the wire."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, extra="ignore")

    def wire(self) -> dict[str, Any]:
        """The object as the API server stores it: camelCase, absent instead of null."""
        return self.model_dump(by_alias=True, exclude_none=True, mode="json")


def seconds(duration: str) -> int:
    """Seconds of a duration such as ``1h30m``."""
    return sum(int(number) * _UNIT_SECONDS[unit] for number, unit in _DURATION.findall(duration))


def timestamp(moment: datetime) -> str:
    """A moment as it is written into status (whole seconds, so that equal moments are equal text)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def instant(text: str) -> datetime:
    """The moment a status timestamp names."""
    return datetime.fromisoformat(text)

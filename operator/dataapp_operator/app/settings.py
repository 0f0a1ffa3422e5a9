"""Settings of the process, from its environment. The chart sets them; each has one place and one default."""

import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(Exception):
    """A setting is missing or cannot be read; the message says which and what it should look like."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set from outside."""

    front_image: str
    namespace: str
    identity: str
    log_level: str = "INFO"
    port: int = 8080
    workers: int = 10
    resync_seconds: float = 600.0
    lease: str = "dataapp-operator"
    lease_seconds: int = 15

    @classmethod
    def from_environment(cls, env: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment. Raises :class:`SettingsError`."""
        front = env.get("DATAAPP_FRONT_IMAGE", "")
        if not front:
            raise SettingsError(
                "DATAAPP_FRONT_IMAGE is not set: it names the image of the session counter that runs beside every app"
                " (the chart sets it from frontImage)"
            )
        level = env.get("DATAAPP_LOG_LEVEL", "INFO").upper()
        if level not in logging.getLevelNamesMapping():
            raise SettingsError(
                f"DATAAPP_LOG_LEVEL is {env['DATAAPP_LOG_LEVEL']!r}; it should be DEBUG, INFO, WARNING or ERROR"
            )
        return cls(
            front_image=front,
            namespace=env.get("POD_NAMESPACE") or "dataapp-system",
            identity=env.get("POD_NAME") or socket.gethostname(),
            log_level=level,
            port=_number(env, "DATAAPP_PORT", 8080),
            workers=_number(env, "DATAAPP_WORKERS", 10),
            lease_seconds=_number(env, "DATAAPP_LEASE_SECONDS", 15),
            resync_seconds=float(_number(env, "DATAAPP_RESYNC_SECONDS", 600)),
        )


def _number(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name) or str(default)
    if not text.isdecimal() or int(text) == 0:
        raise SettingsError(f"{name} is {text!r}; it should be a whole number above zero")
    return int(text)

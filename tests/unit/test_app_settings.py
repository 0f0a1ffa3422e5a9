"""The process's settings: defaults, and a sentence for each that cannot be read."""

import pytest

from dataapp_operator.app.settings import Settings, SettingsError

FRONT = {"DATAAPP_FRONT_IMAGE": "front@sha256:1"}


def test_defaults() -> None:
    settings = Settings.from_environment(FRONT)
    assert (settings.port, settings.workers, settings.resync_seconds) == (8080, 10, 600.0)
    assert (settings.namespace, settings.lease, settings.log_level) == ("dataapp-system", "dataapp-operator", "INFO")
    assert settings.identity


def test_everything_given() -> None:
    settings = Settings.from_environment(
        FRONT
        | {
            "POD_NAME": "op-1",
            "POD_NAMESPACE": "ops",
            "DATAAPP_LOG_LEVEL": "debug",
            "DATAAPP_PORT": "9000",
            "DATAAPP_WORKERS": "3",
            "DATAAPP_RESYNC_SECONDS": "60",
        }
    )
    assert settings == Settings(
        front_image="front@sha256:1",
        namespace="ops",
        identity="op-1",
        log_level="DEBUG",
        port=9000,
        workers=3,
        resync_seconds=60.0,
    )


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "DATAAPP_FRONT_IMAGE is not set"),
        ({"DATAAPP_FRONT_IMAGE": ""}, "DATAAPP_FRONT_IMAGE is not set"),
        (FRONT | {"DATAAPP_PORT": "http"}, "DATAAPP_PORT is 'http'; it should be a whole number above zero"),
        (FRONT | {"DATAAPP_WORKERS": "0"}, "DATAAPP_WORKERS is '0'"),
        (FRONT | {"DATAAPP_RESYNC_SECONDS": "-5"}, "DATAAPP_RESYNC_SECONDS is '-5'"),
        (FRONT | {"DATAAPP_LOG_LEVEL": "chatty"}, "DATAAPP_LOG_LEVEL is 'chatty'"),
        (FRONT | {"DATAAPP_PORT": "²"}, "DATAAPP_PORT is '²'"),
    ],
)
def test_what_cannot_be_read_is_said(env: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says.replace("(", r"\(")):
        Settings.from_environment(env)

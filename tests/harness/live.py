"""Which live session speaks to which app."""

from collections.abc import Mapping

from tests.harness.cluster import framework_of
from tests.harness.live_shiny import LiveShiny
from tests.harness.live_streamlit import LiveStreamlit
from tests.harness.live_websocket import LiveWebsocket
from tests.harness.sessions import LiveSession

SESSIONS: Mapping[str, type[LiveSession]] = {
    "streamlit": LiveStreamlit,
    "shiny-r": LiveShiny,
    "shiny-python": LiveShiny,
    "websocket": LiveWebsocket,
}
"""By framework; `websocket` is the plain websocket app, whose framework is FastAPI to the operator."""


def session_of(image_key: str) -> type[LiveSession]:
    """The live session of an example app, by the name of its image."""
    framework = framework_of(image_key)
    return SESSIONS["websocket" if framework == "fastapi" else framework]

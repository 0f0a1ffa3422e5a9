"""An operator that reads no repository (`sources.enabled: false`) still decides about apps that have an image."""

from typing import TYPE_CHECKING, cast

import pytest

from dataapp_operator.app.runtime import Runtime
from dataapp_operator.app.settings import Settings, SourceSettings
from dataapp_operator.kube.kinds import APPBUILD, APPSOURCE, JOB
from dataapp_operator.kube.port import Cluster
from dataapp_operator.web.metrics import Metrics
from tests.unit.control_rig import APP, CLASS, GATEWAY_OBJECT, dataapp

if TYPE_CHECKING:
    import aiohttp


@pytest.mark.asyncio
async def test_what_is_not_watched_counts_as_not_there() -> None:
    settings = Settings(front_image="front", namespace="system", identity="me", sources=SourceSettings(enabled=False))
    runtime = Runtime(cast("Cluster", None), cast("aiohttp.ClientSession", None), settings, Metrics())
    assert not {APPSOURCE, APPBUILD, JOB} & set(runtime.kinds)
    for version, manifest in enumerate((CLASS, GATEWAY_OBJECT, dataapp()), 1):
        runtime.store.put(manifest | {"metadata": manifest["metadata"] | {"resourceVersion": str(version)}})
    observed = runtime.observer.observe(APP, {})
    assert observed is not None
    assert observed.builds == {}
    await runtime.close()

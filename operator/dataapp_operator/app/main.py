"""The process: take the Lease, fill the store, watch, work; stop in order, or exit and be started again.

Crash-only: everything that matters is in the cluster. Whenever something is lost that the process cannot do without
(the Lease, the watches, a worker), it exits with a sentence and the kubelet starts it again.
"""

import asyncio
import logging
import signal
import sys
from contextlib import AsyncExitStack

import aiohttp
import kopf

from dataapp_operator.app import handlers
from dataapp_operator.app.runtime import Runtime
from dataapp_operator.app.settings import Settings, SettingsError
from dataapp_operator.kube.client import WRITE_SECONDS, ApiCluster
from dataapp_operator.kube.errors import KubeError
from dataapp_operator.kube.lease import LeaseHolder, Terms
from dataapp_operator.kube.transport import Transport
from dataapp_operator.web.metrics import Metrics
from dataapp_operator.web.server import Health, WebServer

log = logging.getLogger("dataapp_operator")

_WORKER = "a worker"


def main() -> int:
    """Run the operator; the console script. Returns the exit code."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"dataapp-operator cannot start: {error}", file=sys.stderr)  # noqa: T201 - there is no log yet
        return 2
    logging.basicConfig(level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf").setLevel(max(logging.getLevelName(settings.log_level), logging.WARNING))
    try:
        return asyncio.run(run(settings))
    except KubeError as error:
        log.error("stopping: %s", error)  # noqa: TRY400 - a sentence for people, not a stack
        return 1


class FrontDoor:
    """What the process tells about itself, before, while and after it works."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.working: Runtime | None = None

    def server(self, port: int) -> WebServer:
        """Alive from the start (waiting for the Lease is no illness); ready once it works."""
        return WebServer(alive={"work": self._alive}, ready={"work": self._ready}, metrics=self._render, port=port)

    def _alive(self) -> Health:
        return self.working.alive() if self.working else Health(ok=True, detail="not working yet")

    def _ready(self) -> Health:
        return Health(
            ok=self.working is not None, detail="working" if self.working else "waiting for the Lease or the LISTs"
        )

    def _render(self) -> bytes:
        return self.working.render_metrics() if self.working else self._metrics.render()


async def run(settings: Settings) -> int:
    """Everything between start and end of the process. Returns the exit code."""
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        transport = await stack.enter_async_context(await Transport.open(on_call=metrics.api_call))
        front_door = FrontDoor(metrics)
        await stack.enter_async_context(front_door.server(settings.port))
        terms = Terms.lasting(settings.lease_seconds)
        holder = LeaseHolder(
            ApiCluster(transport, guard=lambda: None, write_seconds=terms.retry),
            name=settings.lease,
            namespace=settings.namespace,
            identity=settings.identity,
            terms=terms,
        )
        log.info("waiting for the Lease %s/%s", settings.namespace, settings.lease)
        await holder.acquire()
        stack.push_async_callback(holder.release)
        # No cookies: every probe is a new visitor. The bound keeps a thousand checks from opening a thousand sockets.
        client = await stack.enter_async_context(
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), connector=aiohttp.TCPConnector(limit=64))
        )
        cluster = ApiCluster(transport, guard=holder.check, write_seconds=terms.margin)
        runtime = Runtime(cluster, client, settings, metrics)
        stack.push_async_callback(runtime.close)
        if runtime.archives is not None:
            await stack.enter_async_context(runtime.archives)
        return await _serve(settings, holder, runtime, front_door)


async def _serve(settings: Settings, holder: LeaseHolder, runtime: Runtime, front_door: FrontDoor) -> int:
    """Watch and work until something ends it."""
    kinds = await runtime.fill()
    stop, watching, told = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tasks = {
        asyncio.create_task(told.wait()): "what it was told to do: it got a signal",
        asyncio.create_task(holder.keep()): "the Lease",
        asyncio.create_task(holder.lost.wait()): "the Lease",
        asyncio.create_task(runtime.restart_wanted.wait()): "a restart",
        asyncio.create_task(runtime.resync_forever()): "the resync",
        asyncio.create_task(runtime.catch_up_forever()): "the resync after a listing",
        asyncio.create_task(
            kopf.operator(
                registry=handlers.registry(kinds, on_event=runtime.on_event),
                settings=handlers.settings(kinds),
                clusterwide=True,
                standalone=True,
                identity=settings.identity,  # type: ignore[arg-type]  # a str; without it Kopf wants a user name
                stop_flag=stop,
                ready_flag=watching,
            )
        ): "the watches",
    }
    begun = asyncio.create_task(watching.wait())
    done, pending = await asyncio.wait({begun, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if done == {begun}:
        _listen_to_signals(told)
        for line in runtime.lines:
            tasks |= dict.fromkeys(line.start(), _WORKER)
        front_door.working = runtime
        log.info("working as %s on %d kinds", settings.identity, len(kinds))
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    done.discard(begun)
    front_door.working = None
    code = 0
    for task in done:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("stopping, since %s ended: %s", tasks[task], error)
            code = 1
        else:
            log.info("stopping: %s ended", tasks[task])
    # A pass that has begun is finished: a write that is given up half-way may land after the next process has begun.
    runtime.shut_down()
    working = {task for task in pending if tasks.get(task) == _WORKER}
    if working:
        await asyncio.wait(working, timeout=WRITE_SECONDS)
    await runtime.close()
    stop.set()
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return code


def _listen_to_signals(told: asyncio.Event) -> None:
    """Be told to stop, in the place of Kopf, which would wait five seconds for our workers and then cancel them."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)


if __name__ == "__main__":
    sys.exit(main())

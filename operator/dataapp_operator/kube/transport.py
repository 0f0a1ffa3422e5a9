"""One request to the API server and its answer: credentials, time limits, counting, and errors translated.

Built on the request and credential machinery of `kubernetes.aio` alone. Its typed API classes are never touched:
loading them costs some 100 MiB in the process. Nothing is retried here; the work queue does that, and knows the key and
the pace.
"""

from __future__ import annotations

import json
import os.path
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import aiohttp
from kubernetes.aio import config as untyped_config
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from dataapp_operator.kube.errors import Transient, translate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from dataapp_operator.kube.kinds import Kind

CONNECTIONS = 16  # at a time: a herd of reconciles must not open a thousand TLS connections
CONNECT_SECONDS = 5.0
_HOME_KUBECONFIG = os.path.expanduser("~/.kube/config")  # noqa: PTH111 - pathlib has no word for a plain string
_config: Any = untyped_config
RELOAD_SECONDS = 10.0  # credentials refused are read again at most this often


@dataclass(frozen=True, slots=True)
class Request:
    """One call: `verb` is the word it is counted under, `seconds` how long the whole of it may take."""

    verb: str
    kind: Kind
    method: str
    path: str
    seconds: float
    query: Mapping[str, str]
    body: Mapping[str, Any] | None = None
    content_type: str = "application/json"


class Transport:
    """A connection pool to one API server, opened by `open` and to be closed by `close` (or `async with`).

    `on_call` is told (verb, plural, code) of every call; code is the HTTP status, or 'timeout', or 'unreachable'.
    """

    def __init__(self, configuration: Any, *, kubeconfig: str | None, on_call: Callable[[str, str, str], None]) -> None:
        self._configuration = configuration
        self._kubeconfig = kubeconfig
        self._on_call = on_call
        self._client: Any = ApiClient(configuration)
        self._client.user_agent = "dataapp-operator"
        self._reloaded = time.monotonic()

    @classmethod
    async def open(
        cls, *, kubeconfig: str | None = None, on_call: Callable[[str, str, str], None] = lambda *_: None
    ) -> Self:
        """Connect by the file given, else $KUBECONFIG, else the pod's service account, else ~/.kube/config."""
        configuration: Any = Configuration()
        configuration.connection_pool_maxsize = CONNECTIONS
        configuration.retries = None
        source = kubeconfig or os.environ.get("KUBECONFIG") or None
        if source is None and not os.environ.get("KUBERNETES_SERVICE_HOST"):
            source = _HOME_KUBECONFIG
        if source is None:
            # Reads the token again every minute: the kubelet renews the file.
            _config.load_incluster_config(client_configuration=configuration)
        else:
            await _config.load_kube_config(config_file=source, client_configuration=configuration, persist_config=False)
        return cls(configuration, kubeconfig=source, on_call=on_call)

    async def close(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def json(self, request: Request) -> dict[str, Any]:
        """The answer as an object; raises the errors of `kube.errors`."""
        body = await self._send(request)
        try:
            answer: dict[str, Any] = json.loads(body)
        except ValueError as error:
            message = "what answers for the API server does not answer in JSON: is there a proxy in between?"
            raise Transient(message) from error
        return answer

    async def text(self, request: Request) -> str:
        """The answer as text (logs); bytes that are not UTF-8 are shown as U+FFFD."""
        return (await self._send(request)).decode(errors="replace")

    async def _send(self, request: Request) -> bytes:
        code = "unreachable"
        try:
            status, body, headers = await self._exchange(request)
            code = str(status)
        except TimeoutError as error:
            code = "timeout"
            message = f"the API server did not answer within {request.seconds:g} s"
            raise Transient(message) from error
        except (aiohttp.ClientError, OSError) as error:
            message = f"the API server cannot be reached: {error}"
            raise Transient(message) from error
        finally:
            self._on_call(request.verb, request.kind.plural, code)
        if 200 <= status < 300:  # noqa: PLR2004 - the class of HTTP codes
            return body
        if status == 401:  # noqa: PLR2004
            await self._reload()
        raise translate(request.kind, status, body.decode(errors="replace"), retry_after=headers.get("Retry-After"))

    async def _exchange(self, request: Request) -> tuple[int, bytes, Mapping[str, str]]:
        """Send and read to the end; the time limit covers both."""
        serialized = await self._client.param_serialize(
            method=request.method,
            resource_path=request.path,
            query_params=list(request.query.items()),
            header_params={"Accept": "application/json", "Content-Type": request.content_type},
            body=request.body,
            auth_settings=["BearerToken"],
        )
        limit = aiohttp.ClientTimeout(total=request.seconds, connect=min(CONNECT_SECONDS, request.seconds))
        response = await self._client.call_api(*serialized, _request_timeout=limit)
        return response.status, await response.read(), response.headers

    async def _reload(self) -> None:
        """Read a kubeconfig's credentials again (a token file or a login program may have new ones by now)."""
        now = time.monotonic()
        if self._kubeconfig is None or now - self._reloaded < RELOAD_SECONDS:
            return
        self._reloaded = now
        try:
            await _config.load_kube_config(
                config_file=self._kubeconfig, client_configuration=self._configuration, persist_config=False
            )
        except (OSError, untyped_config.ConfigException) as error:
            message = f"the credentials in {self._kubeconfig} cannot be read: {error}"
            raise Transient(message) from error

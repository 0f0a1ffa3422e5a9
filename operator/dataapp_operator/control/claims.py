"""Who has which host: the first claim wins, and the second is told who holds it.

A claim is what stands in ``DataApp.status.environments[].host``. The index is kept beside the store, so that asking
costs the same with ten apps and with a thousand.
"""

from typing import Any

from dataapp_operator.control.background import AppKey

Json = dict[str, Any]


class HostClaims:
    """Claims by host. Of two apps that both have one in status, the older app's counts."""

    def __init__(self) -> None:
        self._hosts: dict[AppKey, dict[str, str]] = {}
        self._holders: dict[str, set[AppKey]] = {}
        self._born: dict[AppKey, str] = {}

    def update(self, app: AppKey, manifest: Json | None) -> None:
        """Take in the newest state of an app; None: it is gone."""
        for host in self._hosts.pop(app, {}):
            self._holders[host].discard(app)
        if manifest is None:
            self._born.pop(app, None)
            return
        self._born[app] = manifest["metadata"].get("creationTimestamp", "")
        environments = (manifest.get("status") or {}).get("environments") or []
        claimed = {e["host"]: e["name"] for e in environments if e.get("host")}
        self._hosts[app] = claimed
        for host in claimed:
            self._holders.setdefault(host, set()).add(app)

    def holder(self, app: AppKey, host: str) -> str | None:
        """Who holds a host against this app, in words."""
        mine = host in self._hosts.get(app, {})
        for other in sorted(self._holders.get(host, ())):
            if other != app and (not mine or self._age(other) < self._age(app)):
                return f"app {other[1]!r} in namespace {other[0]!r} ({self._hosts[other][host]})"
        return None

    def _age(self, app: AppKey) -> tuple[str, AppKey]:
        return self._born.get(app, ""), app

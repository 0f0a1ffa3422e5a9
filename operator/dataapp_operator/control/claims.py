"""Who has which host: the first claim wins, and the second is told who holds it.

A claim is what stands in ``DataApp.status.environments[].host``. The index is kept beside the store, so that asking
costs the same with ten apps and with a thousand.
"""

from collections.abc import Iterable
from typing import Any

from dataapp_operator.control.background import AppKey

Json = dict[str, Any]


class HostClaims:
    """Claims by host. Of two apps that both have one in status, the older app's counts."""

    def __init__(self) -> None:
        self._hosts: dict[AppKey, dict[str, str]] = {}
        self._holders: dict[str, set[AppKey]] = {}
        self._born: dict[AppKey, str] = {}
        self._previews: dict[AppKey, set[str]] = {}
        self._previewers: dict[str, set[AppKey]] = {}

    def update(self, app: AppKey, manifest: Json | None) -> None:
        """Take in the newest state of an app; None: it is gone."""
        for host in self._hosts.pop(app, {}):
            self._holders[host].discard(app)
        if manifest is None:
            self._born.pop(app, None)
            self.claim_previews(app, ())
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

    def claim_previews(self, app: AppKey, hosts: Iterable[str]) -> None:
        """The preview hosts that follow from the app's classes, a star standing for the release. The older app has them."""
        for host in self._previews.pop(app, ()):
            self._previewers[host].discard(app)
        claimed = set(hosts)
        if claimed:
            self._previews[app] = claimed
        for host in claimed:
            self._previewers.setdefault(host, set()).add(app)

    def previewer(self, app: AppKey, host: str) -> str | None:
        """Whose releases are to be seen under these preview hosts instead of this app's, in words."""
        older = [other for other in self._previewers.get(host, ()) if self._age(other) < self._age(app)]
        return f"app {min(older)[1]!r} in namespace {min(older)[0]!r}" if older else None

    def _age(self, app: AppKey) -> tuple[str, AppKey]:
        return self._born.get(app, ""), app

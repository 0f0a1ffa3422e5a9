"""Whether a service account may do what is done on its behalf.

The operator's own rights are wide. Before it writes apps for an AppSource it asks the API server what the source's
service account may do, so that nobody gets through a repository what they could not do themselves. It asks; it does not
impersonate, because a right to impersonate is a right to everything.
"""

from collections.abc import Callable
from datetime import datetime, timedelta

from dataapp_operator.kube.kinds import DATAAPP, SUBJECTACCESSREVIEW
from dataapp_operator.kube.port import Cluster

VERBS = ("create", "patch", "delete")
"""``delete`` too: an app whose manifest is gone is marked, and that ends it."""
KEEP_SECONDS = 60.0
DENIED_SECONDS = 5.0
"""A refusal is not kept for long: somebody may be giving the right at this moment, and waits."""


class AccessReviews:
    """Asks what service accounts may do with the DataApps of their namespace; a yes is kept for a minute, a no for seconds."""

    def __init__(self, cluster: Cluster, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._known: dict[tuple[str, str], tuple[datetime, tuple[str, ...]]] = {}

    async def lacking(self, namespace: str, account: str) -> tuple[str, ...]:
        """The verbs that the account may not use. Raises the errors of ``kube.errors``."""
        now = self._now()
        self._known = {key: known for key, known in self._known.items() if known[0] > now}
        known = self._known.get((namespace, account))
        if known is not None:
            return known[1]
        lacking = tuple([verb for verb in VERBS if not await self._allowed(namespace, account, verb)])
        keep = DENIED_SECONDS if lacking else KEEP_SECONDS
        self._known[namespace, account] = (now + timedelta(seconds=keep), lacking)
        return lacking

    async def _allowed(self, namespace: str, account: str, verb: str) -> bool:
        review = {
            "apiVersion": SUBJECTACCESSREVIEW.api_version,
            "kind": SUBJECTACCESSREVIEW.kind,
            "metadata": {},  # it is not kept, so it has no name: the API server refuses one that has
            "spec": {
                "user": f"system:serviceaccount:{namespace}:{account}",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
                "resourceAttributes": {
                    "namespace": namespace,
                    "verb": verb,
                    "group": DATAAPP.group,
                    "version": DATAAPP.version,
                    "resource": DATAAPP.plural,
                },
            },
        }
        answer = await self._cluster.create(review)
        return (answer.get("status") or {}).get("allowed") is True

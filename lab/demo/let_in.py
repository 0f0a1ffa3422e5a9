"""What a platform does once: it lets two repositories in. The demo begins clean: what an earlier one left is removed."""

from lab.demo.stage import NAMESPACE, Stage
from lab.demo.teams import Team
from tests.harness.cluster import Kube

POLL = "20s"
"""How often the repositories are looked at, when nobody asks for it."""


def prepare(stage: Stage, both: tuple[Team, ...]) -> None:
    """A node, an operator, two repositories."""
    stage.title("the platform, once: two repositories are let in")
    kube = stage.kube
    if kube.get("namespace", NAMESPACE) is None:
        kube.run("create", "namespace", NAMESPACE)
    _clear_away(kube)
    nodes = kube.run("get", "nodes", "--no-headers").split()
    stage.expect(nodes[1] == "Ready", f"the cluster has a node {nodes[0]!r}, {nodes[1]}, Kubernetes {nodes[4]}")
    operator = kube.get("deployment", "dataapp-operator", "dataapp-system") or {}
    replicas = (operator.get("status") or {}).get("readyReplicas", 0)
    stage.expect(replicas == 1, f"the operator runs as a pod from its chart: readyReplicas {replicas}")
    for team in both:
        _let_in(stage, team)
        stage.say(f"team {team.name}: AppSource {team.source} reads {team.repo.url} every {POLL}")


def _clear_away(kube: Kube) -> None:
    """What an earlier demo left goes at once: nobody is asked for who may have it open."""
    kube.run("-n", NAMESPACE, "delete", "appsources", "--all", "--timeout=60s")
    kube.run("-n", NAMESPACE, "delete", "dataapps", "--all", "--wait=false")
    for app in kube.list("dataapps", NAMESPACE):
        name = app["metadata"]["name"]
        kube.run("-n", NAMESPACE, "annotate", "dataapp", name, "dataapps.dev/end-sessions=now", check=False)
    kube.run("-n", NAMESPACE, "wait", "dataapps", "--all", "--for=delete", "--timeout=180s")


def _let_in(stage: Stage, team: Team) -> None:
    """The credential, the right to write apps, the source."""
    stage.kube.apply(team.repo.secret_manifest(NAMESPACE, f"{team.name}-git"))
    stage.kube.apply(
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "apps-from-git", "namespace": NAMESPACE},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "ClusterRole",
                "name": "dataapp-operator-edit",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": NAMESPACE}],
        }
    )
    stage.kube.apply(
        {
            "apiVersion": "dataapps.dev/v1alpha1",
            "kind": "AppSource",
            "metadata": {"name": team.source, "namespace": NAMESPACE},
            "spec": {
                "url": team.repo.url,
                "paths": ["*/dataapp.yaml"],
                "interval": POLL,
                "secretRef": {"name": f"{team.name}-git"},
            },
        }
    )

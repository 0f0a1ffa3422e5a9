"""Where the API server keeps each kind, and how a manifest tells its kind."""

import pytest

from dataapp_operator.kube import kinds


@pytest.mark.parametrize(
    ("kind", "arguments", "path"),
    [
        (kinds.POD, ("ns", "p", "log"), "/api/v1/namespaces/ns/pods/p/log"),
        (kinds.POD, (), "/api/v1/pods"),
        (kinds.REPLICASET, ("ns",), "/apis/apps/v1/namespaces/ns/replicasets"),
        (kinds.DATAAPP, ("ns", "a", "status"), "/apis/dataapps.dev/v1alpha1/namespaces/ns/dataapps/a/status"),
        (kinds.ENVIRONMENTCLASS, (None, "c"), "/apis/dataapps.dev/v1alpha1/environmentclasses/c"),
    ],
)
def test_path_follows_from_the_kind(kind, arguments, path):
    assert kind.path(*arguments) == path


def test_path_refuses_a_namespace_too_many_or_too_few():
    with pytest.raises(ValueError, match="EnvironmentClass has no namespace"):
        kinds.ENVIRONMENTCLASS.path("ns", "c")
    with pytest.raises(ValueError, match="Pod 'p' lives in a namespace"):
        kinds.POD.path(None, "p")


@pytest.mark.parametrize("kind", kinds.ALL, ids=str)
def test_every_kind_is_found_by_what_its_manifest_declares(kind):
    assert kinds.kind_of({"apiVersion": kind.api_version, "kind": kind.kind}) is kind


@pytest.mark.parametrize("manifest", [{}, {"apiVersion": "v1", "kind": "ConfigMap"}, {"kind": "Pod"}])
def test_a_manifest_of_another_kind_is_refused(manifest):
    with pytest.raises(ValueError, match="no kind of ours"):
        kinds.kind_of(manifest)

"""What Kubernetes, runtimes and gateways say, in words for an author. The sentences were seen on a real cluster."""

import pytest

from dataapp_operator.plan import words

REFUSED = (
    'pods "tight-sandbox-1-s0-x7k2p" is forbidden: exceeded quota: team, requested: requests.memory=416Mi, used:'
    " requests.memory=0, limited: requests.memory=100Mi"
)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            (
                "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, preemption: 0/1 nodes are available:"
                " 1 Preemption is not helpful for scheduling."
            ),
            "not enough free CPU",
        ),
        ("0/3 nodes are available: 1 Too many pods, 2 Insufficient memory. preemption: …", "as many pods"),
        ("0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", "not enough nvidia.com/gpu"),
        (
            "0/1 nodes are available: 1 node(s) had untolerated taint(s). preemption: 0/1 nodes are available.",
            "0/1 nodes are available: 1 node(s) had untolerated taint(s)",
        ),
    ],
)
def test_why_no_node_takes_a_pod(said, told):
    answer = words.unschedulable(said)
    assert told in answer
    assert "reemption" not in answer
    assert not answer.endswith(".")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("failed to resolve image: registry.lab.svc:5000/apps/x@sha256:00: not found", "does not have it (not found)"),
        ('Back-off pulling image "r.invalid/x": ErrImagePull: dial tcp: lookup r.invalid: no such host', "cannot be found"),
        ("pull access denied, repository does not exist or may require authorization", "access denied"),
        ("unexpected status from HEAD request to https://r/v2/x: 403 Forbidden", "access denied"),
        ("dial tcp 10.0.0.9:5000: connect: connection refused", "its registry does not answer"),
        ("dial tcp 10.0.0.9:5000: i/o timeout", "its registry does not answer"),
        ("no match for platform in manifest: not found", "another kind of machine"),
        ('Back-off pulling image "r/x": ErrImagePull: something new.', "something new"),
        ("", "the registry did not give it"),
    ],
)  # fmt: skip
def test_why_an_image_cannot_be_fetched(said, told):
    assert told in words.pull(said)


def test_a_digest_is_not_taken_for_a_status():
    assert "not found" in words.pull("registry/x@sha256:a403b401: not found")


def test_a_quota_is_told_with_its_figures_and_what_to_do():
    told = words.quota(REFUSED)
    assert told is not None
    assert "requested: requests.memory=416Mi" in told
    assert "ask the platform team for a larger quota" in told
    assert "tight-sandbox-1-s0-x7k2p" not in told
    assert words.quota('pods "x" is forbidden: maximum memory usage per Container is 200Mi') is None


def test_a_refusal_is_told_without_the_object_it_begins_with():
    said = 'pods "x-1" is forbidden: maximum memory usage per Container is 200Mi, but limit is 384Mi'
    assert words.without_subject(said) == "maximum memory usage per Container is 200Mi, but limit is 384Mi"
    assert words.without_subject("something else") == "something else"


def test_a_gateways_reason_is_explained_and_its_message_kept():
    assert words.gateway("NotAllowedByListeners").endswith("routes from this namespace (NotAllowedByListeners)")
    told = words.gateway("NoMatchingListenerHostname: no hostname matches")
    assert told == "none of its listeners is for this host (NoMatchingListenerHostname: no hostname matches)"
    assert words.gateway("BackendNotFound: service x") == "BackendNotFound: service x"

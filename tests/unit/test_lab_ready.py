"""What a person is told when a component does not come up, and when somebody else holds its port."""

import os
import socket

import pytest

from lab import ready
from lab.context import Lab, LabError
from tests.unit.lab_rig import lab_in


@pytest.fixture
def lab(tmp_path) -> Lab:
    return lab_in(tmp_path)


def test_a_component_that_dies_is_reported_at_once_with_the_end_of_its_log(lab):
    one = ready.Component("dier", ["sh", "-c", "echo cannot read my certificate >&2; exit 1"], [], usually=1)
    with pytest.raises(
        LabError, match=r"dier ended right after its start(.*\n)*    cannot read my certificate(.*\n)*.*lab-down"
    ):
        ready.ensure(lab, one, lambda _lab, _name: False)


def test_a_component_that_never_answers_is_reported_at_the_deadline(lab):
    lab.start("mute", ["sleep", "60"])
    with pytest.raises(LabError, match=r"mute was not ready after 0 s(.*\n)*try this"):
        ready.wait(lab, "mute", lambda: False, seconds=0.2, hint="try this")
    lab.stop("mute")


def test_a_taken_port_names_who_has_it(lab):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(
            LabError, match=rf"etcd needs port {port} on 127\.0\.0\.1, which .*\(pid {os.getpid()}\) has taken"
        ):
            ready.need_ports(lab, "etcd", [("127.0.0.1", port)])


def test_an_answering_component_is_left_alone(lab):
    one = ready.Component("steady", ["sleep", "61"], [], usually=1)
    assert ready.ensure(lab, one, lambda _lab, _name: True)
    assert not ready.ensure(lab, one, lambda _lab, _name: True)
    lab.stop("steady")


def test_a_dead_health_port_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not ready.http(f"http://127.0.0.1:{port}/healthz")

"""kubectl's complaints, in words for the person who asked."""

import pytest

from dataapp_operator.cli import complaints
from dataapp_operator.cli.errors import CliError, Conflict, Denied, NotFound, Unreachable

LOG = (
    'E1128 18:00:00.123456   99 memcache.go:265] "Unhandled Error" err="couldn\'t get current server API group list"\n'
)
FORBIDDEN = (
    'Error from server (Forbidden): dataapps.dataapps.dev "sales" is forbidden: User "jane" cannot patch resource "dataapps"'
    ' in API group "dataapps.dev" in the namespace "analytics"'
)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ('Error from server (NotFound): dataapps.dataapps.dev "sales" not found', NotFound),
        ('Error from server (Conflict): Operation cannot be fulfilled on dataapps.dataapps.dev "sales": …', Conflict),
        (FORBIDDEN, Denied),
        ("error: You must be logged in to the server (Unauthorized)", Denied),
        ('error: the server doesn\'t have a resource type "dataapps"', Denied),
        (LOG * 5 + "The connection to the server 127.0.0.1:6443 was refused - did you specify …?", Unreachable),
        ("Unable to connect to the server: dial tcp: lookup k8s.example.org: no such host", Unreachable),
        ("Unable to connect to the server: net/http: TLS handshake timeout", Unreachable),
        ("Error from server (ServiceUnavailable): the server is currently unable to handle the request", Unreachable),
        ('error: context "nowhere" does not exist', CliError),
        ("", CliError),
    ],
)
def test_kinds(said: str, kind: type[CliError]) -> None:
    assert type(complaints.failure(said, 1)) is kind


def test_who_may_not_is_told_what_and_where() -> None:
    words = str(complaints.failure(FORBIDDEN, 1))
    assert words.startswith("you (jane) may not patch dataapps in the namespace analytics.")
    everywhere = FORBIDDEN.replace(' in the namespace "analytics"', " at the cluster scope")
    assert "may not patch dataapps in this cluster" in str(complaints.failure(everywhere, 1))
    assert str(complaints.failure("Error from server (Forbidden): no", 1)) == (
        "you may not do this: Error from server (Forbidden): no"
    )


def test_no_line_of_kubectls_log_is_told_if_it_says_anything_else() -> None:
    words = str(complaints.failure(LOG * 3 + "The connection to the server was refused", 1))
    assert words.startswith("the cluster does not answer: The connection to the server was refused. ")
    assert "memcache" not in words
    assert "memcache" in str(complaints.failure(LOG, 1))


def test_what_is_not_understood_is_told_as_it_was_said() -> None:
    assert str(complaints.failure("error: hm\n", 1)) == "kubectl says: error: hm"
    assert str(complaints.failure("", -9)) == "kubectl says: nothing, and ended with code -9"

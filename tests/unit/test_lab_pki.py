"""Certificates heal: what is missing, cut short or signed by another authority is made again, and nothing else."""

import shutil
import ssl

import pytest

from lab import pki
from lab.context import Lab
from tests.unit.lab_rig import lab_in


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Lab:
    """One with all its certificates, made once: openssl is started forty times for it. Nobody changes it."""
    made = lab_in(tmp_path_factory.mktemp("whole"))
    pki.ensure(made)
    return made


@pytest.fixture
def lab(tmp_path, whole) -> Lab:
    """A copy of that one, to be damaged."""
    made = lab_in(tmp_path)
    shutil.copytree(whole.state, made.state, dirs_exist_ok=True)
    return made


def _contents(lab: Lab) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in pki.directory(lab).iterdir() if path.suffix in (".crt", ".key")}


def _changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {name for name in after if before.get(name) != after[name]}


def test_a_second_run_changes_nothing(lab):
    before = _contents(lab)
    pki.ensure(lab)
    assert _contents(lab) == before


@pytest.mark.parametrize("damage", ["missing", "half", "empty"])
@pytest.mark.parametrize("suffix", ["crt", "key"])
def test_only_a_damaged_pair_is_made_again(lab, damage, suffix):
    before = _contents(lab)
    path = pki.directory(lab) / f"scheduler.{suffix}"
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 0 if damage == "empty" else 150])
    pki.ensure(lab)
    assert _changed(before, _contents(lab)) == {"scheduler.crt", "scheduler.key"}


def test_a_new_authority_signs_everything_anew(lab):
    before = _contents(lab)
    pki.key(lab, pki.CA).unlink()
    pki.ensure(lab)
    assert _changed(before, _contents(lab)) == set(before) - {"service-accounts.key"}


def test_a_certificate_of_another_authority_is_replaced(lab, tmp_path):
    other = lab_in(tmp_path / "other")
    pki.ensure(other)
    for suffix in ("crt", "key"):
        (pki.directory(lab) / f"proxy.{suffix}").write_bytes((pki.directory(other) / f"proxy.{suffix}").read_bytes())
    before = _contents(lab)
    pki.ensure(lab)
    assert _changed(before, _contents(lab)) == {"proxy.crt", "proxy.key"}


def test_strict_verifiers_accept_the_chain(lab):
    """Python 3.13 verifies strictly by default: key usage and key identifiers have to be there."""
    context = ssl.create_default_context(cafile=str(pki.cert(lab, pki.CA)))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pki.cert(lab, "apiserver"), pki.key(lab, "apiserver"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = context.wrap_bio(to_client, to_server, server_hostname="10.251.0.1")
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    pending = [client_side, server_side]
    while pending:
        side = pending.pop(0)
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            pending.append(side)
    assert client_side.getpeercert()


def test_keys_and_kubeconfigs_are_for_the_owner_only(lab):
    private = [*pki.directory(lab).glob("*.key"), *pki.directory(lab).glob("*.kubeconfig"), lab.kubeconfig]
    assert len(private) > 10
    assert {path.stat().st_mode & 0o077 for path in private} == {0}
    assert pki.directory(lab).stat().st_mode & 0o077 == 0


def _services(lab: Lab) -> dict[str, bytes]:
    place = pki.directory(lab) / "services"
    return {path.name: path.read_bytes() for path in place.iterdir() if path.suffix in (".crt", ".key")}


def test_the_servers_beside_the_cluster_have_an_authority_of_their_own(lab):
    before = _contents(lab)
    pki.ensure_services(lab)
    made = _services(lab)
    assert set(made) == {f"{name}.{suffix}" for name in ("git-ca", "git", "registry") for suffix in ("crt", "key")}
    pki.ensure_services(lab)
    assert _services(lab) == made
    assert _contents(lab) == before
    private = list((pki.directory(lab) / "services").glob("*.key"))
    assert {path.stat().st_mode & 0o077 for path in private} == {0}


@pytest.mark.parametrize(
    ("lost", "renewed"),
    [
        ("git-ca.key", {"git-ca.crt", "git-ca.key", "git.crt", "git.key"}),
        ("git.crt", {"git.crt", "git.key"}),
        ("registry.key", {"registry.crt", "registry.key"}),
    ],
)
def test_only_what_a_server_lost_is_made_again(lab, lost, renewed):
    pki.ensure_services(lab)
    before = _services(lab)
    (pki.directory(lab) / "services" / lost).unlink()
    pki.ensure_services(lab)
    assert _changed(before, _services(lab)) == renewed

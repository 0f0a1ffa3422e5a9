"""A registry token says exactly what one build may do, and is signed by the key whose certificate it carries."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from dataapp_operator.build.registry_token import KeyPairError, docker_config, token

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
_KEYS = {
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
}


def _pair(key) -> tuple[str, str]:
    """Key and self-signed certificate in PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dataapp-operator")])
    draft = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    draft = draft.serial_number(1).not_valid_before(NOW).not_valid_after(NOW + timedelta(days=9))
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    certificate = draft.sign(key, algorithm).public_bytes(Encoding.PEM).decode()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(), certificate


def _token(key_pem: str, certificate_pem: str, **changes) -> str:
    asked = {"push": ["analytics/sales"], "pull": ["base/build-python"], "lifetime": timedelta(minutes=30), **changes}
    return token(
        key_pem=key_pem,
        certificate_pem=certificate_pem,
        issuer="dataapp-operator",
        service="registry",
        now=NOW,
        **asked,
    )


@pytest.mark.parametrize("algorithm", _KEYS)
def test_the_token_grants_what_was_asked_and_nothing_else(algorithm):
    key = _KEYS[algorithm]()
    made = _token(*_pair(key))
    timeless = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
    claims = jwt.decode(made, key.public_key(), algorithms=[algorithm], audience="registry", options=timeless)
    assert claims["access"] == [
        {"type": "repository", "name": "analytics/sales", "actions": ["pull", "push"]},
        {"type": "repository", "name": "base/build-python", "actions": ["pull"]},
    ]
    assert (claims["iss"], claims["aud"]) == ("dataapp-operator", "registry")
    assert claims["exp"] - claims["iat"] == 30 * 60
    assert 0 < claims["iat"] - claims["nbf"] <= 60
    header = jwt.get_unverified_header(made)
    assert header["alg"] == algorithm
    (carried,) = header["x5c"]
    assert x509.load_der_x509_certificate(base64.b64decode(carried)).public_key() == key.public_key()


def test_a_repository_that_may_be_pushed_is_named_once():
    claims = jwt.decode(
        _token(*_pair(_KEYS["ES256"]()), push=["a/b"], pull=["a/b", "c/d", "c/d"]), options={"verify_signature": False}
    )
    assert [(one["name"], one["actions"]) for one in claims["access"]] == [("a/b", ["pull", "push"]), ("c/d", ["pull"])]


def test_two_builds_have_two_names():
    pair = _pair(_KEYS["ES256"]())
    made = [_token(*pair, push=[name]) for name in ("a/b", "a/c", "a/b")]
    names = [jwt.decode(one, options={"verify_signature": False})["jti"] for one in made]
    assert names[0] == names[2] != names[1]


def test_a_pair_that_cannot_sign_is_refused_in_words_that_do_not_show_the_key():
    key, certificate = _pair(_KEYS["ES256"]())
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    edwards = _pair(ed25519.Ed25519PrivateKey.generate())
    other_curve = _pair(ec.generate_private_key(ec.SECP384R1()))
    for pair, words in (
        (("", certificate), "not an unencrypted private key"),
        ((locked.decode(), certificate), "not an unencrypted private key"),
        ((key, ""), "not a certificate"),
        ((key, key), "not a certificate"),
        (edwards, "on the curve P-256"),
        (other_curve, "on the curve P-256"),
        ((key, _pair(_KEYS["ES256"]())[1]), "does not belong to its certificate"),
    ):
        with pytest.raises(KeyPairError, match=words) as refused:
            _token(*pair)
        assert "BEGIN" not in str(refused.value)


def test_the_configuration_names_the_registry_once():
    assert json.loads(docker_config("registry.lab.svc:5000", "abc")) == {
        "auths": {"registry.lab.svc:5000": {"registrytoken": "abc"}}
    }

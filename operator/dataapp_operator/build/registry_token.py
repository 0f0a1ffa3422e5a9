"""A token for the image registry that is good for one build: what it may push and pull, and until when.

The registry asks for tokens as the distribution project specifies them ("token authentication"). It trusts the
certificate that comes with the operator's key, so nobody has to hand out tokens: the operator signs one for each build,
and the build brings it along. Whoever steals it can push to one app's repository, for as long as one build may take.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

_SKEW = timedelta(seconds=60)  # the registry's clock may be behind ours


class KeyPairError(ValueError):
    """The key or the certificate cannot be used; the text says why, and never shows the key."""


def token(
    *,
    key_pem: str,
    certificate_pem: str,
    issuer: str,
    service: str,
    push: Sequence[str],
    pull: Sequence[str],
    now: datetime,
    lifetime: timedelta,
) -> str:
    """A signed token with which the repositories in `push` may be pushed and pulled, and those in `pull` pulled.

    `now` has a time zone. Raises KeyPairError for a key of another kind or one that does not fit the certificate.
    """
    key, algorithm, certificates = _pair(key_pem, certificate_pem)
    actions = {name: ["pull"] for name in pull} | {name: ["pull", "push"] for name in push}
    claims: dict[str, Any] = {
        "iss": issuer,
        "sub": issuer,
        "aud": service,
        "iat": int(now.timestamp()),
        "nbf": int((now - _SKEW).timestamp()),
        "exp": int((now + lifetime).timestamp()),
        "access": [{"type": "repository", "name": name, "actions": actions[name]} for name in sorted(actions)],
    }
    claims["jti"] = hashlib.sha256(json.dumps(claims).encode()).hexdigest()[:32]
    chain = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in certificates]
    return jwt.encode(claims, key, algorithm=algorithm, headers={"x5c": chain})


def docker_config(registry: str, token: str) -> str:
    """The config.json with which BuildKit and other clients show the token to `registry` (host or host:port)."""
    return json.dumps({"auths": {registry: {"registrytoken": token}}})


def _pair(
    key_pem: str, certificate_pem: str
) -> tuple[EllipticCurvePrivateKey | RSAPrivateKey, str, list[x509.Certificate]]:
    """The key, the algorithm it signs with, and the certificates, the one of the key first."""
    try:
        key = load_pem_private_key(key_pem.encode(), password=None)
    except (ValueError, TypeError):
        raise KeyPairError("The key for the registry's tokens is not an unencrypted private key in PEM.") from None
    try:
        certificates = x509.load_pem_x509_certificates(certificate_pem.encode())
    except ValueError:
        raise KeyPairError("The certificate for the registry's tokens is not a certificate in PEM.") from None
    if isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1):
        algorithm = "ES256"
    elif isinstance(key, RSAPrivateKey):
        algorithm = "RS256"
    else:
        raise KeyPairError(
            "The key for the registry's tokens has to be an RSA key or an elliptic one on the curve P-256."
        )
    if certificates[0].public_key() != key.public_key():
        raise KeyPairError("The key for the registry's tokens does not belong to its certificate.")
    return key, algorithm, certificates

"""With what a build shows itself to the registry: a token for its own app's repository, as a Docker configuration. Pure.

Where the registry checks tokens, the operator signs one for each build: push and pull of the app's own repository, pull
of what the platform's images are in, for as long as the build may last. Where it does not, the platform may give a
Docker configuration of its own: every build then has it as it is, and could write any app's images.
"""

import json
from datetime import datetime, timedelta

from dataapp_operator.api.appbuild import AppBuildSpec
from dataapp_operator.build.job import repository
from dataapp_operator.build.registry_token import docker_config, token
from dataapp_operator.build.settings import BuildSettings
from dataapp_operator.plan.build_facts import START_SECONDS

ISSUER = "dataapp-operator"
SERVICE = "registry"
"""What the registry's settings must say for ``auth.token.issuer`` and ``auth.token.service``."""


def push_configuration(settings: BuildSettings, spec: AppBuildSpec, namespace: str, *, now: datetime) -> str:
    """The text of config.json for one build. Raises ``registry_token.KeyPairError``."""
    if not settings.token_key_pem:
        return settings.push_config_json or json.dumps({"auths": {}})
    signed = token(
        key_pem=settings.token_key_pem,
        certificate_pem=settings.token_certificate_pem,
        issuer=ISSUER,
        service=SERVICE,
        push=[repository(spec, namespace)],
        pull=platform_repositories(settings),
        now=now,
        lifetime=timedelta(seconds=settings.deadline_seconds + START_SECONDS),
    )
    return docker_config(settings.registry_host, signed)


def platform_repositories(settings: BuildSettings) -> list[str]:
    """The repositories of the registry that every build may read: those of its bases, and what the platform names.

    A base in another registry needs no token of ours.
    """
    here = f"{settings.registry_host}/"
    refs = (settings.bases.python, settings.bases.r)
    bases = {ref.removeprefix(here).partition("@")[0].partition(":")[0] for ref in refs if ref.startswith(here)}
    return sorted({*bases, *settings.pull_repositories})

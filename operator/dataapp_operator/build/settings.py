"""What the platform says once about builds: where they run, which registry they fill, what they start from.

Read at the edge (``app/settings.py``) from the environment and mounted files. What is secret in here is left out of
``repr``, so that no log and no exception can print it.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """The images that builds start from, by digest; empty where the platform offers none."""

    python: str = ""
    r: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """The platform's settings for builds."""

    namespace: str = "dataapp-builds"
    builder_image: str
    registry_host: str
    """host or host:port; images are called ``<host>/<namespace>/<app>``."""
    registry_insecure: bool = False
    token_key_pem: str = field(default="", repr=False)
    """The private key that signs a token for each build; empty where the registry has no token authentication."""
    token_certificate_pem: str = ""
    push_config_json: str = field(default="", repr=False)
    """A Docker configuration for registries that cannot check our tokens; empty for none."""
    bases: Bases
    pull_repositories: tuple[str, ...] = ()
    """Repositories of the registry that every build may read, beside those of the bases."""
    sources_url: str
    """Where a build's pod fetches its code: the address of our own server, without a path."""
    python_index_url: str = ""
    ca_pem: str = ""
    """Certificates of the platform's own authorities, added to those that the images trust."""
    memory: str = "2Gi"
    cpu: str = "500m"
    disk: str = "10Gi"
    deadline_seconds: int = 1800
    concurrent: int = 2

"""The one way we call git: a fixed environment, hardened settings, and limits that hold even if we are killed.

`env -i`, `timeout`, `nice`, `prlimit`, then git. Why `env -i`: GitPython's `Git.execute` copies the operator's whole environment,
and its argument `env` can only add to that copy. The operator's environment names proxies, service accounts and whatever
else a platform puts there, and git obeys dozens of variables. Settings are given as variables too, where they stand above
those of any file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dataapp_operator.source.access import Access
    from dataapp_operator.source.limits import Limits

GRACE = 5.0  # seconds between SIGTERM and SIGKILL

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.symlinks": "false",
    "core.fsmonitor": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "core.attributesFile": "/dev/null",
    "core.bigFileThreshold": "8m",
    "core.packedGitWindowSize": "16m",
    "core.packedGitLimit": "64m",
    "core.deltaBaseCacheLimit": "16m",
    "credential.helper": "",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "transfer.fsckObjects": "true",
    # Slips of old tools in dates and addresses, which harm nobody and would shut honest repositories out.
    "fetch.fsck.badTimezone": "ignore",
    "fetch.fsck.missingEmail": "ignore",
    "fetch.fsck.missingNameBeforeEmail": "ignore",
    "fetch.fsck.missingSpaceBeforeDate": "ignore",
    "fetch.fsck.missingSpaceBeforeEmail": "ignore",
    "fetch.fsck.zeroPaddedFilemode": "ignore",
    "fetch.recurseSubmodules": "false",
    "fetch.unpackLimit": "1",
    "transfer.bundleURI": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "http.sslVerify": "true",
    "http.proxy": "",
    "init.templateDir": "",
    "pack.threads": "1",
    "submodule.recurse": "false",
    "uploadpack.packObjectsHook": "",
}
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "XDG_CONFIG_HOME": "/nonexistent",
    "LC_ALL": "C",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    "GIT_SSH_COMMAND": "/bin/false",
    "GIT_ALLOW_PROTOCOL": "https",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LFS_SKIP_SMUDGE": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_CEILING_DIRECTORIES": "/",
}


def command_line(arguments: Sequence[str], *, seconds: float, limits: Limits, access: Access | None) -> list[str]:
    """All of the command line of `git <arguments>`. There is no secret in it."""
    config = dict(_CONFIG)
    config["http.lowSpeedLimit"] = str(limits.low_speed_bytes)
    config["http.lowSpeedTime"] = str(limits.low_speed_seconds)
    environment = _ENVIRONMENT | {"GIT_CONFIG_GLOBAL": "/dev/null"}
    if access:
        config |= access.config
        environment["GIT_CONFIG_GLOBAL"] = access.unnamed_config
    environment["GIT_CONFIG_COUNT"] = str(len(config))
    for number, (key, value) in enumerate(config.items()):
        environment[f"GIT_CONFIG_KEY_{number}"] = key
        environment[f"GIT_CONFIG_VALUE_{number}"] = value
    return [
        "/usr/bin/env",
        "-i",
        *(f"{key}={value}" for key, value in environment.items()),
        "/usr/bin/timeout",
        f"--kill-after={GRACE:g}",
        f"{seconds:g}",
        # A large fetch must not take the processor from the operator itself, which has a Lease to renew.
        "/usr/bin/nice",
        "--adjustment=10",
        "/usr/bin/prlimit",
        f"--as={limits.address_space}",
        # The directory is watched as well; this holds between two looks at it.
        f"--fsize={limits.mirror_bytes + (64 << 20)}",
        f"--cpu={int(seconds) + 1}",
        "--nofile=256",
        "--core=0",
        "--",
        "/usr/bin/git",
        *arguments,
    ]

"""Kernel settings that the node's programs change (forwarding, panics, limits): remembered before, put back after.
So are the tables that iptables makes on first use: those that were not there before and are empty again go too.

The memory is in /run: a reboot resets the kernel's settings and forgets them at the same time.
"""

import contextlib
import json
from pathlib import Path

from lab import files
from lab.context import Lab
from lab.lock import RUN

_REMEMBERED = RUN / "settings.json"
_TABLES = "nftables"
_MADE_BY_IPTABLES = tuple(f"{family}/{table}" for family in ("ip", "ip6") for table in ("nat", "filter", "mangle"))
_CHANGED_BY_NODE = (
    "net/ipv4/ip_forward",  # the CNI plugin
    "vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",  # the kubelet
    "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",  # the kubelet
    "net/netfilter/nf_conntrack_tcp_timeout_established", "net/netfilter/nf_conntrack_tcp_timeout_close_wait",
    "net/netfilter/nf_conntrack_tcp_be_liberal",  # kube-proxy
)  # fmt: skip


def remember(lab: Lab) -> None:
    """Write the present values down, once per time the lab holds the machine."""
    if _REMEMBERED.exists():
        return
    values = {_TABLES: " ".join(_tables(lab))}
    for name in _CHANGED_BY_NODE:
        with contextlib.suppress(OSError):
            values[name] = Path("/proc/sys", name).read_text().strip()
    files.write(_REMEMBERED, json.dumps(values, indent=1) + "\n")


def restore(lab: Lab) -> None:
    """Put the remembered values back; a setting that the machine refuses stays as it is."""
    try:
        values = json.loads(_REMEMBERED.read_text())
    except (FileNotFoundError, ValueError):
        return
    before = values.pop(_TABLES, "").split()
    for table in _tables(lab):
        rules = lab.run(["nft", "list", "table", *table.split("/")], log="network", check=False)
        if table in _MADE_BY_IPTABLES and table not in before and _is_bare(rules):
            lab.run(["nft", "delete", "table", *table.split("/")], log="network", check=False)
    for name, value in values.items():
        place = Path("/proc/sys", name)
        with contextlib.suppress(OSError):
            if place.read_text().strip() != value:
                place.write_text(value)
    _REMEMBERED.unlink()


def _tables(lab: Lab) -> list[str]:
    """Tables of nftables, as family/name."""
    lines = lab.run(["nft", "list", "tables"], log="network", check=False).splitlines()
    return ["/".join(line.split()[1:3]) for line in lines if line.startswith("table ")]


def _is_bare(rules: str) -> bool:
    """Whether a table has only its own chains' headers and no rule."""
    return all(
        line.strip() in ("", "}") or line.strip().startswith(("table ", "chain ", "type ", "#"))
        for line in rules.splitlines()
    )

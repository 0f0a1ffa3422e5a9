"""The lab's traces in the machine's network: one bridge, the pods' links, kube-proxy's table, the portmap chains.

The bridge `kbr0` only gives the node a real address (the kubelet refuses loopback). Pods hang on point-to-point
links (CNI `ptp`), so every packet between pods passes the host's netfilter and cluster IPs work between pods of the
same node without the br_netfilter module. All of it can be told from other people's by name: the bridge, the CNI
network's name in each iptables comment, the subnet.
"""

import re
import subprocess
from pathlib import Path

from lab.context import Lab
from lab.errors import LabError

BRIDGE = "kbr0"
CNI_NAME = "dataapp-lab"
PODS = "10.244.0.0/16"
_SHARED_CHAINS = ("CNI-HOSTPORT-DNAT", "CNI-HOSTPORT-MASQ", "CNI-HOSTPORT-SETMARK")


def ensure_bridge(lab: Lab) -> None:
    """Have the bridge with the node's address, up."""
    wanted = f"inet {lab.node_ip}/24 "
    shown = lab.run(["ip", "addr", "show", "dev", BRIDGE], log="network", check=False)
    if wanted in shown and "state DOWN" not in shown.replace("NO-CARRIER", ""):
        return
    if not shown:
        route = lab.run(["ip", "route", "show", "root", f"{lab.node_ip}/24"], log="network", check=False)
        if route.strip():
            raise LabError(
                f"The lab's addresses {lab.node_ip}/24 are already routed on this machine: {route.strip()}. "
                "The lab cannot run beside that network."
            )
        lab.run(["ip", "link", "add", BRIDGE, "type", "bridge"], log="network")
    if wanted not in shown:
        lab.run(["ip", "addr", "replace", f"{lab.node_ip}/24", "dev", BRIDGE], log="network")
    lab.run(["ip", "link", "set", BRIDGE, "up"], log="network")


def has_bridge() -> bool:
    """Whether the bridge is there."""
    return Path(f"/sys/class/net/{BRIDGE}").exists()


def refuse_foreign_node(lab: Lab) -> None:
    """Raise LabError when a kube-proxy that is not ours keeps its rules on this machine."""
    if lab.run(["nft", "list", "tables"], log="network", check=False).count("kube-proxy"):
        raise LabError(
            "This machine already has kube-proxy's nftables table, and no lab of ours owns it: a node of Kubernetes "
            "seems to run here. The native lab cannot share a machine with one; use LAB=current with its KUBECONFIG. "
            "If it is only a remnant, remove it: nft delete table ip kube-proxy; nft delete table ip6 kube-proxy"
        )


def allow_forwarding(lab: Lab) -> None:
    """Let pods' packets through where the machine drops forwarded ones by default (as Docker sets it up)."""
    rules = lab.run(["iptables", "-S", "FORWARD"], log="network", check=False)
    if "-P FORWARD DROP" not in rules:
        return
    for direction in ("-s", "-d"):
        rule = ["FORWARD", direction, PODS, "-m", "comment", "--comment", CNI_NAME, "-j", "ACCEPT"]
        if f"{direction} {PODS} -m comment --comment {CNI_NAME}" not in rules:
            lab.run(["iptables", "-I", *rule], log="network")


def clean(lab: Lab) -> None:
    """Remove every trace in the network; safe when there is none."""
    for family in ("ip", "ip6"):
        if f"table {family} kube-proxy" in lab.run(["nft", "list", "tables"], log="network", check=False):
            lab.run(["nft", "delete", "table", family, "kube-proxy"], log="network")
    for table in ("nat", "filter"):
        _clean_iptables(lab, table)
    for link in (BRIDGE, "cni0"):
        shown = lab.run(["ip", "-br", "addr", "show", "dev", link], log="network", check=False)
        if (link == BRIDGE and shown) or "10.244." in shown:
            lab.run(["ip", "link", "delete", link], log="network")
    for line in lab.run(["ip", "-br", "-4", "addr", "show", "type", "veth"], log="network", check=False).splitlines():
        if " 10.244.0.1/" in line:
            lab.run(["ip", "link", "delete", line.split("@")[0].split()[0]], log="network", check=False)


def _clean_iptables(lab: Lab, table: str) -> None:
    """Delete the rules that name our CNI network, the chains they lead to, and the shared chains if now empty."""
    rules = lab.run(["iptables", "-t", table, "-S"], log="network", check=False).splitlines()
    ours = [rule for rule in rules if rule.startswith("-A") and CNI_NAME in rule]
    chains = {found[1] for rule in ours if (found := re.search(r"-j (CNI-(?:DN-|SN-)?[0-9a-f]{16,})", rule))}
    chains |= {found[1] for rule in ours if (found := re.match(r"-A (CNI-(?:DN-|SN-)?[0-9a-f]{16,}) ", rule))}
    for rule in ours:
        _iptables(table, re.sub("^-A", "-D", rule))
    for chain in chains:
        _iptables(table, f"-F {chain}")
        _iptables(table, f"-X {chain}")
    left = lab.run(["iptables", "-t", table, "-S"], log="network", check=False).splitlines()
    if not any("-j CNI-DN-" in rule for rule in left):
        for rule in [rule for rule in left if re.search(rf"-j ({'|'.join(_SHARED_CHAINS)})\b", rule)]:
            _iptables(table, re.sub("^-A", "-D", rule))
        for chain in _SHARED_CHAINS:
            if f"-N {chain}" in left:
                _iptables(table, f"-F {chain}")
                _iptables(table, f"-X {chain}")


def _iptables(table: str, rule: str) -> None:
    """Run one rule as `iptables -S` wrote it (with its quotation marks)."""
    line = f"*{table}\n{rule}\nCOMMIT\n"
    subprocess.run(["iptables-restore", "--noflush", "-w", "5"], input=line.encode(), check=False, capture_output=True)

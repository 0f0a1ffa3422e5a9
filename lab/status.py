"""`status`: every component, running or not, where it listens, where its log is; and who holds the lab."""

from dataclasses import dataclass

from lab import controlplane, lock, network, node, processes, providers
from lab.context import Lab

_ADDRESSES = {
    "etcd": "127.0.0.1:12379",
    "kube-apiserver": "https://10.251.0.1:6443",
    "kube-controller-manager": "127.0.0.1:10257",
    "kube-scheduler": "127.0.0.1:10259",
    "docker-registry": "http://127.0.0.1:5000",
    "registry-tokens": "http://10.251.0.1:5000",
    "gitserver": "https://127.0.0.1:8443",
    "podtargets": "http://127.0.0.1:9091",
    "prometheus": "http://10.251.0.1:9090",
    "containerd": "unix:///run/dataapp-lab/…",
    "coredns": "10.251.0.1:53",
    "kubelet": "10.251.0.1:10250",
    "kube-proxy": "nftables",
    "gateway": "http://<host>.localhost:8088",
    "operator": "dataapp-system",
}
_DEPLOYMENTS = {"gateway": ("gateways", "traefik"), "operator": ("dataapp-system", "dataapp-operator")}


@dataclass(frozen=True, slots=True)
class Row:
    """One component as a person wants to see it."""

    name: str
    state: str
    well: bool
    pid: str
    log: str


def show(lab: Lab) -> bool:
    """Print everything; true when all that this lab raised is well."""
    owner = lock.owner() if lab.provider == "native" else None
    print(f"lab of      {lab.checkout} (LAB={lab.provider})")
    if owner is not None and not owner.is_of(lab):
        print(f"held by     {owner.checkout} since {owner.since}: `make lab-up` here would stop that lab and take over")
    reached = reached_stage(lab)
    print(f"raised to   {reached or 'nothing: `make lab-up` raises it'}")
    print(f"kubeconfig  {lab.out / 'kubeconfig'}")
    print(f"state       {lab.state}\ncache       {lab.cache}\nlogs        {lab.state / 'log'}")
    named = ("kubernetes", "etcd", "coredns", "traefik", "gateway-api", "helm")
    print(f"versions    {', '.join(_version(lab, name) for name in named)}\n")
    rows = components(lab, reached)
    for row in rows:
        print(f"  {row.name:<24} {row.state:<28} {row.pid:>8}  {_ADDRESSES.get(row.name, ''):<30} {row.log}")
    return bool(reached) and all(row.well for row in rows)


def components(lab: Lab, reached: str) -> list[Row]:
    """A row for each component of the stages that this lab was raised to."""
    stages = set(providers.STAGES[: providers.STAGES.index(reached) + 1] if reached else ())
    begun = set(lab.names())  # a stage that failed half-way counts too
    stages |= {"control-plane"} if begun & set(controlplane.COMPONENTS) else set()
    stages |= {"node"} if begun & set(node.COMPONENTS) else set()
    rows = []
    if lab.provider != "native" and reached:
        well = lab.kubectl("get", "--raw", "/readyz", check=False).strip() == "ok"
        rows.append(Row("cluster", "answers" if well else "NOT ANSWERING", well, "", ""))
    if lab.provider == "native" and "control-plane" in stages:
        owner = lock.owner()
        held = network.has_bridge() and owner is not None and owner.is_of(lab)
        rows.append(Row(network.BRIDGE, "up" if held else "not there", held, "", ""))
        rows += [_process(lab, name, controlplane.healthy) for name in controlplane.COMPONENTS]
    if lab.provider == "native" and "node" in stages:
        rows += [_process(lab, name, node.healthy) for name in node.COMPONENTS]
        beside = set(lab.names()) - set(controlplane.COMPONENTS) - set(node.COMPONENTS)
        rows += [_process(lab, name, lambda _lab, _name: True) for name in sorted(beside)]
    if all(row.well for row in rows):
        rows += [_deployment(lab, stage) for stage in _DEPLOYMENTS if stage in stages]
    return rows


def reached_stage(lab: Lab) -> str:
    """The last stage that an `up` of this lab completed, "" before the first."""
    try:
        name = (lab.state / "reached").read_text().strip()
    except FileNotFoundError:
        return ""
    return name if name in providers.STAGES else ""


def _process(lab: Lab, name: str, healthy: object) -> Row:
    pid = lab.pid(name)
    if pid is None:
        record = processes.load(lab.state / "run" / f"{name}.json")
        state = "NOT RUNNING" if record is None else f"NOT RUNNING (was pid {record.pid})"
        return Row(name, state, well=False, pid="", log=str(lab.log(name)))
    answers = callable(healthy) and healthy(lab, name)
    return Row(name, "running" if answers else "running, NOT ANSWERING", bool(answers), str(pid), str(lab.log(name)))


def _deployment(lab: Lab, stage: str) -> Row:
    namespace, name = _DEPLOYMENTS[stage]
    path = "jsonpath={.status.readyReplicas}/{.spec.replicas}"
    answer = lab.kubectl("-n", namespace, "get", "deployment", name, "-o", path, "--ignore-not-found", check=False)
    ready, _, wanted = answer.strip().partition("/")
    well = bool(ready) and ready == wanted
    log = f"kubectl -n {namespace} logs deployment/{name}"
    return Row(stage, f"{ready or 0} of {wanted or 'none'} pods ready", well, "", log)


def _version(lab: Lab, table: str) -> str:
    return f"{table} {lab.versions[table]['version']}"

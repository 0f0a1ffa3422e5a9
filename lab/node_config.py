"""What the node's programs read: configuration texts, and nothing else. Each flag that is not obvious says why."""

import json

from lab import cgroups, network, node_images, pki
from lab.context import Lab
from lab.lock import RUN

SOCKET = RUN / "containerd" / "containerd.sock"
DNS_IP = "10.96.0.10"
REGISTRY_SERVICE, REGISTRY_ISSUER = "registry", "dataapp-operator"


def containerd(lab: Lab) -> str:
    """The root of containerd is in the cache, so pulled images outlive a cluster; sandboxes' state is in /run."""
    return f"""version = 2
root = "{lab.cache / "containerd"}"
state = "{RUN / "containerd"}"
[grpc]
  address = "{SOCKET}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{lab.cache / "containerd" / "opt"}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{node_images.pause_image(lab)}"
  # a machine without CAP_SYS_RESOURCE may not lower a process's oom score
  restrict_oom_score_adj = true
  # network namespaces in our own directory, where `down` finds them all
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{lab.state / "cni"}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{lab.state / "certs.d"}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
"""


def cni(lab: Lab) -> str:
    """Point-to-point links (see lab/network.py), addresses kept in the state directory, ports of the host."""
    link = {
        "type": "ptp",
        "ipMasq": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(lab.state / "cni-addresses"),
            "ranges": [[{"subnet": network.PODS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True}
    return json.dumps({"cniVersion": "0.4.0", "name": network.CNI_NAME, "plugins": [link, ports]}, indent=1) + "\n"


def registry_hosts(lab: Lab) -> str:
    """How containerd translates the registry's name in the cluster to its address, over plain HTTP."""
    at = f"http://{lab.registry_push}"
    return f'server = "{at}"\n[host."{at}"]\n  capabilities = ["pull", "resolve"]\n'


def kubelet(lab: Lab) -> str:
    """No eviction and no image clean-up short of a really full disk: the disk is the machine's, not the node's."""
    return f"""apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {lab.node_ip}
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /{cgroups.NAME}
enforceNodeAllocatable: []
failSwapOn: false
# tolerate settings that a machine without every capability refuses (oom score, sysctls)
featureGates: {{KubeletInUserNamespace: true}}
containerRuntimeEndpoint: unix://{SOCKET}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: "{pki.cert(lab, pki.CA)}"}}
authorization: {{mode: Webhook}}
tlsCertFile: "{pki.cert(lab, "node")}"
tlsPrivateKeyFile: "{pki.key(lab, "node")}"
clusterDNS: [{DNS_IP}]
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
podLogsDir: "{lab.state / "pod-logs"}"
volumePluginDir: "{lab.state / "volume-plugins"}"
# kube-proxy keeps the rules in nftables; the kubelet has none to make
makeIPTablesUtilChains: false
evictionHard: {{memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "0%"}}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
maxPods: 800
kubeAPIQPS: 200
kubeAPIBurst: 400
registryPullQPS: 0
serializeImagePulls: false
"""


def proxy(lab: Lab) -> str:
    """Mode nftables; connection tracking limits stay the machine's own."""
    return f"""apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {{kubeconfig: "{pki.kubeconfig(lab, "proxy")}"}}
mode: nftables
clusterCIDR: {network.PODS}
hostnameOverride: lab
bindAddress: {lab.node_ip}
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
conntrack: {{maxPerCore: 0}}
"""


def corefile(lab: Lab) -> str:
    """Short caching, above all of "no such name": tests ask for Services a moment before they exist."""
    return f""".:53 {{
  bind {lab.node_ip}
  health 127.0.0.1:18053
  errors
  cache 10 {{
    denial 256 1
  }}
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {pki.kubeconfig(lab, "coredns")} dataapp-lab
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }}
  forward . /etc/resolv.conf
}}
"""


def registry(lab: Lab) -> str:
    """Plain HTTP on loopback, for this machine only; its data is in the cache, shared by checkouts."""
    return (
        f"version: 0.1\nlog: {{level: warn, accesslog: {{disabled: true}}}}\n"
        f'storage: {{filesystem: {{rootdirectory: "{lab.cache / "registry"}"}}, delete: {{enabled: true}}}}\n'
        'http: {addr: "127.0.0.1:5000"}\n'
    )


def registry_tokens(lab: Lab) -> str:
    """The same data on the bridge's address, for pods: each request needs a token that the operator's key has signed.

    Nobody hands out tokens at the realm's address: whoever may come brings one along.
    """
    return registry(lab).replace("127.0.0.1:5000", f"{lab.node_ip}:5000") + (
        f"auth:\n  token:\n    realm: http://{lab.registry_name}/no-tokens-here\n    service: {REGISTRY_SERVICE}\n"
        f'    issuer: {REGISTRY_ISSUER}\n    rootcertbundle: "{pki.cert(lab, pki.REGISTRY)}"\n'
    )


def dns_objects(lab: Lab) -> str:
    """The cluster's DNS address: a Service without selector in front of the CoreDNS process, and what it may read."""
    ports = "[{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53, protocol: TCP}]"
    return f"""apiVersion: v1
kind: Service
metadata: {{name: kube-dns, namespace: kube-system}}
spec: {{clusterIP: {DNS_IP}, ports: {ports}}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {{name: kube-dns-host, namespace: kube-system, labels: {{kubernetes.io/service-name: kube-dns}}}}
addressType: IPv4
ports: {ports}
endpoints: [{{addresses: [{lab.node_ip}], conditions: {{ready: true}}}}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: dataapp-lab:coredns}}
rules:
- {{apiGroups: [""], resources: [services, pods, namespaces, endpoints], verbs: [list, watch]}}
- {{apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: dataapp-lab:coredns}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: dataapp-lab:coredns}}
subjects: [{{apiGroup: rbac.authorization.k8s.io, kind: User, name: system:coredns}}]
"""

"""The Secret of a repository, read when it is needed: it may have been changed, and nobody watches Secrets."""

from dataapp_operator.api.reasons import Reason
from dataapp_operator.kube.errors import KubeError, Transient
from dataapp_operator.kube.kinds import SECRET
from dataapp_operator.kube.port import Cluster
from dataapp_operator.source.errors import SourceError
from dataapp_operator.source.remote import Credential


async def credential(cluster: Cluster, namespace: str, secret: str | None) -> Credential | None:
    """What the Secret holds; None where none is named. Raises SourceError in words for whoever may mend it, and
    Transient where the API server cannot tell at the moment.
    """
    if secret is None:
        return None
    mend = (
        f"kubectl -n {namespace} create secret generic {secret} --from-literal=username=… --from-literal=password=…"
        " --dry-run=client -o yaml | kubectl apply -f -"
    )
    try:
        found = await cluster.get(SECRET, namespace, secret)
    except Transient:
        raise
    except KubeError as error:
        raise SourceError(Reason.CREDENTIAL_MISSING, f"the Secret {secret} cannot be read: {error.message}") from None
    if found is None:
        words = f"there is no Secret {secret} in {namespace} with the credentials for the repository. Create it: {mend}"
        raise SourceError(Reason.CREDENTIAL_MISSING, words)
    try:
        return Credential.from_secret(found.get("data") or {})
    except SourceError as error:
        words = f"{error.message} (Secret {secret} in {namespace}). Write it anew: {mend}"
        raise SourceError(error.reason, words) from None

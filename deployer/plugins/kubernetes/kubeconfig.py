"""Read a kubeconfig as kubectl does: the server, its certificates, who we are.

The `kubernetes` package can do it too, and costs 175 ms at every start of the plugin.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.plugins.kubernetes.credentials import Credentials, make_credentials
from deployer.plugins.kubernetes.errors import ClusterUnreachableError
from deployer.plugins.kubernetes.settings import Settings

_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True)
class Access:
    """Say how a cluster is reached.

    Attributes:
        server: its address, such as https://10.231.0.2:6443.
        namespace: where objects go that name none.
        credentials: who we are.
        tls: the context for https, None for plain http.
        tls_name: the name that the certificate must have, empty for the host's.
        proxy: the proxy that the kubeconfig names, empty for the environment's.
    """

    server: str
    namespace: str
    credentials: Credentials = field(repr=False)
    tls: ssl.SSLContext | None = None
    tls_name: str = ""
    proxy: str = ""


def load_access(settings: Settings) -> Access:
    """Find the kubeconfig and the context that the provider's arguments name.

    Raises:
        ClusterUnreachableError: there is none, or it is broken.
    """
    document, folder = _load_document(settings.kubeconfig)
    context = _named(document, "contexts", settings.context or document.get("current-context") or "", "context")
    cluster = _named(document, "clusters", settings.cluster or context.get("cluster") or "", "cluster")
    user = _named(document, "users", context["user"], "user") if context.get("user") else {}
    server = cluster.get("server")
    if not isinstance(server, str) or not server.startswith(("http://", "https://")):
        raise ClusterUnreachableError(f"the kubeconfig's server is {server!r}, which is no address.")
    credentials = make_credentials(user, folder=folder, server=server)
    return Access(
        server=server.rstrip("/"),
        namespace=settings.namespace or context.get("namespace") or "default",
        credentials=credentials,
        tls=_tls(cluster, user, credentials, folder) if server.startswith("https://") else None,
        tls_name=str(cluster.get("tls-server-name") or ""),
        proxy=str(cluster.get("proxy-url") or ""),
    )


def active_cluster(kubeconfig: Any, context: str, cluster: str) -> Mapping[str, Any] | None:
    """Return the cluster entry that a kubeconfig's text and overrides choose; None when that cannot be told."""
    try:
        document, _ = _load_document(kubeconfig if isinstance(kubeconfig, str) else json.dumps(kubeconfig))
        chosen = _named(document, "contexts", context or document.get("current-context") or "", "context")
        return _named(document, "clusters", cluster or chosen.get("cluster") or "", "cluster")
    except ClusterUnreachableError:
        return None


def _load_document(path_or_contents: str) -> tuple[dict[str, Any], Path]:
    """Return the document and the folder that its relative paths start from."""
    if path_or_contents.lstrip().startswith("{") or "\n" in path_or_contents:
        return _parse(path_or_contents, "the provider's kubeconfig"), Path.cwd()
    if path_or_contents:
        path = Path(path_or_contents).expanduser()
        return _parse(_read(path), str(path)), path.parent
    named = [Path(item) for item in os.environ.get("KUBECONFIG", "").split(os.pathsep) if item]
    found = [path for path in named or [Path.home() / ".kube" / "config"] if path.exists()]
    if found:
        return _merge([_absolute(_parse(_read(path), str(path)), path.parent) for path in found]), Path.cwd()
    if (_IN_CLUSTER / "token").exists():
        return _in_cluster(), _IN_CLUSTER
    raise ClusterUnreachableError("no kubeconfig was named, and neither $KUBECONFIG nor ~/.kube/config holds one.")


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ClusterUnreachableError(f"the kubeconfig {path} cannot be read ({error}).") from error


def _parse(text: str, name: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        # Only now: YAML's import costs more than reading the whole file as JSON.
        import yaml

        try:
            document = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  # is safe
        except yaml.YAMLError as error:
            place = getattr(error, "problem_mark", None)
            raise ClusterUnreachableError(
                f"{name} is no YAML" + (f" (line {place.line + 1})." if place else ".")
            ) from error
    if not isinstance(document, dict):
        raise ClusterUnreachableError(f"{name} is no kubeconfig.")
    return document


def _merge(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Join several files as kubectl does: of each name the first wins."""
    merged: dict[str, Any] = {"contexts": [], "clusters": [], "users": []}
    for document in documents:
        for key in ("contexts", "clusters", "users"):
            merged[key] += document.get(key) or []
        if document.get("current-context"):
            merged.setdefault("current-context", document["current-context"])
    return merged


def _absolute(document: dict[str, Any], folder: Path) -> dict[str, Any]:
    for key, inner in (("clusters", "cluster"), ("users", "user")):
        for entry in document.get(key) or []:
            body = entry.get(inner) or {}
            for name in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
                if body.get(name):
                    body[name] = str(folder / body[name])
    return document


def _in_cluster() -> dict[str, Any]:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT", "443")
    cluster = {"server": f"https://{host}:{port}", "certificate-authority": str(_IN_CLUSTER / "ca.crt")}
    namespace = (_IN_CLUSTER / "namespace").read_text(encoding="utf-8").strip()
    return {
        "current-context": "pod",
        "contexts": [{"name": "pod", "context": {"cluster": "pod", "user": "pod", "namespace": namespace}}],
        "clusters": [{"name": "pod", "cluster": cluster}],
        "users": [{"name": "pod", "user": {"tokenFile": str(_IN_CLUSTER / "token")}}],
    }


def _named(document: Mapping[str, Any], key: str, name: str, inner: str) -> dict[str, Any]:
    for entry in document.get(key) or []:
        if isinstance(entry, dict) and entry.get("name") == name:
            return dict(entry.get(inner) or {})
    known = ", ".join(str(entry.get("name")) for entry in document.get(key) or [] if isinstance(entry, dict))
    raise ClusterUnreachableError(f"the kubeconfig has no {inner} {name!r} (it has: {known or 'none'}).")


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], credentials: Credentials, folder: Path) -> ssl.SSLContext:
    try:
        authority = _material(cluster, "certificate-authority", folder)
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
        # Certificates made by hand may lack what strict checking wants since Python 3.13.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate = _material(user, "client-certificate", folder) or credentials.certificate
        key = _material(user, "client-key", folder) or credentials.key
        if certificate and key:
            _load_pair(context, certificate, key)
    except (OSError, ValueError) as error:
        raise ClusterUnreachableError(f"the kubeconfig's certificates cannot be used ({error}).") from error
    return context


def _material(entry: Mapping[str, Any], name: str, folder: Path) -> bytes:
    if entry.get(f"{name}-data"):
        return base64.b64decode(entry[f"{name}-data"])
    return (folder / entry[name]).read_bytes() if entry.get(name) else b""


def _load_pair(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    # The ssl module reads files only; a temporary file is made with mode 0600 and gone at once.
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(certificate + b"\n" + key)
        pair.flush()
        context.load_cert_chain(pair.name)

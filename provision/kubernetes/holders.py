"""Files of a node that hold certificates, and how a cluster's authority signs them anew with openssl: for what nobody renews by itself.

The key stays where it is, and is the same: kubeadm 1.5 signs service accounts' tokens with the API server's. What leaves a node is a
request, which is as public as the certificate that comes back.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.kubernetes.places import STATE
from provision.kubernetes.profile import Authority, Holder

SIGNED_DAYS = 365
"""As kubeadm signs: a year."""

RENEWING = "renewing"
"""Marker of a node: certificates are new there, and what works with them was not yet started anew."""

# A kubeconfig may hold several pairs; a PEM file holds one certificate, its key beside it or, as the kubelet's own, behind it.
_WORK = """
set -eu
umask 077
rm -rf /run/meshctl-renew.*
work=$(mktemp -d /run/meshctl-renew.XXXXXX)
trap 'rm -rf "$work"' EXIT
"""

_REQUEST = f"""{_WORK}
request() {{
    openssl x509 -x509toreq -copy_extensions copyall -in "$1" -signkey "$2" 2>/dev/null |
        sed -n '/-----BEGIN CERTIFICATE REQUEST-----/,/-----END CERTIFICATE REQUEST-----/p'
}}
held() {{ sed -n "s/^ *$1: *//p" "$2" | sed -n "$3p" | base64 -d; }}
case "$1" in
*.conf)
    count=$(grep -c '^ *client-certificate-data: ' "$1" || true)
    number=1
    while [ "$number" -le "$count" ]; do
        held client-certificate-data "$1" "$number" > "$work/crt"
        held client-key-data "$1" "$number" > "$work/key"
        request "$work/crt" "$work/key"
        number=$((number + 1))
    done ;;
*) request "$1" "$2" ;;
esac
"""

# stdin: a request. $1, $2: the authority's certificate and key. $3: days. Valid from the authority's own beginning on, as kubeadm has it:
# the clock of a node may be behind. `openssl x509` has no such option before 3.4.
_SIGN = f"""{_WORK}
date_of() {{ date -u --date "$1" +%Y%m%d%H%M%SZ; }}
from=$(openssl x509 -noout -startdate -in "$1")
: > "$work/index"
cat > "$work/conf" <<end
[ca]
default_ca = authority
[authority]
database = $work/index
new_certs_dir = $work
rand_serial = yes
copy_extensions = copyall
unique_subject = no
policy = any
[any]
organizationName = optional
commonName = supplied
end
cat > "$work/request"
openssl ca -batch -config "$work/conf" -in "$work/request" -cert "$1" -keyfile "$2" -preserveDN -md sha256 -notext \\
    -startdate "$(date_of "${{from#notBefore=}}")" -enddate "$(date_of "+$3 days")" -out "$work/crt" 2> "$work/said" ||
    {{ cat "$work/said" >&2; exit 1; }}
cat "$work/crt"
"""

# stdin: certificates, each a line of base64. $1: the file, which is replaced as a whole and stays as private as it was.
_INSTALL = f"""{_WORK}
cat > "$work/new"
mkdir -p {STATE}
echo 1 > {STATE}/{RENEWING}
case "$1" in
*.conf)
    awk -v new="$work/new" '
        /^ *client-certificate-data: / {{ getline line < new; sub(/client-certificate-data: .*/, "client-certificate-data: " line) }}
        {{ print }}' "$1" > "$1.meshctl" ;;
*)
    base64 -d < "$work/new" > "$1.meshctl"
    sed -n '/-----BEGIN [A-Z ]*PRIVATE KEY-----/,/-----END [A-Z ]*PRIVATE KEY-----/p' "$1" >> "$1.meshctl" ;;
esac
chmod --reference="$1" "$1.meshctl"
mv -f "$1.meshctl" "$(readlink -f "$1")"
"""

_REQUESTS = re.compile(r"-----BEGIN CERTIFICATE REQUEST-----.*?-----END CERTIFICATE REQUEST-----\n?", re.DOTALL)


def sign_anew(shell: Shell, holder: Holder, control_plane: Shell, authority: Authority) -> int:
    """Has each certificate of a node's file signed anew for a year, with the same names and the same key; gives how many there were.

    Raises KubernetesError when openssl refuses.
    """
    requests = _REQUESTS.findall(
        _output(shell, _REQUEST, [holder.path, holder.key], what=f"{holder.path}: its request")
    )
    means = [authority.certificate, authority.key, str(SIGNED_DAYS)]
    signed = [_output(control_plane, _SIGN, means, stdin=one.encode(), what="signing") for one in requests]
    if signed:
        shell.run(["sh", "-c", _INSTALL, "install", holder.path], stdin=_lines(signed))
    return len(signed)


def _lines(certificates: Sequence[str]) -> bytes:
    return b"".join(base64.b64encode(one.encode()) + b"\n" for one in certificates)


def _output(shell: Shell, script: str, words: Sequence[str], *, what: str, stdin: bytes = b"") -> str:
    done = shell.read(["sh", "-c", script, "renew", *words], stdin=stdin, check=False)
    if done.status != 0:
        raise KubernetesError(f"{done.where}: {what}: {'; '.join(done.last_lines) or f'status {done.status}'}")
    return done.stdout

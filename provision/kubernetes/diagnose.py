"""What went wrong on a node: last lines of kubeadm, the kubelet and the control plane's containers, and advice on
failures that are known by their text.
"""

from __future__ import annotations

from dataclasses import dataclass

from provision.base.shell import Shell
from provision.kubernetes.failures import hint_for
from provision.kubernetes.places import STATE
from provision.kubernetes.token import redacted

WIDTH = 300
"""Characters shown of a line: the kubelet writes whole objects into one."""

SHOWN = 12
"""Lines shown of each section; more are read for the advice, as kubeadm ends with a page of general words."""

SECTION = "\x1e"
"""Stands before each section of what the script prints (ASCII's record separator)."""

# Containers that ended are shown with their own last words; the pause containers say nothing. Rejected events are what
# the kubelet says most of while a control plane starts, and tell nothing; Go's stacks bury the error before them.
_DIAGNOSE = f"""
section() {{ printf '\\036%s:\\n' "$1"; }}
section kubeadm; tail -n 60 {STATE}/kubeadm.log 2>/dev/null
section "kubelet ($(systemctl is-active kubelet 2>/dev/null))"
journalctl -u kubelet --no-pager -o cat -n 2000 2>/dev/null |
    grep -vE 'Server rejected event|^goroutine |^created by |^[[:space:]]+[^[:space:]]*\\.go:[0-9]+|^[[:alnum:]./_*()-]+\\(.*\\)$' |
    tail -n 60
section containers
docker ps -a --filter name=k8s_ --format '{{{{.Names}}}}	{{{{.Status}}}}' 2>&1 | grep -v k8s_POD | head -n 15
docker ps -q -a --filter name=k8s_ --filter status=exited 2>/dev/null | head -n 3 | while read -r id; do
    section "$(docker inspect --format '{{{{.Name}}}}' "$id")"
    docker logs --tail 4 "$id" 2>&1
done
"""


@dataclass(frozen=True)
class Diagnosis:
    """What a node said: the last lines of each section for people, and advice by all that was read."""

    shown: tuple[str, ...]
    hint: str


def diagnose(shell: Shell, generation: str = "") -> Diagnosis:
    """What a node says of its failure, tokens blotted out, and advice for this generation of Kubernetes."""
    completed = shell.read(["sh", "-c", _DIAGNOSE, "diagnose"], within_s=120, check=False)
    return sort_out(completed.stdout, generation)


def sort_out(text: str, generation: str) -> Diagnosis:
    """The same of what the script printed."""
    sections = [_lines(section) for section in text.split(SECTION)]
    shown = tuple(line[:WIDTH] for title, *said in filter(None, sections) for line in (title, *said[-SHOWN:]))
    return Diagnosis(shown, hint_for((line for section in sections for line in section), generation))


def _lines(section: str) -> list[str]:
    return [redacted(line.rstrip()) for line in section.splitlines() if line.strip()]

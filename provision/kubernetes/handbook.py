"""docs/kubernetes-failures.md, made from the registry."""

from __future__ import annotations

from provision.kubernetes.pages import PAGES

MADE = "<!-- Made by `make docs` from the registry in provision/kubernetes/failures and its pages; a test fails when it is stale. -->"


def failures() -> str:
    """Every id with its page."""
    rows = [f"| [{page.id}](#{page.fragment}) | {page.severity} | {page.title} |" for page in PAGES]
    head = [
        "# What is known of failures of Kubernetes",
        MADE,
        """When kubeadm fails or a wait is in vain, meshctl reads what the node says: kubeadm's log, the kubelet's journal, the last words
of containers that ended, a guest's console. What it knows again it names by an id of this list, causes before symptoms
([ADR 0024](adr/0024-causes-before-symptoms.md)), with the next step. `meshctl explain MK204` prints a page of this list.
How long is waited, and what ends a wait before its time: [ADR 0033](adr/0033-waits-that-look-why.md).""",
        "\n".join(["| id | severity | |", "|---|---|---|", *rows]),
    ]
    return "\n\n".join([*head, *(page.text().rstrip() for page in PAGES)]) + "\n"

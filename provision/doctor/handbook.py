"""docs/doctor.md, made from the registry."""

from __future__ import annotations

from provision.doctor.pages import CHECKS

MADE = "<!-- Made by `make docs` from the registry in provision/doctor/pages; a test fails when it is stale. -->"


def doctor() -> str:
    """Every id with its page."""
    rows = [f"| [{c.id}](#{c.fragment}) | {c.severity} | {c.title} |" for c in CHECKS]
    head = [
        "# What `meshctl doctor` finds",
        MADE,
        """`meshctl doctor INVENTORY` looks at all hosts at once, over libvirt and a shell (SSH, as the URI says), and changes
nothing. It judges what it saw against the guests that the inventory plans there. Each finding says what was seen, why it matters and
the command that mends it; `--json` gives the same as data, exit code 12 says that there are errors. `meshctl provision` begins
with this check and stops on errors, not on warnings. `meshctl explain MC121` prints a page of this list.""",
        "\n".join(["| id | severity | |", "|---|---|---|", *rows]),
    ]
    return "\n\n".join([*head, *(check.text().rstrip() for check in CHECKS)]) + "\n"

"""docs/diagnose.md, made from the registry; the example in it is judged from its recording. Pure."""

from __future__ import annotations

from provision.base.pages import fenced
from provision.diagnose.facts import Recording
from provision.diagnose.pages import REASONS
from provision.diagnose.text import as_text
from provision.diagnose.verdict import judge

MADE = "<!-- Made by `make docs` from the registry in provision/diagnose/pages; a test fails when it is stale. -->"

HEAD = """`meshctl diagnose INVENTORY [SERVICE]` looks at all hosts and guests at once for a minute (`--for 20s`: less), and says what makes
requests slow: causes ranked by how much of p99 each explains, with numbers, why, and the fix. It changes nothing and installs nothing:
one constant script runs on each machine, by its own python3, reads /proc and /sys before and after, follows connections by netlink, and
sends ten small packets a second to each other machine. `--json` gives the verdict as data, `--svg FILE` draws ways and times.

`--record FILE` keeps what was seen, as JSON without secrets (names, addresses and numbers only), and `--from FILE` judges such a file
again, elsewhere and without an inventory: that is a bug report that can be sent.

**How much a cause explains** is an estimate: each page says how it is reckoned. *certain* was seen to hit packets or requests, *likely*
does so where it is seen, *possible* may; an estimate counts whole, 0.6 and 0.3 in the ranking. It cannot explain more than p99, and what
was not seen to hit anything and explains less than a twentieth of it is left out. What follows from another cause on the same machine is
not told beside it. Without requests in the look there is no p99: causes are then said with what a request pays that meets them.

**What it cannot see** is said at the end: kernels without PSI, hosts without cpufreq, guests that do not answer. Times within the calling
application are its own affair: linkerd sees a request when it comes. Answer times by endpoint are of connections that wait for an answer
once a second, by how many answers come: good for tens of milliseconds, and for endpoints that are asked."""

STORY = """## An example: 500 ms, and nobody is busy

The article that meshctl is made after tells of random delays of 500 ms: `top` shows low CPU, the database idles. It was TIME_WAIT and
packet loss between nodes in different places. Such a cluster, recorded, is
[tests/data/diagnose/ghost.json](../tests/data/diagnose/ghost.json):"""


def diagnose(story: Recording, command: str) -> str:
    """Every id with its page, and the worked example."""
    rows = [f"| [{one.id}](#{one.fragment}) | {one.title} |" for one in REASONS]
    said = fenced(f"$ {command}\n{as_text(judge(story))}", "console")
    parts = ["# What `meshctl diagnose` finds", MADE, HEAD, "\n".join(["| id | |", "|---|---|", *rows]), STORY, said]
    return "\n\n".join([*parts, *(one.text().rstrip() for one in REASONS)]) + "\n"

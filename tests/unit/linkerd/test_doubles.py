"""`--fix` and `mesh migrate` write nothing that is there already, under another name or misspelt, and a second time changes nothing."""

from __future__ import annotations

import os

import pytest
import yaml

from provision.linkerd.check import validate
from provision.linkerd.mend import mend
from provision.linkerd.migrate import migrate
from tests.unit.linkerd.mutants import mutant

TRIED = int(os.environ.get("MESHCTL_MUTANTS", "50"))
NUMBERS = range(0, 5000, 5000 // TRIED)


def doubled(text: str) -> int:
    """How many items of lists, and entries of dtabs, stand there already; none in a document that an alias leads into itself."""
    try:
        return sum(map(_doubled, yaml.safe_load_all(text)))
    except (yaml.YAMLError, ValueError, RecursionError):
        return 0


def _doubled(value: object) -> int:
    if isinstance(value, dict):
        return sum(map(_doubled, value.values()))
    if isinstance(value, list):
        return len(value) - len({repr(one) for one in value}) + sum(map(_doubled, value))
    if isinstance(value, str) and "\nrouters:" in value:
        return doubled(value)
    entries = [entry.strip() for entry in value.split(";") if entry.strip()] if isinstance(value, str) else []
    return len(entries) - len(set(entries)) if any("=>" in entry for entry in entries) else 0


ROUTER = "routers:\n- protocol: http\n  servers: [{port: 4140, ip: 0.0.0.0}]\n"


@pytest.mark.parametrize(
    ("text", "release", "once"),
    [
        (f"telemetry: [{{kind: io.l5d.prometheus}}]\n{ROUTER}", "0.8.6", "io.l5d.commonMetrics"),
        (f"telemetri: [{{kind: io.l5d.commonMetrics}}]\n{ROUTER}", "0.8.6", "io.l5d.commonMetrics"),
        (f"namers: [{{kind: io.l5d.consull}}]\n{ROUTER}  dtab: /svc => /#/io.l5d.consul/dc1;\n", "1.3.6", "kind: io.l5d.consul"),
        (f"nammers: [{{kind: io.l5d.consul}}]\n{ROUTER}  dtab: /svc => /#/io.l5d.consul/dc1;\n", "1.3.6", "kind: io.l5d.consul"),
        (f"usge: {{enabled: false}}\n{ROUTER}  dtab: /svc => /$/inet/a/1;\n", "1.3.6", "enabled: false"),
        (f"{ROUTER}  bindingCach: {{paths: 5, trees: 5, bounds: 5, clients: 5}}\n", "0.8.5", "clients:"),
        (f"{ROUTER}  client:\n    failureAccrual: {{kind: io.l5d.consecutiveFailures, failurs: 3}}\n", "1.0.0", "failures: "),
        (f"{ROUTER}  dstPrefx: /svc\n  baseDtab: /svc => /$/inet/a/1;\n", "0.8.5", "dstPrefix"),
        ("routers:\n- protocol: h2\n  experimentl: true\n  servers: [{port: 4140}]\n", "1.0.0", "experimental"),
    ],
)  # fmt: skip
def test_what_is_misspelt_is_not_written_a_second_time(text: str, release: str, once: str) -> None:
    done = mend(text, release)
    assert done.done
    assert done.text.count(once) == 1, done.text


def test_mending_doubles_nothing_and_is_done_at_once() -> None:
    for number in NUMBERS:
        text, release = mutant(number)
        done = mend(text, release)
        if done.done:
            assert doubled(done.text) <= doubled(text), f"mutant {number} of linkerd {release}"
            assert mend(done.text, release).text == done.text, f"mutant {number} of linkerd {release}"


def test_migrating_doubles_nothing() -> None:
    for number in NUMBERS:
        text, release = mutant(number)
        source, target = ("0.8.5", "1.7.5") if number % 3 else (release, "0.8.5")
        done = migrate(text, source, target)
        assert doubled(done.text) <= doubled(text), f"mutant {number} from linkerd {source} to {target}"
        assert done.findings == validate(done.text, target)

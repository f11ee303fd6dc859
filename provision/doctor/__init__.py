"""What is wrong with a host before guests are made on it: facts by one read, judged by pure functions, explained by a registry.

To live here a line reads a fact, judges one, or is the page of a finding; hosts are opened elsewhere.
"""

from __future__ import annotations

from provision.doctor.facts import Facts, LibvirtFacts
from provision.doctor.finding import Finding, found
from provision.doctor.gather import gather, walk
from provision.doctor.judge_cpu import judge_cpu
from provision.doctor.judge_host import judge_host
from provision.doctor.judge_memory import judge_memory
from provision.doctor.judge_network import judge_network
from provision.doctor.judge_storage import judge_storage
from provision.doctor.patient import Patient
from provision.doctor.read import read_facts, read_libvirt

__all__ = [
    "Facts",
    "Finding",
    "LibvirtFacts",
    "Patient",
    "found",
    "gather",
    "judge",
    "read_facts",
    "read_libvirt",
    "walk",
]

JUDGES = (judge_host, judge_cpu, judge_memory, judge_storage, judge_network)


def judge(patient: Patient) -> tuple[Finding, ...]:
    """Everything that is wrong with a host, errors first, then by id."""
    findings = (finding for one in JUDGES for finding in one(patient))
    return tuple(sorted(findings, key=lambda finding: (finding.severity != "error", finding.id)))

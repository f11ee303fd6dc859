"""Mends the traps that have one answer: names that lead nowhere, settings left out, keys that stand twice."""

from __future__ import annotations

import re
from collections.abc import Callable

import yaml

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.twice import counting, strict
from provision.linkerd.knowledge.versions import number
from provision.linkerd.mend.task import Task
from provision.linkerd.routing import NAMERS
from provision.linkerd.text import scalar, spans
from provision.linkerd.text.edit import Draft
from provision.linkerd.text.plain import Data, plain

SIZE = 1000
"""Of each binding cache: linkerd's own default from 0.9.1 on."""


def namer(task: Task) -> Draft:
    """The namer that the dtab uses, when its kind needs no more than its name."""
    kinds = KNOWLEDGE.families["namer"].at(task.release)
    have = {kind for kind, _prefix in task.config.namers}
    for routing in task.config.routings:
        for _entry, leaf in routing.leaves if routing.router.dtab_at == task.at else ():
            name = leaf[1].decode(errors="replace") if leaf[:1] == (NAMERS,) and len(leaf) > 1 else ""
            kind = kinds.get(name)
            if kind is None or name in have or any(key.required for key in KNOWLEDGE.objects[kind.object].keys):
                continue
            flag = {"experimental": True} if kind.needs_flag(task.release) else {}
            return task.draft.append(("namers",), {"kind": name, **flag}, before="routers")
    raise task.refuse("the namer's settings are not known")


def names(task: Task) -> Draft:
    """A dtab for names of 0.9.0 and later, before 0.9.0: the router is told to make such names."""
    router = task.at[:2]
    protocol = task.draft.meaning((*router, "protocol"))
    taken = [key for key in ("dstPrefix", "identifier") if task.draft.written((*router, key))]
    if number(task.release) >= (0, 9, 0) or taken:
        raise task.refuse("which names the router should make is not known")
    draft = task.draft.put((*router, "dstPrefix"), "/svc", after=_last(task, router))
    if getattr(protocol, "text", "") != "http":
        return draft
    return draft.put((*router, "identifier"), {"kind": "io.l5d.header.token"}, after="dstPrefix")


def _last(task: Task, router: tuple[str | int, ...]) -> str:
    return "label" if "label" in task.draft.names(router) else "protocol"


def failures(task: Task) -> Draft:
    """The number that linkerd takes where no failure accrual is written at all."""
    return task.draft.put((*task.at, "failures"), 5, after="kind")


def twice(task: Task) -> Draft:
    """The one stays that linkerd reads before 1.0.1; where it reads none, only equal ones are one."""
    parent = task.draft.find(task.at[:-1])
    pairs = parent.value if isinstance(parent, yaml.MappingNode) else ()
    here = [value for key, value in pairs if scalar(key) == task.at[-1]]
    if strict(task.release):
        meant = [plain(value) for value in here]
        if any(value != meant[0] for value in meant):
            raise task.refuse("the values differ")
        return task.draft.remove_hidden(task.at)
    lost = counting(task.draft.root, task.release).lost
    return task.draft.remove_hidden(task.at, first=[id(value) in lost for value in here][-1:] == [True])


def metrics(task: Task) -> Draft:
    """The telemeter that serves /admin/metrics.json before 0.9.0."""
    return task.draft.append(("telemetry",), {"kind": "io.l5d.commonMetrics"})


def network(task: Task) -> Draft:
    """The transformer's flag as the pod has it: the finding says that it is the other way round."""
    at = (*task.at, "hostNetwork")
    if not task.draft.written(at):
        return task.draft.put(at, True)
    node = task.draft.find(at)
    flag = (scalar(node) or "").lower() == "true" if node is not None else False
    return task.draft.replace(at, not flag)


def cache(task: Task) -> Draft:
    """Room for a thousand services."""
    whole: Data = dict.fromkeys(("paths", "trees", "bounds", "clients"), SIZE)
    if task.draft.written(task.at):
        return task.draft.replace(task.at, SIZE)
    if task.draft.written(task.at[:-1]):
        return task.draft.put(task.at, SIZE)
    after = next((name for name in ("baseDtab", "dtab") if name in task.draft.names(task.at[:-2])), "")
    return task.draft.put(task.at[:-1], whole, after=after)


def usage(task: Task) -> Draft:
    """The way out of linkerd's reports to its makers."""
    at = ("usage", "enabled")
    return task.draft.replace(at, False) if task.draft.written(at) else task.draft.put(at, False)


def signed(task: Task) -> Draft:
    """`/io.l5d.consul/dc1` where `/#/io.l5d.consul/dc1` is meant: the sign is put before it, in the destinations of the dtab alone."""
    meant, node = task.finding.fix, task.draft.find(task.at)
    if meant[:3] not in ("/#/", "/$/") or node is None:
        raise task.refuse("which name is meant is not known")
    begin, stop = spans.start(node), spans.end(node, task.draft.text)
    written = re.compile(rf"(=>[^;\n]*?){re.escape(meant[2:])}(?=[\s;|&)\"']|$)")
    inside, count = written.subn(lambda one: one[1] + meant, task.draft.text[begin:stop])
    if not count:
        raise task.refuse("it is written in another way")
    return Draft(task.draft.text[:begin] + inside + task.draft.text[stop:])


def prefix(task: Task) -> Draft:
    """The prefix that names have, where it is the written one behind what linkerd puts before it, or without that."""
    node = task.draft.find(task.at)
    written, meant = (scalar(node) if node is not None else None) or "", task.finding.fix.removeprefix("prefix: ")
    if not written or " " in meant or not (meant.endswith(written) or written.endswith(meant)):
        raise task.refuse("which prefix is meant is not known")
    return task.draft.replace(task.at, meant)


MENDS: dict[str, Callable[[Task], Draft]] = {
    "ML341": namer,
    "ML342": names,
    "ML344": failures,
    "ML346": twice,
    "ML347": metrics,
    "ML349": network,
    "ML352": cache,
    "ML355": usage,
    "ML363": signed,
    "ML367": prefix,
    "ML368": prefix,
}

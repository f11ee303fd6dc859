"""Which changes of behaviour concern a file: what it writes, which plugins it names, and what it leaves out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import yaml

from provision.linkerd.check.twice import repeats
from provision.linkerd.knowledge.changes import Behaviour, Uses
from provision.linkerd.knowledge.walk import Chosen, Used, walk
from provision.linkerd.routing import Config
from provision.linkerd.text import get, items


@dataclass(frozen=True)
class Concern:
    """What a configuration holds, asked for many times."""

    config: Config

    def concerns(self, behaviour: Behaviour) -> bool:
        """Whether a change of behaviour is one of this file's."""
        uses = behaviour.uses
        return (
            (not uses.keys or any(self._written(key) for key in uses.keys))
            and (not uses.kinds or bool(self._kinds & set(uses.kinds)))
            and (not uses.kind_less or uses.kind_less not in self._kinds)
            and (not uses.without or any(self._lacking(self.config.root, uses.without.split("."), uses)))
            and (not uses.dtab or any(re.search(uses.dtab, one.router.dtab) for one in self.config.routings))
            and (not uses.twice or repeats(self.config.root))
        )

    @cached_property
    def _walked(self) -> tuple[Used | Chosen, ...]:
        return tuple(walk(self.config.root, self.config.release))

    @cached_property
    def _kinds(self) -> set[str]:
        return {one.id for one in self._walked if isinstance(one, Chosen)}

    @cached_property
    def _paths(self) -> set[str]:
        return {
            "." + ".".join(step for step in one.at if isinstance(step, str))
            for one in self._walked
            if isinstance(one, Used)
        }

    def _written(self, key: str) -> bool:
        return any(path.endswith(f".{key}") for path in self._paths)

    def _lacking(self, node: yaml.Node | None, path: list[str], uses: Uses) -> Iterator[bool]:
        """Whether a key is missing, for each place in which it could be."""
        name, *rest = path
        if not rest:
            yield get(node, name) is None
        elif not name.endswith("[]"):
            yield from self._lacking(get(node, name), rest, uses)
        else:
            for one in items(get(node, name[:-2])):
                if name != "routers[]" or not uses.kinds or _protocol(one) in uses.kinds:
                    yield from self._lacking(one, rest, uses)


def _protocol(router: yaml.Node) -> str:
    protocol = get(router, "protocol")
    return protocol.value if isinstance(protocol, yaml.ScalarNode) else ""

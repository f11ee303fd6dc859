"""What a base image is made of: a YAML file in images/, read strictly, and the digest that names the result."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from provision.base import data
from provision.base.errors import ImageError, cause
from provision.base.units import MIB, parse_size

SMALLEST_DISK = 1024 * MIB
"""Debian with a kernel and Docker takes about 900 MiB: a smaller disk cannot hold it."""

_PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
_UNIT = r"^[A-Za-z0-9@_.:-]+$"
_WORD = r"^[^\s\"'\\$;{}]+$"


def _size(text: str) -> str:
    if (size := parse_size(text)) < SMALLEST_DISK or size % MIB:
        raise ValueError(f"{text} is not a whole number of MiB of at least {SMALLEST_DISK // MIB}MiB")
    return text


def _file_path(text: str) -> str:
    path = Path(text)
    if not path.is_absolute() or ".." in path.parts or path.parts[1:2] not in (("etc",), ("usr",), ("var",)):
        raise ValueError(f"{text!r} is not an absolute path below /etc, /usr or /var")
    return text


Package = Annotated[str, Field(pattern=_PACKAGE)]
Unit = Annotated[str, Field(pattern=_UNIT)]
Word = Annotated[str, Field(pattern=_WORD)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Disk(_Strict):
    """The disk: its size as guests see it before their root volume grows it, and the root filesystem's label."""

    size: Annotated[str, AfterValidator(_size)]
    label: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,16}$")]

    @property
    def size_mib(self) -> int:
        """The size in MiB."""
        return parse_size(self.size) // MIB


class Initramfs(_Strict):
    """What the initial ramdisk carries: the drivers that reach the root filesystem."""

    compression: Literal["lz4", "zstd", "gzip"]
    modules: Annotated[tuple[Word, ...], Field(min_length=1, strict=False)]


class Services(_Strict):
    """systemd units to enable, disable and mask."""

    enable: Annotated[tuple[Unit, ...], Field(strict=False)] = ()
    disable: Annotated[tuple[Unit, ...], Field(strict=False)] = ()
    mask: Annotated[tuple[Unit, ...], Field(strict=False)] = ()


class File(_Strict):
    """A file of the image, owned by root."""

    path: Annotated[str, AfterValidator(_file_path)]
    content: str
    mode: Annotated[str, Field(pattern=r"^0[0-7]{3}$")] = "0644"


class Recipe(_Strict):
    """A base image, declared. `format` is the version of this file format, `version` the author's own."""

    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")]
    version: str
    suite: Annotated[str, Field(pattern=r"^[a-z]+$")]
    architecture: Literal["amd64"]
    components: Annotated[tuple[Word, ...], Field(min_length=1, strict=False)] = ("main",)
    packages: Annotated[tuple[Package, ...], Field(min_length=1, strict=False)]
    disk: Disk
    kernel_command_line: Annotated[tuple[Word, ...], Field(strict=False)] = ()
    initramfs: Initramfs
    services: Services = Services()
    files: Annotated[tuple[File, ...], Field(strict=False)] = ()


def names() -> tuple[str, ...]:
    """The recipes that there are."""
    return data.recipes()


def recipe(name: str) -> Recipe:
    """The recipe `name` of images/. Raises ImageError when there is none such or it cannot be used."""
    if name not in names():
        raise ImageError(f"there is no recipe {name!r}", hint=f"there are: {', '.join(names()) or 'none'}")
    return load(data.folder("images") / f"{name}.yaml")


def load(path: Path) -> Recipe:
    """The recipe in a file. Raises ImageError that lists every fault with file, line and field."""
    try:
        text = path.read_text(encoding="utf-8")
        root = yaml.compose(text, Loader=_StrictLoader)
        found = Recipe.model_validate(yaml.load(text, Loader=_StrictLoader))  # noqa: S506 - a SafeLoader
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ImageError(f"{path}: cannot be read: {cause(error)}") from error
    except ValidationError as error:
        raise ImageError(
            "\n".join(_faults(path, root, error)), hint="images/debian-12.yaml shows every field"
        ) from error
    if found.name != path.stem:
        raise ImageError(f"{path}: name: is {found.name!r}, the file is called {path.stem!r}")
    return found


def digest(found: Recipe, inputs: object) -> str:
    """SHA-256 over the recipe and what the builder adds of its own (`inputs`, plain data). Needs no network."""
    content = json.dumps([found.model_dump(mode="json"), inputs], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(content.encode()).hexdigest()


def _faults(path: Path, root: yaml.Node | None, error: ValidationError) -> list[str]:
    return [
        f"{path}:{_line(root, fault['loc'])}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        for fault in error.errors()
    ]


def _line(node: yaml.Node | None, location: tuple[int | str, ...]) -> int:
    """The line of the deepest node of `location` that is in the file (a missing field has none of its own)."""
    for step in location:
        if isinstance(node, yaml.MappingNode):
            node = next((value for key, value in node.value if key.value == step), node)
        elif isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step]
    return int(node.start_mark.line) + 1 if node else 1


class _StrictLoader(yaml.SafeLoader):
    """YAML without its traps: true and false are the only booleans, decimal integers the only numbers, no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for index, (key, _) in enumerate(node.value):
            if key.value in keys[:index]:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands here twice", key.start_mark)
        return super().construct_mapping(node, deep)


_StrictLoader.yaml_implicit_resolvers = {}
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^(?:0|[1-9][0-9]*)$"), list("0123456789"))
_StrictLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:null|)$"), ["n", ""])

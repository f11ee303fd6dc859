"""Changes to a configuration's text: what is meant changes as told, whatever style it is written in, and comments stay."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.linkerd.text.edit import CannotEdit, Draft

TEXT = """\
# the top
admin: {port: 9990}   # admin
routers:
# the outgoing one
- protocol: http
  # how names are made
  dtab: |
    /svc => /a ; # not a comment of YAML

    /b => /c ;

  client:
    # about retries
    retries:     # here
      budget: {ttlSecs: 5}
    loadBalancer: {kind: ewma}

# the end
usage: {enabled: false}
"""
ROUTER = ("routers", 0)


def test_a_key_moves_with_its_comments() -> None:
    moved = Draft(TEXT).move((*ROUTER, "client", "retries"), (*ROUTER, "service", "retries"), after="client")
    assert (
        """\
  client:
    loadBalancer: {kind: ewma}
  service:
    # about retries
    retries:     # here
      budget: {ttlSecs: 5}

# the end
"""
        in moved.text
    )


def test_a_literal_block_moves_with_its_lines() -> None:
    moved = Draft(TEXT).move((*ROUTER, "dtab"), ("x", "y", "dtab"))
    assert (
        "x:\n  y:\n    # how names are made\n    dtab: |\n      /svc => /a ; # not a comment of YAML\n\n      /b"
        in moved.text
    )
    assert "- protocol: http\n  client:\n" in moved.text.replace("\n\n", "\n")


def test_the_comments_of_what_is_removed_stay() -> None:
    removed = Draft(TEXT).remove((*ROUTER, "client", "retries"))
    assert "  client:\n    # about retries\n    # here\n    loadBalancer: {kind: ewma}\n" in removed.text
    assert "# admin\nrouters:" in Draft(TEXT).remove(("admin",)).text


def test_a_mapping_that_would_be_empty_goes_too() -> None:
    text = "routers:\n- protocol: http\n  client:\n    engine:\n      kind: netty4\n  label: a\n"
    assert Draft(text).remove((*ROUTER, "client", "engine")).text == "routers:\n- protocol: http\n  label: a\n"


def test_the_first_key_of_an_item_may_go() -> None:
    text = "servers:\n- engine: # e\n    kind: netty4\n  # the port\n  port: 1\n- port: 2\n"
    assert Draft(text).remove(("servers", 0, "engine")).text == "servers:\n# e\n# the port\n- port: 1\n- port: 2\n"


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("a: {b: 1, c: 2}\n", "a: {b: 1}\n"),
        ("a: {c: 2, b: 1}\n", "a: {b: 1}\n"),
        ('{"a": {"b": 1, "c": [1, {"d": 2}]}}', '{"a": {"b": 1}}'),
        ("a:\n    b: 1\n    c:\n      - 2\n", "a:\n    b: 1\n"),
        ("a:\n  c: >-\n    x\n    y\n\n  b: 1", "a:\n\n  b: 1"),
    ],
)
def test_removing_in_every_style(text: str, mended: str) -> None:
    assert Draft(text).remove(("a", "c")).text == mended


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("a: {b: 1}\n", "a: {b: 1, c: {d: x}}\n"),
        ("a: {}\n", "a: {c: {d: x}}\n"),
        ("a:\n", "a:\n  c:\n    d: x\n"),
        ("b: 1", "b: 1\na:\n  c:\n    d: x"),
        ('{"a": {\n  "b": 1\n}}', '{"a": {\n  "b": 1,\n  "c": {"d": "x"}\n}}'),
        ("- x\n", None),
    ],
)
def test_putting_in_every_style(text: str, mended: str | None) -> None:
    if mended is None:
        with pytest.raises(CannotEdit):
            Draft(text).put(("a", "c"), {"d": "x"})
    else:
        assert Draft(text).put(("a", "c"), {"d": "x"}).text == mended


NAMES = st.sampled_from(["a", "b", "c", "kind"])
LEAVES = st.one_of(
    st.integers(0, 99), st.booleans(), st.sampled_from(["x", "0.0.0.0", "/svc => /a ;\n/b => /c\n", "yes", "1"])
)
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)),
    min_size=1,
)


def written(document: Any, style: str) -> str:
    if style == "json":
        return json.dumps(document, indent=2)
    text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None if style == "mixed" else False)
    if text.startswith("{"):
        return yaml.safe_dump(document, sort_keys=False)
    lines = text.splitlines()
    return (
        "".join(f"{line}\n# c{index}\n" for index, line in enumerate(lines))
        if "svc" not in text and style == "block"
        else text
    )


@given(DOCUMENTS, st.sampled_from(["json", "block", "mixed"]), st.data())
@settings(max_examples=300, deadline=None)
def test_a_change_is_made_as_told_and_comments_stay(document: dict[str, Any], style: str, data: st.DataObject) -> None:
    text = written(document, style)
    name = data.draw(st.sampled_from(sorted(document)))
    draft = Draft(text)
    if len(document) > 1:
        removed = draft.remove((name,))
        assert yaml.safe_load(removed.text) == {key: value for key, value in document.items() if key != name}
        assert sorted(line.strip() for line in removed.text.splitlines() if "# c" in line) == sorted(
            line for line in text.splitlines() if line.startswith("# c")
        )
    put = draft.put(("new", "deep"), [{"x": "y"}])
    assert yaml.safe_load(put.text) == {**document, "new": {"deep": [{"x": "y"}]}}
    if len(document) == 1:
        return
    moved = draft.move((name,), ("new", name))
    rest = {key: value for key, value in document.items() if key != name}
    assert yaml.safe_load(moved.text) == {**rest, "new": {name: document[name]}}

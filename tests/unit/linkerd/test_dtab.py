"""Dtabs: what is parsed is printed and parsed to the same, refusals are worded like linkerd's, names end where linkerd ends them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.linkerd.routing.delegate import delegate
from provision.linkerd.routing.dtab import (
    WILDCARD,
    Alt,
    DtabError,
    Empty,
    Entry,
    Fail,
    Leaf,
    Neg,
    Tree,
    Union,
    Weighted,
    parse,
    parse_path,
    parse_tree,
    show,
    show_path,
    show_tree,
)

labels = st.binary(min_size=1, max_size=6)
paths = st.lists(labels, max_size=4).map(tuple)
weights = st.integers(0, 10_000).map(lambda thousandths: thousandths / 1000)
simple: st.SearchStrategy[Tree] = st.one_of(paths.map(Leaf), st.just(Fail()), st.just(Neg()), st.just(Empty()))


def _compound(inner: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    parts = st.lists(st.builds(Weighted, weights, inner), min_size=2, max_size=3)
    return st.one_of(
        st.lists(inner, min_size=2, max_size=3).map(lambda trees: Alt(tuple(trees))),
        parts.map(lambda some: Union(tuple(some))),
    )


trees = st.recursive(simple, _compound, max_leaves=8)
prefixes = st.lists(st.one_of(labels, st.just(WILDCARD)), max_size=4).map(tuple)
dtabs = st.lists(st.builds(Entry, prefixes, trees), max_size=5).map(tuple)


@given(dtabs)
def test_what_is_printed_is_parsed_to_the_same(entries: tuple[Entry, ...]) -> None:
    assert parse(show(entries)) == entries


@given(trees)
def test_trees_come_back(tree: Tree) -> None:
    assert parse_tree(show_tree(tree)) == tree


@given(st.text(alphabet="/svc#*|&;()=>!~$ \n0.5\\x41é"))
def test_any_text_is_parsed_or_refused_at_a_place_in_it(text: str) -> None:
    try:
        found = parse(text)
    except DtabError as error:
        place = error.offset
        assert 0 <= place <= len(text)
    else:
        assert parse(show(found)) == found


def test_the_whole_grammar() -> None:
    text = r"""
      /svc       => /#/io.l5d.k8s/default/http ;   # a comment; with => in it
      /http/*/*  => 0.9 * /a & .1 * (/b | ~) | ! ;
      /          => $ ;
      /x\x2Fy    => /host/a-b_c:1.2%20$#;
    """
    first, second, third, fourth = parse(text)
    assert first == Entry((b"svc",), Leaf((b"#", b"io.l5d.k8s", b"default", b"http")))
    assert second.prefix == (b"http", WILDCARD, WILDCARD)
    shares = Union((Weighted(0.9, Leaf((b"a",))), Weighted(0.1, Alt((Leaf((b"b",)), Neg())))))
    assert second.tree == Alt((shares, Fail()))
    assert third == Entry((), Empty())
    assert fourth == Entry((b"x/y",), Leaf((b"host", b"a-b_c:1.2%20$#")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/svc => /a ;; /b => /c", "'/' expected but ';' found at '/svc => /a ;[;] /b => /c'"),
        ("/svc /a", "'=' expected but '/' found at '/svc [/]a'"),
        ("/svc => ", "simple expected but end of input found at '/svc => []'"),
        ("/svc/ => /a", "label char expected but ' ' found at '/svc/[ ]=> /a'"),
        ("/svc => /a\n/b => /c", "end of input expected but '/' found at '/svc => /a\n[/]b => /c'"),
        ("/svc => (/a", "')' expected but end of input found at '/svc => (/a[]'"),
        ("/a\\y => /b", "'x' expected but 'y' found at '/a\\[y] => /b'"),
        ("/svc => /a/*", "label char expected but '*' found at '/svc => /a/[*]'"),
        ("svc => /a", "'/' expected but 's' found at '[s]vc => /a'"),
    ],
)
def test_refusals_are_worded_like_linkerds(text: str, message: str) -> None:
    with pytest.raises(DtabError) as refused:
        parse(text)
    assert refused.value.message == message


def test_an_empty_dtab_is_fine() -> None:
    assert parse("") == parse(" # nothing\n") == ()


def ends(dtab: str, name: str) -> list[str]:
    return [show_path(leaf) for leaf in delegate(parse(dtab), parse_path(name)).leaves]


def test_the_last_entry_wins_and_earlier_ones_are_its_fallbacks() -> None:
    dtab = "/svc => /#/old ; /svc => /host | /#/new ; /host => /#/fs ; /host/web => /$/inet/127.1/80"
    assert ends(dtab, "/svc/web") == ["/$/inet/127.1/80", "/#/fs/web", "/#/new/web", "/#/old/web"]


def test_wildcards_stand_for_one_element() -> None:
    dtab = "/http/*/* => /#/io.l5d.k8s/default/http"
    assert ends(dtab, "/http/1.1/GET/checkout") == ["/#/io.l5d.k8s/default/http/checkout"]
    assert ends(dtab, "/http/1.1") == []


def test_a_name_without_an_entry_and_one_that_runs_in_circles_end_in_nothing() -> None:
    assert ends("/other => /#/x", "/svc/web") == []
    circle = delegate(parse("/svc => /host ; /host => /svc"), parse_path("/svc/web"))
    assert (circle.leaves, circle.circle) == ((), parse_path("/svc/web"))
    burst = delegate(parse("/a => /a/a | /a/a"), parse_path("/a"))
    assert burst.circle == parse_path("/a/a")
    assert len(burst.steps) <= 3


@pytest.mark.parametrize(
    ("name", "leaf"),
    [
        ("/$/io.buoyant.http.domainToPathPfx/#/web.example.org/x", "/#/org/example/web/x"),
        ("/$/io.buoyant.http.subdomainOfPfx/example.org/#/web.example.org:80", "/#/web"),
        ("/$/io.buoyant.http.subdomainOfPfx/example.org/#/example.org", None),
        ("/$/io.buoyant.http.anyMethodPfx/#/GET/web", "/#/web"),
        ("/$/io.buoyant.http.anyMethodPfx/#/get/web", None),
        ("/$/io.buoyant.http.anyHostPfx/#/a.b/web", "/#/web"),
        ("/$/io.buoyant.hostportPfx/#/web:http/x", "/#/web/http/x"),
        ("/$/io.buoyant.porthostPfx/#/web:80", "/#/80/web"),
        ("/$/io.buoyant.porthostPfx/#/web", None),
        ("/$/inet/web/80", "/$/inet/web/80"),
    ],
)
def test_system_namers_that_rewrite_are_computed(name: str, leaf: str | None) -> None:
    assert ends("", name) == ([leaf] if leaf else [])


def test_every_step_is_told() -> None:
    found = delegate(parse("/svc => /$/io.buoyant.http.domainToPathPfx/h ; /h => /#/k8s"), parse_path("/svc/a.b"))
    assert [(step.depth, show_path(step.path), step.rule, show_tree(step.became)) for step in found.steps] == [
        (0, "/svc/a.b", "/svc", "/$/io.buoyant.http.domainToPathPfx/h/a.b"),
        (1, "/$/io.buoyant.http.domainToPathPfx/h/a.b", "/$/io.buoyant.http.domainToPathPfx", "/h/b/a"),
        (2, "/h/b/a", "/h", "/#/k8s/b/a"),
    ]

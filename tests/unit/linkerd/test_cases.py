"""Files that people really have: each folder of tests/data/linkerd/cases, and other files of its kind."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.cli import meshctl
from provision.linkerd.check import Finding, release_of
from provision.linkerd.check import validate as check
from provision.linkerd.knowledge.place import Place
from provision.linkerd.mend import mend

CASES = Path(__file__).parents[2] / "data" / "linkerd" / "cases"


def run(*arguments: str, stdin: str = "") -> Result:
    return CliRunner().invoke(meshctl, ["mesh", *arguments], input=stdin)


def found(name: str, release: str) -> list[dict[str, str]]:
    result: list[dict[str, str]] = json.loads(run("validate", str(CASES / name), "--linkerd", release, "--json").stdout)
    return result


def router(*lines: str, namers: str = "[{kind: io.l5d.consul}]") -> str:
    head = f"usage: {{enabled: false}}\nadmin: {{ip: 127.0.0.1}}\nnamers: {namers}\nrouters:\n- protocol: http\n"
    return head + "".join(f"  {line}\n" for line in (*lines, "servers: [{port: 4140, ip: 0.0.0.0}]"))


def only(text: str, release: str = "1.3.6") -> list[Finding]:
    return list(check(text, release))


def test_c01_route_takes_the_release_from_the_image() -> None:
    result = run("route", str(CASES / "c01-route-ignores-image-tag" / "l5d.yml"), "--host", "web")
    assert result.exit_code == 0
    assert result.output.startswith("io.l5d.header.token names it /svc/web\n")
    assert "ends in /#/io.l5d.k8s/default/http/web" in result.output


def test_c02_route_says_whose_dtab_it_is_and_reads_a_file_that_is_there(tmp_path: Path) -> None:
    case = CASES / "c02-route-remote-interpreter"
    asked = run("route", str(case / "linkerd.yaml"), "--linkerd", "1.3.6", "--host", "web")
    assert asked.exit_code == 1
    assert "router out asks namerd (io.l5d.namerd): its dtab is not in this file" in asked.output
    assert "No hosts" not in asked.output
    dtab = tmp_path / "namerd.dtab"
    dtab.write_text("/svc => /#/io.l5d.consul/dc1")
    told = run("route", str(case / "linkerd.yaml"), "--linkerd", "1.3.6", "--host", "web", "--dtab", str(dtab))
    assert (told.exit_code, told.output.splitlines()[-1]) == (0, "ends in /#/io.l5d.consul/dc1/web")
    read = run("route", str(case / "fs.yaml"), "--linkerd", "1.3.6", "--host", "web")
    assert (read.exit_code, read.output.splitlines()[-1]) == (0, "ends in /#/io.l5d.fs/web")
    elsewhere = run("route", str(case / "fs.yaml"), "--linkerd", "1.3.6", "--host", "web", "--folder", str(tmp_path))
    assert elsewhere.exit_code == 1
    assert "asks a file for its dtab (io.l5d.fs)" in elsewhere.output


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("io.l5d.mesh, experimental: true, dst: /$/inet/127.1/4321, root: /default", "asks namerd (io.l5d.mesh)"),
        ("io.l5d.k8s.istio, experimental: true", "asks Istio"),
        ("org.example.mine", "none of linkerd's interpreters"),
    ],
)
def test_c02_kind_no_interpreter_is_answered_from_an_empty_dtab(kind: str, words: str) -> None:
    result = run("route", "-", "--linkerd", "1.3.6", "--host", "web", stdin=router(f"interpreter: {{kind: {kind}}}"))
    assert result.exit_code == 1
    assert words in result.output


def test_c02_kind_a_config_map_of_the_same_manifest_is_read() -> None:
    inner = "".join(
        f"    {line}\n"
        for line in router(
            "interpreter: {kind: io.l5d.k8s.configMap, experimental: true, name: dtabs, filename: main}"
        ).splitlines()
    )
    manifest = (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: l5d}}\ndata:\n  config.yaml: |\n{inner}---\n"
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: dtabs}\ndata: {main: /svc => /#/io.l5d.consul/dc1}\n"
    )
    result = run("route", "-", "--linkerd", "1.3.6", "--host", "web", stdin=manifest)
    assert (result.exit_code, result.output.splitlines()[-1]) == (0, "ends in /#/io.l5d.consul/dc1/web")


def test_c03_h2_names_by_the_path() -> None:
    case = str(CASES / "c03-route-h2-header-path" / "linkerd.yaml")
    result = run("route", case, "--linkerd", "1.3.6", "--path", "/pkg.Greeter/SayHello")
    assert result.exit_code == 0
    assert result.output.startswith("io.l5d.header.path names it /svc/pkg.Greeter\n")
    assert result.output.splitlines()[-1] == "ends in /#/io.l5d.consul/dc1/pkg.Greeter"


H2 = "routers:\n- protocol: h2\n  experimental: true\n  identifier: {identifier}\n  servers: [{{port: 4140, ip: 0.0.0.0}}]\n"
PATH = ("--path", "/pkg.Greeter/SayHello?x=1")


@pytest.mark.parametrize(
    ("identifier", "release", "arguments", "words"),
    [
        ("{kind: io.l5d.header.path}", "1.3.6", PATH, "/svc/pkg.Greeter/SayHello"),
        ("{kind: io.l5d.header.path, segments: 2}", "1.3.6", PATH, "/svc/pkg.Greeter/SayHello"),
        ("{kind: io.l5d.header.path, segments: 3}", "1.3.6", PATH, "Path must have at least 3 segment(s)"),
        ("{kind: io.l5d.header.path, segments: 0}", "1.3.6", PATH, "`segments` must be >= 1: linkerd does not start"),
        ("{kind: io.l5d.header.path}", "1.3.6", (), "Missing destination path"),
        ("{kind: io.l5d.header.path, header: My}", "1.3.6", ("--header", "my: /a/b/"), "/svc/a/b"),
        ("{kind: io.l5d.headerPath, segments: 1}", "0.9.0", PATH, "/svc/pkg.Greeter"),
        (
            "{kind: io.l5d.headerPath, segments: 1}",
            "1.3.6",
            PATH,
            "linkerd 1.3.6 has no identifier io.l5d.headerPath for h2",
        ),
        ("{kind: io.l5d.header.token}", "1.3.6", ("--host", "Web"), "/svc/Web"),
        ("{kind: io.l5d.header.token}", "1.3.6", (), "missing header: ':authority'"),
        ("{kind: io.l5d.header.token, header: to}", "1.3.6", ("--header", "to:b"), "/svc/b"),
        ("{kind: io.l5d.headerToken}", "0.8.5", ("--host", "Web"), "/h2/Web"),
        ("null", "0.8.5", ("--host", "Web"), "io.l5d.headerToken names it /h2/Web"),
        ("null", "1.3.6", ("--host", "Web"), "io.l5d.header.token names it /svc/Web"),
        ("{kind: io.l5d.methodAndHost}", "1.3.6", ("--host", "Web"), "has no identifier io.l5d.methodAndHost for h2"),
        ("{kind: io.l5d.ingress}", "1.3.6", ("--host", "Web"), "asks a cluster"),
        ("{kind: io.l5d.k8s.istio}", "1.3.6", ("--host", "Web"), "asks a cluster"),
        ("{kind: org.example.mine}", "1.3.6", ("--host", "Web"), "what a plugin makes of a request is not known here"),
    ],
)
def test_c03_kind_h2(identifier: str, release: str, arguments: tuple[str, ...], words: str) -> None:
    text = H2.format(identifier=identifier)
    assert words in run("route", "-", "--linkerd", release, *arguments, stdin=text).output


@pytest.mark.parametrize(
    ("identifier", "release", "arguments", "words"),
    [
        ("{kind: io.l5d.methodAndHost}", "1.3.6", ("--host", "Web"), "/svc/1.1/GET/web\n"),
        ("{kind: io.l5d.methodAndHost}", "1.3.6", ("--http", "1.0", "--method", "PUT"), "/svc/1.0/PUT\n"),
        ("{kind: io.l5d.methodAndHost}", "1.3.6", (), "HTTP/1.1 request missing hostname"),
        ("null", "1.3.6", ("--path", "http://web:80/x"), "/svc/web:80\n"),
        ("null", "1.3.6", (), "Host header is absent"),
        ("null", "1.3.6", ("--host", "a/b"), "names it /svc/\\x61\\x2f\\x62\n"),
        ("{kind: io.l5d.header}", "1.3.6", (), "l5d-name header is absent"),
        ("{kind: io.l5d.header, header: to}", "1.3.6", ("--header", "To: /a/b"), "/svc/a/b\n"),
        ("{kind: io.l5d.header, header: to}", "1.3.6", ("--header", "To: a"), "'/' expected but 'a' found"),
        ("{kind: io.l5d.path}", "1.3.6", ("--path", "/a/b?c"), "/svc/a\n"),
        ("{kind: io.l5d.path, segments: 2}", "1.3.6", ("--path", "/a/"), "not enough segments in path"),
        ("{kind: io.l5d.path, segments: 2}", "1.3.6", ("--path", "/a//b"), "requirement failed"),
        ("{kind: io.l5d.path}", "1.3.6", ("--path", "/"), "not enough segments in path\n"),
        ("{kind: io.l5d.static, path: /a/b}", "1.3.6", (), "/svc/a/b\n"),
        ("{kind: io.l5d.header.path}", "1.3.6", (), "has no identifier io.l5d.header.path for http"),
        ("{kind: io.l5d.http.ingress}", "0.9.1", (), "asks a cluster"),
        ("[{kind: io.l5d.ingress}, {kind: io.l5d.header.token}]", "1.3.6", ("--host", "b"), "asks a cluster"),
    ],
)
def test_c03_kind_http(identifier: str, release: str, arguments: tuple[str, ...], words: str) -> None:
    text = router(f"identifier: {identifier}")
    assert words in run("route", "-", "--linkerd", release, *arguments, stdin=text).output


@pytest.mark.parametrize(
    ("protocol", "more", "release", "arguments", "name"),
    [
        ("thrift", "", "0.8.5", (), "/thrift"),
        ("thrift", "thriftMethodInDst: true, ", "1.3.6", ("--method", "ping"), "/svc/ping"),
        ("mux", "", "1.3.6", ("--path", "/a/b"), "/svc/a/b"),
    ],
)
def test_c03_kind_other_protocols(
    protocol: str, more: str, release: str, arguments: tuple[str, ...], name: str
) -> None:
    text = f"routers:\n- {{protocol: {protocol}, {more}servers: [{{port: 4140}}]}}\n"
    output = run("route", "-", "--linkerd", release, *arguments, stdin=text).output
    assert output.startswith(f"{protocol} names it {name}\n")


def ids(name: str, release: str = "1.3.6") -> list[tuple[str, str]]:
    return [(one["id"], one["message"]) for one in found(name, release)]


def test_c05_names_that_end_in_nothing() -> None:
    case = "c05-every-name-ends-in-nothing/"
    assert ids(case + "no-dtab.yaml") == [
        ("ML362", "the router has no dtab: every name, such as /svc/HOST, ends in nothing")
    ]
    ((id_, message),) = ids(case + "no-hash.yaml")
    assert (id_, message.partition(":")[0]) == ("ML363", "/io.l5d.consul is no namer")
    assert "names of namers begin with /#/" in message
    assert ids(case + "typo.yaml") == [("ML363", "/host => /svr leads nowhere: no entry begins with /svr")]
    ((id_, message),) = ids(case + "no-dollar.yaml")
    assert (id_, "they begin with /$/" in message) == ("ML363", True)


@pytest.mark.parametrize(
    ("dtab", "id_", "fix"),
    [
        ("/svc => /$/inet/127.0.0.1", "ML364", "/$/inet/HOST/PORT"),
        ("/svc => /$/io.l5d.consul/dc1", "ML364", "names of namers begin with /#/: /#/io.l5d.consul"),
        ("/svc => /$/io.buoyant.http.domainToPathPx/h ; /h => /#/io.l5d.consul/dc1", "ML364", "domainToPathPfx"),
        ("/svc => /#/io.l5d.consul", "ML364", "/#/io.l5d.consul/DATACENTRE/SERVICE"),
        ("/svc => /#/io.l5d.consuls/dc1", "ML341", "did you mean /#/io.l5d.consul?"),
        ("/hots => /#/io.l5d.consul/dc1 ; /svc => /host", "ML363", "did you mean /hots?"),
        ("/svc => /a | /b", "ML363", "an entry `/a => …`"),
        ("/svc => /#io.l5d.consul/dc1", "ML363", "/#/io.l5d.consul/dc1"),
        ("/svc => /$inet/127.0.0.1/80", "ML363", "/$/inet/127.0.0.1/80"),
        ("/svc => /$/inet/127.0.0.1/http", "ML364", "/$/inet/HOST/PORT"),
        ("", "ML362", "from /svc to a namer"),
        ("# only a comment", "ML362", "from /svc to a namer"),
    ],
)
def test_c05_kind(dtab: str, id_: str, fix: str) -> None:
    assert any(one.id == id_ and fix in one.fix for one in only(router(f'dtab: "{dtab}"'))), only(
        router(f'dtab: "{dtab}"')
    )


@pytest.mark.parametrize(
    "line",
    [
        "dtab: /svc => /#/io.l5d.consul/dc1",
        "dtab: /svc => /host | ~ ; /host => /#/io.l5d.consul/dc1",
        "dtab: /svc => /#/io.l5d.consul/dc1 ; /svc/old => /gone | !",
        "dtab: /ph => /$/io.buoyant.rinet ; /svc => /ph/80",
        "dtab: /svc => /$/inet/127.0.0.1/8080",
        "dtab: /hp => /$/inet ; /svc => /$/io.buoyant.hostportPfx/hp",
        "dtab: /svc => /$/org.example.mine/x",
        "dstPrefix: /#/io.l5d.consul/dc1",
        "interpreter: {kind: io.l5d.namerd, dst: /$/inet/127.1/4100}",
        "interpreter: {kind: default, transformers: [{kind: io.l5d.const, path: /$/inet/127.1/80}]}",
    ],
)
def test_c05_near_misses(line: str) -> None:
    assert [one for one in only(router(line)) if "ML362" <= one.id <= "ML368"] == []


def test_c05_kind_a_namer_has_another_prefix() -> None:
    text = router("dtab: /svc => /#/io.l5d.consul/dc1", namers="[{kind: io.l5d.consul, prefix: /disco}]")
    assert [(one.id, one.fix) for one in only(text)] == [
        ("ML341", "the prefix of that namer is /disco: write /#/disco")
    ]
    signed = router("dtab: /svc => /#/disco/dc1", namers="[{kind: io.l5d.consul, prefix: /#/disco}]")
    assert ("ML367", "prefix: /disco") in [(one.id, one.fix) for one in only(signed)]


def test_c06_prefixes_that_no_name_begins_with() -> None:
    every = found("c06-prefix-that-no-client-has/linkerd.yaml", "1.4.0")
    assert [(one["id"], one["field"]) for one in every] == [
        ("ML368", "routers[0].client.configs[0].prefix"),
        ("ML368", "routers[0].client.configs[1].prefix"),
        ("ML368", "routers[0].service.configs[0].prefix"),
    ]
    assert every[0]["fix"] == "prefix: /%/io.l5d.k8s.daemonset/default/incoming/l5d/#/io.l5d.k8s.out"
    assert "plain text" in every[0]["message"]
    assert "service.configs" in every[1]["fix"]
    assert every[2]["fix"].endswith("prefix: /svc/web")


@pytest.mark.parametrize(
    ("section", "prefix", "wrong"),
    [
        ("client", "/#/io.l5d.consul/*/{service}", False),
        ("client", "/#/io.l5d.consul/dc1", False),
        ("client", "/", False),
        ("client", "/#/io.l5d.consul/dc2", True),
        ("client", "/#/io.l5d.fs", True),
        ("client", "/svc", True),
        ("client", "/io.l5d.consul", True),
        ("service", "/svc/web", False),
        ("service", "/svc/{host}", False),
        ("service", "/host/web", True),
        ("service", "/svc/web/more", True),
    ],
)
def test_c06_kind(section: str, prefix: str, wrong: bool) -> None:
    config = f'{section}: {{kind: io.l5d.static, configs: [{{prefix: "{prefix}"}}]}}'
    text = router("dtab: /svc => /#/io.l5d.consul/dc1", config)
    assert [one.id for one in only(text, "1.4.0")] == ["ML368"] * wrong


def test_c07_the_way_to_namerd() -> None:
    ((id_, message),) = ids("c07-interpreter-dst/a.yaml")
    assert (id_, message) == ("ML366", "nothing binds it: no such namer is configured: /#/io.l5d.k8s")


@pytest.mark.parametrize(
    ("dst", "wrong"),
    [
        ("/$/inet/127.0.0.1/4100", False),
        ("/#/io.l5d.consul/dc1/namerd", False),
        ("/$/inet/127.0.0.1", True),
        ("/inet/127.0.0.1/4100", True),
        ("/svc/namerd", True),
        ("/#/io.l5d.consul/namerd", True),
        ("/$/nosuch/x", True),
    ],
)
def test_c07_kind(dst: str, wrong: bool) -> None:
    text = router(f"interpreter: {{kind: io.l5d.namerd, dst: {dst}}}")
    assert [one.id for one in only(text)] == ["ML366"] * wrong


def test_c14_a_dtab_in_a_circle() -> None:
    case = "c14-dtab-in-a-circle/linkerd.yaml"
    ((id_, message),) = ids(case)
    assert (id_, message.startswith("/svc/web runs in a circle")) == ("ML365", True)
    result = run("route", str(CASES / case), "--linkerd", "1.3.6", "--host", "web")
    assert result.exit_code == 1
    assert "runs in a circle at /svc/web: the request fails" in result.output
    assert "Max recursion level reached" in result.output
    assert len(result.output.splitlines()) < 8
    other = run("route", str(CASES / case), "--linkerd", "1.3.6", "--host", "shop")
    assert (other.exit_code, other.output.splitlines()[-1]) == (0, "ends in /#/io.l5d.fs/shop")


@pytest.mark.parametrize(
    ("dtab", "circle"),
    [
        ("/svc => /host ; /host => /svc", True),
        ("/svc => /svc/a", True),
        ("/svc => /$/io.buoyant.http.anyHostPfx/svc", False),
        ("/svc => /#/io.l5d.consul/dc1 ; /svc/web => /host/web ; /host => /svc", True),
        ("/host => /#/io.l5d.consul/dc1 ; /svc => /host ; /svc/web => /host/web-v2", False),
        ("/svc => /svc/a ; /svc => /#/io.l5d.consul/dc1", False),
    ],
)
def test_c14_kind(dtab: str, circle: bool) -> None:
    assert ("ML365" in [one.id for one in only(router(f"dtab: {dtab}"))]) == circle


def test_c16_the_advice_is_for_the_release_at_hand() -> None:
    every = {one["id"]: one for one in found("c16-advice-of-another-release/linkerd.yaml", "1.3.6")}
    assert (every["ML363"]["message"], every["ML363"]["fix"]) == (
        "/svc => /sv leads nowhere: no entry begins with /sv",
        "did you mean /srv?",
    )
    assert "0.9.0" not in every["ML342"]["fix"]
    assert "/http" not in every["ML342"]["fix"]
    (old,) = [one for one in only(router("baseDtab: /svc => /#/io.l5d.consul/dc1"), "0.8.5") if one.id == "ML342"]
    assert "/http/*/*" in old.fix


def test_c09_a_misspelt_routers_is_a_fault_and_not_a_clean_file() -> None:
    case = str(CASES / "c09-nothing-checked-is-called-fine" / "cm.yml")
    result = run("validate", case, "--json")
    assert result.exit_code == 1
    assert [one["fix"] for one in json.loads(result.stdout) if one["id"] == "ML304"] == ["did you mean routers?"]


OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\ndata: {nginx.conf: x}\n"


def test_c09_kind_nothing_to_check_has_its_own_exit_code(tmp_path: Path) -> None:
    result = run("validate", "-", stdin=OTHER)
    assert result.exit_code == 21
    assert "no linkerd configuration in it" in result.stdout
    assert "there is ConfigMap web" in result.stdout
    broken = tmp_path / "linkerd.yaml"
    broken.write_text("routers: []\n")
    assert run("validate", "-", str(broken), stdin=OTHER).exit_code == 1


def in_a(kind: str, key: str, text: str, name: str = "l5d-config") -> str:
    inner = "".join(f"    {line}\n" for line in text.splitlines())
    return f"apiVersion: v1\nkind: {kind}\nmetadata: {{name: {name}}}\n{key}:\n  config.yaml: |\n{inner}"


@pytest.mark.parametrize(
    ("manifest", "code"),
    [
        (in_a("Secret", "stringData", "routers: []"), 1),
        (in_a("ConfigMap", "data", "namers: []\nrouter: []", "mesh"), 1),
        (in_a("ConfigMap", "data", "admin: {port: 1}", "web"), 21),
        (in_a("ConfigMap", "data", "x: {port: 1}"), 21),
        (in_a("ConfigMap", "data", "storage: {kind: io.l5d.inMemory}\ninterfaces: [{kind: io.l5d.mesh}]", "namerd"), 0),
        (in_a("Secret", "data", "cm91dGVycw=="), 21),
    ],
)
def test_c09_kind_what_counts_as_a_configuration(manifest: str, code: int) -> None:
    assert run("validate", "-", "--linkerd", "1.3.6", stdin=manifest).exit_code == code


def test_c09_kind_manifests_are_looked_at_together(tmp_path: Path) -> None:
    pod, config = tmp_path / "pod.yml", tmp_path / "config.yml"
    whole = (CASES / "c01-route-ignores-image-tag" / "l5d.yml").read_text()
    first, _, second = whole.partition("---\n")
    config.write_text(first)
    pod.write_text(second)
    assert run("validate", str(pod)).exit_code == 21
    both = run("validate", str(pod), str(config))
    assert both.exit_code == 0
    assert "config.yml: 0 errors and 0 traps for linkerd 1.3.6" in both.stderr


def test_c10_namerds_file_is_known_and_judged() -> None:
    ((id_, message),) = ids("c10-namerds-file/namerd.yaml")
    assert (id_, message.partition(":")[0]) == ("ML393", "this is namerd's configuration (storage, interfaces)")


@pytest.mark.parametrize(
    ("old", "new", "id_", "words"),
    [
        ("io.l5d.inMemory", "io.l5d.inMemry", "ML309", "did you mean io.l5d.inMemory?"),
        ("port: 4321", "prot: 4321", "ML308", "did you mean port?"),
        ("io.l5d.mesh", "io.l5d.meshed", "ML309", "did you mean io.l5d.mesh?"),
        ("/svc => /#/io.l5d.fs;", "/svc = /#/io.l5d.fs;", "ML316", "entries are parted by ;"),
        ("/svc => /#/io.l5d.fs;", "/svc => /#/io.l5d.consul;", "ML341", "io.l5d.consul"),
        ("- {kind: io.l5d.mesh, ip: 0.0.0.0, port: 4321}", "  []", "ML310", "io.l5d.mesh"),
        (
            "- {kind: io.l5d.mesh",
            "- {kind: io.l5d.httpController, port: 4321}\n- {kind: io.l5d.mesh",
            "ML360",
            "another port",
        ),
    ],
)
def test_c10_kind(old: str, new: str, id_: str, words: str) -> None:
    text = (CASES / "c10-namerds-file" / "namerd.yaml").read_text()
    every = only(text.replace(old, new))
    assert [(one.id, words in one.fix) for one in every if one.id != "ML393"] == [(id_, True)]


def test_c11_placeholders_are_said_once() -> None:
    for name, release in (("nomad", "1.3.6"), ("helm", "1.3.6"), ("env", "1.0.2")):
        every = [one for one in found(f"c11-placeholders/{name}.yaml", release) if one["id"] != "ML353"]
        assert [one["id"] for one in every] == ["ML392"], name
        assert every[0]["severity"] == "error"
        assert "render the template first" in every[0]["fix"]


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ("dtab: /svc => /#/io.l5d.consul/${DC} ;", "trap"),
        ("dtab: /svc => /$/inet/127.0.0.1/$${PORT} ;", "trap"),
        ("dtab: {{ .Values.dtab }}", "error"),
        ('dtab: "{{ .Values.dtab }}"', "error"),
        ("{{ toYaml .Values.router | nindent 2 }}", "error"),
        ("dtab: <%= @dtab %>", "error"),
        ("label: ${LABEL}", "trap"),
        ("label: $LABEL", "trap"),
        ("label: __LABEL__", "trap"),
        ("label: <LABEL>", "trap"),
        ("label: '@LABEL@'", "trap"),
        ("bindingTimeoutMs: $TIMEOUT", "error"),
        ("bindingTimeoutMs: [[ .timeout ]]", "error"),
        ("{% if tls %}", "error"),
    ],
)
def test_c11_kind(line: str, severity: str) -> None:
    more = ("dtab: /svc => /#/io.l5d.consul/dc1",) if "dtab" not in line and "toYaml" not in line else ()
    assert [(one.id, one.severity) for one in only(router(line, *more))] == [("ML392", severity)]


def test_c11_kind_what_is_no_placeholder_is_judged() -> None:
    text = router("dtab: /svc => /#/io.l5d.consul/${DC} ;", "labl: x")
    assert {one.id for one in only(text)} == {"ML305", "ML392"}
    assert [one.id for one in only(router("dtab: /svc => /#/io.l5d.consul/dc1 # ${DC}"))] == []


def test_c12_keys_that_slipped_out() -> None:
    every = [one for one in found("c12-keys-that-slipped-out/linkerd.yaml", "1.1.2") if one["id"] != "ML353"]
    assert [(one["field"], one["fix"]) for one in every] == [
        ("rootDir", "indent it below `- kind: io.l5d.fs`"),
        ("dtab", "indent it below `- protocol: http`"),
        ("servers", "indent it below `- protocol: http`"),
    ]
    assert every[0]["message"] == "rootDir is a key of a namer: it has slipped out of namers[0]"


def test_c12_fix_puts_them_back() -> None:
    text = (CASES / "c12-keys-that-slipped-out" / "linkerd.yaml").read_text()
    mended = mend(text, "1.1.2")
    assert [one.id for one in mended.left] == ["ML353"]
    assert "  rootDir: disco\n" in mended.text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("routers:\n- protocol: http\n  servers:\n  - port: 4140\n  ip: 0.0.0.0\n", "indent it below `- port: 4140`"),
        (
            "routers:\n- protocol: http\n  client:\n    loadBalancer:\n      kind: ewma\n    decayTimeMs: 5\n  servers: [{port: 1}]\n",
            "indent it below `kind: ewma`",
        ),
        ("namers:\n- kind: io.l5d.consul\n  routers:\n  - protocol: http\n", "move it to the left"),
        (
            "routers:\n- protocol: http\n  failures: 5\n  loadBalancer: {kind: ewma}\n  servers: [{port: 1}]\n",
            "below `client:`",
        ),
        (
            "routers:\n- protocol: http\n  servers:\n- port: 4140\n  ip: 0.0.0.0\n",
            "indent it below `servers:`",
        ),
        ("routers:\n- protocol http\n", "a colon is missing: `protocol: http`"),
        ("routers:\n- protocol:http\n", "a space is missing behind the colon: `protocol: http`"),
        ("routers:\n- protocol: http\n  label out\n  servers: [{port: 1}]\n", "line 3 has no colon: `label: out`"),
    ],
)
def test_c12_kind(text: str, words: str) -> None:
    fixes = [one.fix for one in only(text)]
    assert any(words in fix for fix in fixes), fixes


@pytest.mark.parametrize(
    ("line", "release", "when", "command"),
    [
        ("client: {kind: io.l5d.static, configs: [{prefix: /}]}", "0.8.5", "from 1.0.0", "--from 1.0.0 --to 0.8.5"),
        ("client: {tls: {kind: io.l5d.static, commonName: x}}", "1.3.6", "to before 1.0.0", "--from 0.9.1 --to 1.3.6"),
        ("client: {tls: {caCertPath: /x}}", "1.3.6", "to before 1.0.0", "--from 0.9.1 --to 1.3.6"),
        ("baseDtab: /svc => /#/io.l5d.consul/dc1", "1.3.6", "to before 0.9.0", "--from 0.8.6 --to 1.3.6"),
        ("client: {engine: {kind: netty3}}", "1.3.6", "to before 1.3.0", "--from 1.2.1 --to 1.3.6"),
    ],
)
def test_c16_kind_a_key_of_other_releases_is_said_to_be_one(line: str, release: str, when: str, command: str) -> None:
    every = [one for one in only(router(line), release) if one.id.startswith("ML30") and "usage" not in one.message]
    assert any(when in one.message and command in one.fix for one in every), every
    assert not [one for one in every if "no release has" in one.message]


def test_c05_and_c06_mend_themselves_where_one_answer_fits() -> None:
    for name, key in (("no-hash", "/#/io.l5d.consul/dc1"), ("no-dollar", "/$/inet/127.0.0.1/8080")):
        mended = mend((CASES / "c05-every-name-ends-in-nothing" / f"{name}.yaml").read_text(), "1.3.6")
        assert mended.left == ()
        assert f"/svc => {key};" in mended.text
    text = (CASES / "c06-prefix-that-no-client-has" / "linkerd.yaml").read_text()
    mended = mend(text, "1.4.0")
    assert '/%/io.l5d.k8s.daemonset/default/incoming/l5d/#/io.l5d.k8s.out"\n' in mended.text
    assert [one.field for one in mended.left] == [
        "routers[0].client.configs[1].prefix",
        "routers[0].service.configs[0].prefix",
    ]


TRACED = """\
usage: {enabled: false}
admin: {ip: 127.0.0.1}
tracers:
- {kind: io.l5d.zipkin, host: a.b, sampleRate: 0.001}
telemetry:
- {kind: io.l5d.zipkin, host: a.b, sampleRate: 0.001}
"""


def test_fix_never_doubles_an_entry() -> None:
    rest = router("dtab: /svc => /#/io.l5d.consul/dc1").partition("namers")[2]
    mended = mend(f"{TRACED}namers{rest}", "1.3.6")
    assert mended.text.count("io.l5d.zipkin") == 1
    differs = mend(f"{TRACED.replace('a.b', 'c.d', 1)}namers{rest}", "1.3.6")
    assert [one.id for one in differs.left if one.severity == "error"] == ["ML304"]
    assert differs.text.count("io.l5d.zipkin") == 2


def test_c02_a_dtab_file_is_read_where_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "disco").mkdir()
    fs = (CASES / "c02-route-remote-interpreter" / "fs.yaml").read_text()

    def judged(dtab: str) -> list[tuple[str, str]]:
        (tmp_path / "example.dtab").write_text(dtab)
        every = check(fs, "1.3.5", Place(folder=str(tmp_path)))
        return [(one.id, one.message) for one in every if one.field == "routers[0].interpreter.dtabFile"]

    assert judged("/svc => /#/io.l5d.fs ;\n") == []
    ((id_, message),) = judged("/http/*/* => /#/io.l5d.fs ;\n")
    assert (id_, "example.dtab: no request has a name that begins with /http/*/*" in message) == ("ML342", True)
    assert [one for one, _ in judged("/svc => /#/io.l5d.consul/dc1")] == ["ML341"]
    assert [one for one, _ in judged("/svc => /io.l5d.fs")] == ["ML363"]
    assert judged("/svc => \n\n=")[0] == ("ML316", "line 3 of example.dtab: linkerd cannot read it")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("apiVersion: v1\nname: l5d\nversion: 0.1.0\n", "a Helm chart's Chart.yaml"),
        ("version: '2'\nservices: {l5d: {image: linkerd}}\n", "docker-compose"),
        (
            "image: {tag: 1.3.6}\nreplicaCount: 2\nresources: {}\n",
            "another program's, by its keys: image, replicaCount, resources",
        ),
    ],
)
def test_c09_kind_files_of_other_programs_are_named(text: str, words: str) -> None:
    result = run("validate", "-", stdin=text)
    assert result.exit_code == 21
    assert words in result.stdout


def test_c12_kind_dashes_tabs_and_kinds_of_something_else() -> None:
    assert any("begins with a dash" in one.fix for one in only("routers:\n  protocol: http\n"))
    (tab,) = only("routers:\n- protocol: http\n\tlabel: x\n")
    assert tab.fix == "line 3 is indented by a tab: YAML wants spaces"
    (bad,) = only("routers:\n- protocol: http\n   label: x\n")
    assert "look at the indentation of line 3" in bad.fix
    wrong = [one for one in only(router("interpreter: {kind: io.l5d.consul}")) if one.id == "ML309"]
    assert "that is a namer" in wrong[0].message


def test_c16_kind_the_advice_for_get_alone_has_the_routers_prefix() -> None:
    text = router("identifier: {kind: io.l5d.methodAndHost}", "dtab: /svc/1.1/GET => /#/io.l5d.consul/dc1")
    assert [(one.id, one.fix.partition(",")[0]) for one in only(text)] == [("ML356", "`/svc/1.1/* => …`")]


REWRITTEN = """\
namers:
- {kind: io.l5d.consul}
- {kind: io.l5d.rewrite, prefix: /swap, pattern: "/{tag}/{name}", name: "/consul/dc1/{name}-{tag}"}
routers:
- protocol: http
  identifier: {kind: io.l5d.path, segments: 3}
  dtab: /svc => /#/swap ; /consul => /#/io.l5d.consul
  servers: [{port: 4140, ip: 0.0.0.0}]
"""


def test_route_follows_a_rewriting_namer() -> None:
    result = run("route", "-", "--linkerd", "1.3.6", "--path", "/blue/web/rest", stdin=REWRITTEN)
    assert "/#/swap/blue/web/rest  by /#/swap  becomes /consul/dc1/web-blue" in result.output
    assert result.output.splitlines()[-1] == "ends in /#/io.l5d.consul/dc1/web-blue"
    short = REWRITTEN.replace("segments: 3", "segments: 1")
    assert run("route", "-", "--linkerd", "1.3.6", "--path", "/blue", stdin=short).exit_code == 1


def test_c16_kind_a_key_of_another_protocol_is_said_to_be_one() -> None:
    text = H2.format(identifier="{kind: io.l5d.header.token}") + "  httpAccessLog: logs\n"
    (wrong,) = [one for one in only(text) if one.id == "ML305"]
    assert wrong.message == "httpAccessLog is a key of http routers, not of h2's"
    assert wrong.fix == "did you mean h2AccessLog?"


def test_c12_kind_hundreds_of_unknown_keys_take_no_time() -> None:
    text = router("dtab: /svc => /#/io.l5d.consul/dc1", "client:", *(f"  nokey{number}: 1" for number in range(560)))
    begin = time.process_time()
    assert sum(one.id == "ML306" for one in only(text)) == 560
    assert time.process_time() - begin < 1


def test_c05_kind_names_are_followed_over_a_rewriting_namer() -> None:
    def found_in(text: str) -> list[tuple[str, str]]:
        return [(one.id, one.message) for one in only(f"usage: {{enabled: false}}\nadmin: {{ip: 127.0.0.1}}\n{text}")]

    assert found_in(REWRITTEN) == []
    assert [one for one, _ in found_in(REWRITTEN.replace("/consul =>", "/konsul =>"))] == ["ML342"]
    lost = REWRITTEN.replace("/consul => /#/io.l5d.consul", "/consul => /io.l5d.consul")
    assert [one for one, _ in found_in(lost)] == ["ML363"]


@pytest.mark.parametrize(
    "line", ["dtab: {{ .Values.dtab }}", "dtab: /svc => /$/inet/127.0.0.1/${PORT}", "{{- if .x }}"]
)
def test_c11_kind_route_says_that_it_is_a_template(line: str) -> None:
    result = run("route", "-", "--linkerd", "1.3.6", "--host", "web", stdin=router(line))
    assert result.exit_code == 1
    assert "is a template's placeholder: render the template first" in result.output


@pytest.mark.parametrize(
    ("old", "new", "release"),
    [
        ("buoyantio/linkerd:1.3.6", "registry.example.org:5000/mesh/linkerd:1.4.0-rc1", "1.4.0"),
        ("buoyantio/linkerd:1.3.6", "buoyantio/linkerd:1.2.1@sha256:0", "1.2.1"),
        ("args: [/c/config.yaml]", "command: [/run, /c/config.yaml]", "1.3.6"),
        ("buoyantio/linkerd:1.3.6", "buoyantio/namerd:1.3.5", "1.3.5"),
        ("buoyantio/linkerd:1.3.6", "buoyantio/linkerd:latest", None),
    ],
)
def test_c01_kind_the_release_of_an_image(old: str, new: str, release: str | None) -> None:
    text = (CASES / "c01-route-ignores-image-tag" / "l5d.yml").read_text()
    assert old in text
    assert release_of(text.replace(old, new)) == release


def test_c12_kind_items_that_slipped_out_are_said_once() -> None:
    head = "usage: {enabled: false}\nrouters:\n- protocol: http\n  dtab: /svc => /$/inet/127.1/80\n"
    text = head + "  servers:\n- port: 4140\n  ip: 0.0.0.0\n"
    assert [one.message for one in only(text)] == [
        "this is an item of servers: it has slipped out of routers[0].servers"
    ]

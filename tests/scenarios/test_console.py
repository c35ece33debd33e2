"""The console's own language: files, words, names and kubectl's sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from longshore.testing.console.commands import COMMANDS
from longshore.testing.console.names import Names, natural
from longshore.testing.console.player import BadScript, play
from longshore.testing.console.refusals import lines_of
from longshore.testing.console.script import parsed
from longshore.testing.console.shorthand import document
from longshore.testing.console.words import read, split
from longshore.testing.kube.naming import kind_of
from longshore.testing.simulator.medium import Entry

SESSION = """\
# nodes: 3
# what it is about

$ apply <<EOF
# this is YAML, and no comment

a: b
EOF
one
  two
$ advance 1s
# the end
"""


def test_a_file_is_read_and_written_back() -> None:
    script = parsed(SESSION)
    apply, advance = script.commands
    assert (script.nodes, apply.number, apply.printed) == (3, 4, ["one", "  two"])
    assert (apply.body, advance.printed) == (["# this is YAML, and no comment", "", "a: b"], [])
    assert script.text([apply.printed, []]) == SESSION
    assert script.text([["three"], ["four"]]).endswith(
        "EOF\nthree\n$ advance 1s\nfour\n# the end\n"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [("lost\n", "line 1 is neither"), ("$ apply <<EOF\na: b\n", "line 1: the document after")],
)
def test_a_file_that_is_none_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parsed(text)


def test_words_options_and_settings() -> None:
    assert split("create pod a-{1..2} & get pods <<EOF") == [
        ["create", "pod", "a-1", "a-2"], ["get", "pods"],
    ]  # fmt: skip
    words = read(["pod", "a", "-l", "app=web", "image=x:1", "--cascade=orphan", "-A", "-3h"], "")
    assert words.options == {"l": "app=web", "cascade": "orphan", "A": ""}
    assert words.settings() == {"image": "x:1"}
    assert words.rest == ["pod", "a", "-3h"]
    with pytest.raises(ValueError, match="there is no option cascade"):
        words.check("l A")


def test_a_line_makes_an_object() -> None:
    settings = {"image": "web:2", "replicas": "3", "exit": '"0"', "spec.minReadySeconds": "5"}
    doc = document(kind_of("deploy"), "web", settings)
    template = doc["spec"]["template"]
    assert template["spec"]["containers"] == [{"name": "web", "image": "web:2"}]
    assert template["metadata"]["annotations"] == {"longshore.io/hollow-exit": "0"}
    assert (doc["spec"]["replicas"], doc["spec"]["minReadySeconds"]) == (3, 5)
    assert document(kind_of("pod"), "web-", {})["metadata"]["generateName"] == "web-"


def entry(key: str, **metadata: Any) -> Entry:
    return Entry(key, orjson.dumps({"metadata": metadata}), 1, 0.0)


def test_names_by_chance_have_aliases() -> None:
    labels = {"pod-template-hash": "5d4f8c"}
    log = [
        entry("/apps/replicasets/d/web-5d4f8c", name="web-5d4f8c", labels=labels),
        entry("/core/pods/d/1", name="web-5d4f8c-x2k4z", generateName="web-5d4f8c-"),
    ]
    names = Names(log)
    assert names.shown("web-5d4f8c-x2k4z of web-5d4f8c: 5d4f8c") == "web~1~1 of web~1: <web~1>"
    assert names.shown("pods web-5d4f8c-aaaaa, web-5d4f8c-") == "pods web~1~?, web~1-"
    assert names.shown("(0a1b2c3d-0000-4000-8000-000000000000)") == "(UID)"
    assert names.real("rs/web~1 web~1~1 web~2") == "rs/web-5d4f8c web-5d4f8c-x2k4z web~2"
    log.append(entry("/core/pods/d/2", name="web-5d4f8c-bbbbb", generateName="web-5d4f8c-"))
    assert names.shown("web-5d4f8c-bbbbb") == "web~1~2"
    assert sorted(["web~10", "web~9"], key=natural) == ["web~9", "web~10"]


def status(reason: str, message: str, **details: Any) -> dict[str, Any]:
    return {"reason": reason, "message": message, "details": details}


def test_refusals_are_kubectls() -> None:
    causes = [{"field": "a", "message": "x"}, {"field": "b", "message": "y"}]
    invalid = status("Invalid", "...", kind="Pod", name="p", causes=causes)
    assert lines_of(invalid) == ['The Pod "p" is invalid: ', "* a: x", "* b: y"]
    invalid["details"]["causes"].pop()
    assert lines_of(invalid) == ['The Pod "p" is invalid: a: x']
    assert lines_of(status("", "no")) == ["Error from server: no"]
    assert lines_of(status("Gone", "no")) == ["Error from server (Gone): no"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("fly", "line 1: fly: there is no such command"),
        ("get nothings", "resource type"),
        ("get pods --sort", "there is no option sort"),
        ("wait pod/x", "what to wait for is missing"),
    ],
)
def test_a_command_that_is_none_stops_the_session(line: str, why: str) -> None:
    with pytest.raises(BadScript, match=why):
        play(parsed(f"$ {line}\n"))


def test_a_session_is_always_the_same() -> None:
    script = parsed((Path(__file__).parent / "rolling_update.txt").read_text(encoding="utf-8"))
    assert play(script) == play(script) == [command.printed for command in script.commands]


def test_every_command_says_how_it_is_written() -> None:
    for name, (handler, options) in COMMANDS.items():
        told = handler.__doc__ or ""
        assert name in told
        for option in options.split():
            assert f"-{option}" in told, (name, option)

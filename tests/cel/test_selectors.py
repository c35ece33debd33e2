"""Selectors of devices: what they may say, what they see, and that none takes long.

Cases of meaning are those of k8s.io/dynamic-resource-allocation/cel/compile_test.go and of the
documentation (kubernetes.io, "Dynamic Resource Allocation").
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time

import pytest

from longshore.core.objects.cel.program import NotCompiled, NotEvaluated
from longshore.core.objects.cel.selectors import COST_MAX, selector, variables_of

DRIVER = "dra.example.com"
OWN = f'device.attributes["{DRIVER}"]'
SIZE = f'device.capacity["{DRIVER}"]'
GPU = {
    "attributes": {
        "model": {"string": "A100"},
        "version": {"version": "1.10.0+build"},
        "index": {"int": 3},
        "other.example.com/healthy": {"bool": True},
    },
    "capacity": {"memory": {"value": "10Gi"}},
}


def holds(expression: str) -> bool:
    return selector(expression).matches(variables_of(DRIVER, GPU))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f'device.driver == "{DRIVER}"', True),
        (f'{OWN}.model == "A100"', True),
        (f'{OWN}.model.lowerAscii().startsWith("a1")', True),
        (f"{OWN}.index in [1, 2]", False),
        ('device.attributes["other.example.com"].healthy', True),
        (f'{SIZE}.memory.compareTo(quantity("10Gi")) >= 0', True),
        (f'{SIZE}.memory.isGreaterThan(quantity("10240Mi"))', False),
        (f'{SIZE}.memory == quantity("10240Mi")', True),
        (f'{OWN}.version.isGreaterThan(semver("1.9.0"))', True),
        (f'{OWN}.version == semver("1.10.0")', True),
        (f"{OWN}.version.major() == 1 && {OWN}.version.minor() == 10", True),
        ('semver("v1.2", true).compareTo(semver("1.2.0")) == 0', True),
        ('isSemver("1.2") || isQuantity("x")', False),
        ('quantity("1").add(2).sub(quantity("1500m")) == quantity("1.5")', True),
        ('quantity("5k").asInteger() == 5000 && quantity("1.5").asApproximateFloat() == 1.5', True),
        ('quantity("-1").sign() == -1 && !quantity("1.5").isInteger()', True),
        (f'cel.bind(dra, {OWN}, dra.index > 2 && dra.model == "A100")', True),
        ('has(device.attributes["unknown.io"].x)', False),
        ('"unknown.io" in device.attributes', False),
        ('"unknown.io" in device.attributes && device.attributes["unknown.io"].x', False),
        ('device.attributes[?"unknown.io"].?x.orValue(true)', True),
        (f'{OWN}.?model.orValue("") == "A100"', True),
        ("device.allowMultipleAllocations", False),
    ],
)
def test_what_a_selector_sees(expression: str, expected: bool) -> None:
    assert holds(expression) is expected


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        (f"{OWN}.missing == 1", "Key not found in map"),
        ('device.attributes["unknown.io"].x == 1', "Key not found in map"),
        (f"{OWN}.model", "neither true nor false"),
        (f"{OWN}.model < 1", "No matching overloads"),
        ('quantity("lots").sign() == 0', "quantities must match"),
        (f'{OWN}.version.isLessThan(semver("one"))', "No Major.Minor.Patch elements found"),
        (f'{OWN}.version.compareTo({SIZE}.memory) == 0', "no such overload"),
    ],
)  # fmt: skip
def test_what_cannot_be_told(expression: str, words: str) -> None:
    with pytest.raises(NotEvaluated, match=words):
        holds(expression)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("1 +", "Syntax error"),
        ("noSuchVar", "undeclared reference to 'noSuchVar'"),
        ("device.unknown", "undeclared reference to 'device.unknown'"),
        ('"a" == 1', "found no matching overload for '_==_' applied to '(string, int)'"),
        (f"{SIZE}.memory > 1", "found no matching overload for '_>_'"),
        ("device.driver", "must evaluate to bool or the unknown type, not string"),
        ("(" * 100 + "true" + ")" * 100, "recursion"),
    ],
)  # fmt: skip
def test_what_is_no_selector(expression: str, words: str) -> None:
    with pytest.raises(NotCompiled) as refused:
        selector(expression)
    assert words in str(refused.value)


_GROWN = ".replace('', '0123456789')"


def _doubled(times: int) -> str:
    """A text that is doubled so many times, if it is evaluated."""
    text = "device.driver"
    for depth in range(times):
        one = f"v{depth}"
        text = f"[{text}].map({one}, {' + '.join([one] * 8)})[0]"
    return f'{text} == "x"'


def _nested(depth: int) -> str:
    inner = "true"
    for level in range(depth):
        inner = f"device.attributes.all(v{level}, {inner})"
    return inner


@pytest.mark.parametrize(
    "expression",
    [
        _nested(4),
        _nested(9),
        _doubled(6),
        f"device.driver{_GROWN * 6} == ''",
        f'device.attributes.all(a, device.attributes.all(b, b.matches("{"(a|b)*" * 1000}")))',
    ],
)
def test_what_would_take_long_is_known_before_it_is_run(expression: str) -> None:
    assert selector(expression).program.cost > COST_MAX


def test_within_the_limit_time_and_memory_are_bounded() -> None:
    """The dearest that are let through: loops, texts that grow, patterns that other engines choke on."""
    dear = [_nested(3), _doubled(3), f'{OWN}.model.matches("(a*)*(a*)*(a|aa)+{"x?" * 1000}b")']
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    for expression in dear:
        compiled = selector(expression)
        assert compiled.program.cost <= COST_MAX
        compiled.matches(variables_of(DRIVER, GPU))
    assert time.process_time() - begun < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 * 1024


def test_rounds_are_bounded_whatever_the_estimate() -> None:
    digits = f"[{', '.join('0123456789')}]"
    loop = (
        f"{digits}.all(a, {digits}.all(b, {digits}.all(c, {digits}.all(d, {digits}.all(e, true)))))"
    )
    with pytest.raises(NotEvaluated, match="budget"):
        selector(loop).matches(variables_of(DRIVER, GPU))


def test_the_library_is_imported_with_the_first_expression() -> None:
    program = (
        "import sys; from longshore.core.objects import rules;"
        "assert not any(name.startswith('cel_expr') for name in sys.modules);"
        "from longshore.core.objects.cel.selectors import selector; selector('true');"
        "assert 'cel_expr_python' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


@pytest.mark.parametrize(
    ("expression", "footprint"),
    [
        ("device.driver == 'a'", (("device.driver", "", ""),)),
        (f"has({OWN}.a) && {OWN}.a == 1", (("device.attributes", DRIVER, "a"),)),
        (f"{SIZE}.m.sign() > 0 || device.allowMultipleAllocations",
         (("device.capacity", DRIVER, "m"), ("device.allowMultipleAllocations", "", ""))),
        (f"'{DRIVER}' in device.attributes && {OWN}.a == 1", None),
        (f"cel.bind(d, {OWN}, d.a == 1)", None),
        ("device.attributes.all(d, d == 'a')", None),
        ("device.attributes[device.driver].a == 1", None),
    ],
)  # fmt: skip
def test_what_a_selector_looks_at(
    expression: str, footprint: tuple[tuple[str, str, str], ...] | None
) -> None:
    found = selector(expression).footprint
    assert (found and set(found)) == (footprint and set(footprint))


def test_devices_that_differ_in_what_it_looks_at_are_told_apart() -> None:
    compiled = selector(f"has({OWN}.a) && {OWN}.a == 1")
    values = [{"int": 1}, {"bool": True}, {"int": 2}, {"string": "1"}, {"version": "1.0.0"}]
    given = [compiled.matches(variables_of(DRIVER, {"attributes": {"a": one}})) for one in values]
    assert given == [True, False, False, False, False]
    assert not compiled.matches(variables_of(DRIVER, {}))

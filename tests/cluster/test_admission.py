"""What the command line and its file make of the admission plug-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from longshore.cli.options import names
from longshore.cluster.config import ClusterConfig, ClusterError, ClusterPaths
from longshore.cluster.settings import admission
from longshore.core.registry.admission.surroundings import EventLimit

HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n"
EVERYTHING = (
    HEAD
    + """
- name: PodSecurity
  configuration:
    defaults: {enforce: baseline, enforce-version: v1.30, warn: restricted}
    exemptions: {usernames: [root], namespaces: [kube-system], runtimeClasses: [kata]}
- name: PodNodeSelector
  configuration:
    podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: disk=ssd, team: zone=a}
- name: PodTolerationRestriction
  configuration: {default: [{key: a}], whitelist: [{key: b}]}
- name: EventRateLimit
  configuration: {limits: [{type: Namespace, qps: 5, burst: 10}]}
"""
)


IMAGES = HEAD + "- {{name: ImagePolicyWebhook, configuration: {{imagePolicy: {}}}}}"


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "admission.yaml"
    file.write_text(text)
    return file


def test_names_come_with_commas_or_one_by_one() -> None:
    assert names(("A, B", "C", "A,")) == ("A", "B", "C")


def test_every_plug_in_that_takes_a_configuration(tmp_path: Path) -> None:
    config = admission.read(("EventRateLimit",), ("Priority",), written(tmp_path, EVERYTHING))
    assert (config.enable, config.disable) == (("EventRateLimit",), ("Priority",))
    security = config.pod_security
    assert security.levels == {"enforce": "baseline", "warn": "restricted"}
    assert security.versions == {"enforce": "v1.30"}
    assert security.exempt_users == frozenset({"root"})
    assert security.exempt_runtimes == frozenset({"kata"})
    assert config.node_selectors["team"] == "zone=a"
    assert config.default_tolerations == ({"key": "a"},)
    assert config.event_limits == (EventLimit("Namespace", 5, 10),)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("kind: Other", "expected an AdmissionConfiguration of apiserver.config.k8s.io/v1"),
        ("{", "expected the node content"),
        (HEAD + "- name: Priority", r"plugins\[0\]: Priority takes no configuration here"),
        (HEAD + "- {name: PodSecurity, path: /x}", r"plugins\[0\].path: write it into this file"),
        (HEAD + "- {name: PodSecurity, configuration: {defaults: {enforce: high}}}",
         "PodSecurity: defaults.enforce: Invalid value: \"high\": must be one of privileged"),
        (HEAD + "- {name: EventRateLimit, configuration: {limits: [{type: X}]}}",
         "limits.type: must be one of Server, Namespace, User, SourceAndObject"),
        (HEAD + "- {name: EventRateLimit, configuration: {limits: 7}}", "not iterable"),
        (IMAGES.format("{kubeConfigFile: here}"), 'kubeConfigFile: Invalid value: "here": must be an'),
        (IMAGES.format("{kubeConfigFile: /nowhere}"), "error loading file: No such file"),
        (IMAGES.format("{defaultAlow: true}"), "imagePolicy.defaultAlow: unknown field"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ClusterError, match=why):
        admission.read((), (), written(tmp_path, text))


@pytest.mark.parametrize(("value", "kept_s"), [(0, 300.0), (-1, 0.0), (1800, 1800.0)])
def test_times_of_an_image_policy(value: int, kept_s: float) -> None:
    assert admission._seconds({"allowTTL": value}, "allowTTL") == kept_s


@pytest.mark.parametrize("value", [1801, -2, "5m", 1.5, None])
def test_times_that_an_image_policy_cannot_have(value: object) -> None:
    with pytest.raises(ValueError, match="valid value is between 1 and 1800"):
        admission._seconds({"allowTTL": value}, "allowTTL")


def test_who_judges_images_has_to_be_said() -> None:
    with pytest.raises(ClusterError, match="ImagePolicyWebhook: no config specified"):
        admission.read(("ImagePolicyWebhook",), (), None)


def test_what_is_wrong_with_a_name_is_said() -> None:
    why = '^--enable-admission-plugins plugin "Nobody" is unknown$'
    with pytest.raises(ClusterError, match=why):
        admission.read(("Nobody",), (), None)


def test_a_cluster_keeps_what_it_was_told(tmp_path: Path) -> None:
    paths = ClusterPaths(tmp_path, "c")
    paths.create()
    paths.save(ClusterConfig("c", 1, "hollow", "none", 1, disable_admission=("Priority",)))
    paths.admission.write_text(EVERYTHING)
    config = admission.of_cluster(paths.load(), paths)
    assert list(config.disable) == ["Priority"] and config.pod_security.levels

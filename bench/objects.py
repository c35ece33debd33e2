"""What one document costs on its way in: checking its shape, defaults, rules, selectors, patches.

Run `python bench/objects.py`. Prints microseconds per call, processor time, the least of several rounds. A pod is
decoded anew for every call that changes it; the decode's own time is taken off.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import orjson

from longshore.core.objects import (
    defaults,
    duplicates,
    meta,
    rules,
    selectors,
    strategic,
    validation,
)
from longshore.core.objects.kinds import POD, Doc

ROUNDS, CALLS = 9, 2000


def pod() -> Doc:
    """A web server with a sidecar, about 1.5 KB."""
    web: Doc = {
        "name": "web", "image": "registry.example.com/shop/web:1.27.3",
        "command": ["/bin/web"], "args": ["--listen", ":8080", "--log-format", "json"],
        "ports": [{"name": "http", "containerPort": 8080}, {"name": "metrics", "containerPort": 9090}],
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "DB_PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
            {"name": "LOG_LEVEL", "value": "info"},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"},
                      "limits": {"cpu": "500m", "memory": "256Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/etc/web", "readOnly": True},
                         {"name": "cache", "mountPath": "/var/cache/web"}],
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10},
        "readinessProbe": {"httpGet": {"path": "/ready", "port": "http"}, "failureThreshold": 3},
    }  # fmt: skip
    sidecar: Doc = {
        "name": "log-shipper", "image": "registry.example.com/shop/shipper:2.1",
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        "volumeMounts": [{"name": "cache", "mountPath": "/logs"}],
    }  # fmt: skip
    labels = {"app.kubernetes.io/name": "web", "app": "shop", "tier": "frontend", "track": "stable"}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "web-7d4b9c6f5d-x2x7k", "namespace": "shop", "labels": labels,
            "annotations": {"example.com/owner": "team-shop", "prometheus.io/scrape": "true"},
        },
        "spec": {
            "serviceAccountName": "web", "nodeSelector": {"kubernetes.io/os": "linux"},
            "containers": [web, sidecar], "securityContext": {"runAsUser": 1000, "fsGroup": 1000},
            "volumes": [{"name": "config", "configMap": {"name": "web"}},
                        {"name": "cache", "emptyDir": {}}],
        },
    }  # fmt: skip


def micros(call: Callable[[], Any]) -> float:
    call()
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        for _ in range(CALLS):
            call()
        rounds.append((time.process_time() - start) / CALLS * 1e6)
    return min(rounds)


def main() -> None:
    raw = orjson.dumps(pod())
    full = defaults.default(POD, orjson.loads(raw))
    plain = orjson.loads(raw)
    decode = micros(lambda: orjson.loads(raw))
    print(f"pod of {len(raw)} bytes; decode {decode:.1f} us")
    selector = selectors.parse_labels("app=shop,tier in (frontend,backend)")
    names = iter(range(10**9))

    def road() -> list[Any]:
        doc = orjson.loads(raw)
        doc["metadata"]["name"] = f"web-{next(names)}"
        return taken_in(doc)

    def new_spec() -> list[Any]:
        doc = orjson.loads(raw)
        doc["spec"]["containers"][0]["env"][2]["value"] = f"{next(names)}"
        return taken_in(doc)

    def taken_in(doc: Doc) -> list[Any]:
        defaults.default(POD, validation.check(POD, doc).doc)
        return rules.validate_create(POD, doc)

    def defaulted() -> Doc:
        return defaults.default(POD, orjson.loads(raw))

    def prepared() -> Doc:
        return meta.prepare_create(POD, orjson.loads(raw))

    patch = {"spec": {"containers": [{"name": "web", "image": "web:2"}]}}
    cases: tuple[tuple[str, Callable[[], Any], float], ...] = (
        ("check + default + validate", road, decode),
        ("  the same, spec never seen", new_spec, decode),
        ("check", lambda: validation.check(POD, full), 0),
        ("default", defaulted, decode),
        ("validate_create", lambda: rules.validate_create(POD, full), 0),
        ("prepare_create", prepared, decode),
        ("prepare_update", lambda: meta.prepare_update(POD, full, full), 0),
        ("duplicate_fields", lambda: duplicates.duplicate_fields(raw, plain), 0),
        ("strategic_merge", lambda: strategic.strategic_merge(POD, full, patch), 0),
        ("label selector matches", lambda: selector.matches(full["metadata"]["labels"]), 0),
    )
    for name, call, less in cases:
        print(f"{name:28} {micros(call) - less:6.1f}")


if __name__ == "__main__":
    main()

"""Whoever makes an object that nothing acts on yet is told so, and gets it kept all the same."""

from __future__ import annotations

from tests.doors.rig import config_map, kube

INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"


async def test_an_ingress_that_nobody_serves_comes_with_a_warning() -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"defaultBackend": backend},
    }  # fmt: skip
    async with kube() as ask:
        made = await ask("POST", INGRESSES, ingress)
        assert made.status == 201, made.doc
        assert "nothing in this cluster acts on them yet" in made.headers["Warning"]
        assert (await ask("GET", f"{INGRESSES}/i")).status == 200
        other = await ask("POST", "/api/v1/namespaces/default/configmaps", config_map("c"))
        assert "Warning" not in other.headers


async def test_who_makes_one_by_applying_is_told_too() -> None:
    ingress = {
        "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "i"},
        "spec": {"defaultBackend": {"service": {"name": "web", "port": {"number": 80}}}},
    }  # fmt: skip
    media = {"content_type": "application/apply-patch+yaml"}
    async with kube() as ask:
        made = await ask("PATCH", f"{INGRESSES}/i?fieldManager=me", ingress, **media)
        assert made.status == 201, made.doc
        assert "nothing in this cluster acts on them yet" in made.headers["Warning"]
        again = await ask("PATCH", f"{INGRESSES}/i?fieldManager=me", ingress, **media)
        assert again.status == 200 and "Warning" not in again.headers

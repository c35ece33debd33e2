"""What clients from outside asked of a test's cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Asked:
    """One request. verb is Kubernetes' (get, list, watch, create, ...), resource "" for what is no
    object; body is what was sent. status is 0 while it is being answered, and where its connection
    broke before an answer."""

    method: str
    path: str
    query: str
    user_agent: str
    verb: str
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: bytes = b""
    status: int = 0

    def __str__(self) -> str:
        query = f"?{self.query}" if self.query else ""
        return f"{self.status or '---'} {self.method} {self.path}{query} ({self.user_agent})"

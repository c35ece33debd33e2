"""Paths in files' systems (pkg/apis/core/validation: validateLocalDescendingPath)."""

from __future__ import annotations

from longshore.core.objects.rules.problems import Path, Problems


def relative_path(text: str, path: Path, problems: Problems) -> None:
    """A path below some root, of a volume or of a node's profiles."""
    if text.startswith("/"):
        problems.invalid(path, text, "must be a relative path")
    if ".." in text.split("/"):
        problems.invalid(path, text, "must not contain '..'")

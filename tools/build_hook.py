"""Hatch's build hook: the packaged schemas and the messages of gRPC are made when a wheel or an
editable install is built."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DefinitionsHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs tools/build_definitions.py and build_stubs.py before files are gathered."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        sys.path.insert(0, str(Path(self.root) / "tools"))
        import build_definitions
        import build_stubs

        build_definitions.build()
        build_stubs.build()

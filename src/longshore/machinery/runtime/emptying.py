"""Remove all that a runtime has of a node."""

from __future__ import annotations

from longshore.machinery.runtime.protocol import Runtime


async def remove_all(runtime: Runtime) -> None:
    """Every container, at once and without grace, and every sandbox. Raises RuntimeFailure."""
    for container in await runtime.containers():
        await runtime.stop_container(container.id, 0)
    for sandbox in await runtime.sandboxes():
        await runtime.remove_sandbox(sandbox.id)

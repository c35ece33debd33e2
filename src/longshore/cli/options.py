"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

name_option = click.option("--name", default="default", show_default=True, help="Which cluster.")
root_option = click.option(
    "--root",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where clusters live. [default: /var/lib/longshore; without root ~/.local/share/longshore]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


def echo_json(content: Any) -> None:
    """Print one JSON document on a line, for machines."""
    import orjson

    click.echo(orjson.dumps(content).decode())

"""Make NAME_pb2.py and .pyi, the messages of each NAME.proto, beside it.

Generated rather than written: protobuf's own codec, in C, reads a page of a thousand objects of
1.5 KB in 0.14 ms; in Python that would be a loop over their fields. The stubs of the services are not generated:
a method is its path and two message types, a line each where it is called.

Run `python tools/build_stubs.py` in a checkout; the build hook calls the same function.
"""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
PROTOS = sorted((SOURCE / "longshore").rglob("*.proto"))


def build(target: Path = SOURCE) -> list[Path]:
    """Write the generated modules under target and return their paths. Raises RuntimeError if
    protoc refuses."""
    from grpc_tools import protoc

    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    if protoc.main(["protoc", f"-I{SOURCE}", *outputs, *map(str, PROTOS)]):
        raise RuntimeError(f"protoc could not translate {', '.join(map(str, PROTOS))}")
    made = [target / proto.relative_to(SOURCE) for proto in PROTOS]
    return [one.with_name(f"{one.stem}_pb2{suffix}") for one in made for suffix in (".py", ".pyi")]


if __name__ == "__main__":
    for made in build():
        print(f"{made.name}: {made.stat().st_size} bytes")

"""Make core/store/etcd/rpc_pb2.py and .pyi, the messages of rpc.proto beside them.

Generated rather than written: protobuf's own codec, in C, reads a page of a thousand objects of
1.5 KB in 0.14 ms; in Python that would be a loop over their fields. The stubs of the services are not generated:
a method is its path and two message types, a line each in members.py.

Run `python tools/build_stubs.py` in a checkout; the build hook calls the same function.
"""

from __future__ import annotations

from pathlib import Path

SOURCE = Path(__file__).resolve().parent.parent / "src"
PROTO = SOURCE / "longshore/core/store/etcd/rpc.proto"


def build(target: Path = SOURCE) -> list[Path]:
    """Write the generated modules under target and return their paths. Raises RuntimeError if
    protoc refuses."""
    from grpc_tools import protoc

    outputs = [f"--python_out={target}", f"--pyi_out={target}"]
    if protoc.main(["protoc", f"-I{SOURCE}", *outputs, str(PROTO)]):
        raise RuntimeError(f"protoc could not translate {PROTO}")
    made = target / PROTO.relative_to(SOURCE)
    return [made.with_name("rpc_pb2.py"), made.with_name("rpc_pb2.pyi")]


if __name__ == "__main__":
    for made in build():
        print(f"{made.name}: {made.stat().st_size} bytes")

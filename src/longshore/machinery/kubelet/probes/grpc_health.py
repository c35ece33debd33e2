"""The gRPC health checking protocol, as a probe asks it (grpc/doc/health-checking.md, KEP-2727).

gRPC is imported with the first such probe: few pods have one, and it takes 10 MB.
"""

from __future__ import annotations

from longshore.machinery.kubelet.probes.outcome import Outcome

_METHOD = "/grpc.health.v1.Health/Check"
# HealthCheckResponse.ServingStatus.
_STATUSES = ("UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN")
_VARINT_STATUS = 0x08


async def check_health(host: str, port: int, service: str, user_agent: str) -> Outcome:
    """Ask once; the words are upstream's (pkg/probe/grpc). Waits as long as the caller lets it."""
    from grpc import StatusCode
    from grpc.aio import AioRpcError, UnaryUnaryMultiCallable, insecure_channel

    # A pod is never behind the proxy that a machine may have for the world outside.
    options = (("grpc.primary_user_agent", user_agent), ("grpc.enable_http_proxy", 0))
    async with insecure_channel(f"{host}:{port}", options=options) as channel:
        ask: UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_METHOD)
        try:
            answer = await ask(_request(service))
        except AioRpcError as error:
            code = error.code()
            if code is StatusCode.UNIMPLEMENTED:
                return Outcome(
                    False,
                    "error: this server does not implement the grpc health protocol "
                    f"(grpc.health.v1.Health): {error.details()}",
                )
            return Outcome(False, f"error: health rpc probe failed: {code.name}: {error.details()}")
    status = _status(answer)
    if status == "SERVING":
        return Outcome(True, "service healthy")
    return Outcome(False, f'service unhealthy (responded with "{status}")')


def _request(service: str) -> bytes:
    """A HealthCheckRequest: the service's name is field 1."""
    name = service.encode()
    size, length = len(name), bytearray()
    while size > 127:
        length.append(size & 127 | 128)
        size >>= 7
    return b"\x0a" + bytes((*length, size)) + name if name else b""


def _status(answer: bytes) -> str:
    """Of a HealthCheckResponse: field 1, left out where it is 0."""
    number = answer[1] if len(answer) > 1 and answer[0] == _VARINT_STATUS else 0
    return _STATUSES[number] if number < len(_STATUSES) else str(number)

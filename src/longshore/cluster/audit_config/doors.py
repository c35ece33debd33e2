"""Controls about who answers whom (1.2, 4.2, 4.3), as far as a server and an agent have them in
common: judged by what was tried at their doors."""

from __future__ import annotations

from longshore.cluster.audit_config.evidence import FOREIGN, Door
from longshore.cluster.audit_config.verdicts import Verdict, decided, manual

REFUSED = (401, 403)
NO_ANSWER = 0


def refuses_foreign(door: Door) -> Verdict:
    status = door.statuses[FOREIGN]
    return decided(
        status in (NO_ANSWER, *REFUSED),
        f"a certificate of another authority was refused{_with(status)}",
        f"a certificate of another authority was answered{_with(status)}",
    )


def is_known(door: Door) -> Verdict:
    return decided(
        door.verified,
        "it shows a certificate of the cluster's authority",
        "its certificate is not of the cluster's authority",
    )


def strong_ciphers(door: Door) -> Verdict:
    if door.old_protocol is None or door.weak_cipher is None:
        return manual("this machine's OpenSSL cannot offer old protocols: try from another one")
    weak = [one for one in (door.old_protocol, door.weak_cipher) if one]
    return decided(
        not weak,
        f"before TLS 1.2 and without forward secrecy it agrees to nothing ({door.agreed} else)",
        f"it agreed to {' and '.join(weak)}",
    )


def _with(status: int) -> str:
    return f" with {status}" if status else " in the handshake"

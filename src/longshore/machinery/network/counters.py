"""What the kernel has counted on the links of a node."""

from __future__ import annotations

from dataclasses import dataclass

_LINKS = "/proc/thread-self/net/dev"
_FIRST_LINE = 2  # behind two lines of headings (proc(5))


@dataclass(frozen=True, slots=True)
class Traffic:
    """Of one end of a link since it was made: received and transmitted."""

    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0

    def seen_from_the_other_end(self) -> Traffic:
        """What one end of a pair transmits, the other receives."""
        return Traffic(
            self.tx_bytes, self.tx_packets, self.tx_errors, self.tx_dropped,
            self.rx_bytes, self.rx_packets, self.rx_errors, self.rx_dropped,
        )  # fmt: skip


def read_traffic() -> dict[str, Traffic]:
    """Of all links in the caller's network namespace, by name. One file, whatever their number."""
    with open(_LINKS, encoding="ascii") as file:
        return parse(file.read())


def parse(text: str) -> dict[str, Traffic]:
    """The kernel's table: eight numbers received, eight transmitted, of which the first four are these."""
    found = {}
    for line in text.splitlines()[_FIRST_LINE:]:
        name, _, numbers = line.partition(":")
        each = list(map(int, numbers.split()))
        found[name.strip()] = Traffic(*each[0:4], *each[8:12])
    return found

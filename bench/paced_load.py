"""So many creates a second, however long each takes, until SIGTERM: then prints of each when it was due
(seconds of the machine's monotonic clock) and how many seconds after that it was acknowledged.

Who waits for an answer before it asks again would not notice that a server stood still: it would ask
less. Here what should have been asked meanwhile counts as late.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import time

import orjson
import uvloop

from bench.http_load import Caller, arguments, context


class Paced(Caller):
    """One of several that take turns; one of them asks every interval_s."""

    def __init__(self, number: int, path: str, tag: str, interval_s: float) -> None:
        super().__init__(number, path, tag, "create")
        self._interval_s = interval_s
        self.due = 0.0
        self.told: list[tuple[float, float]] = []

    def send(self) -> None:
        """At the next moment that is due, or now if that has passed."""
        self.due += self._interval_s
        wait_s = self.due - time.perf_counter()
        asyncio.get_running_loop().call_later(max(wait_s, 0.0), self._send_now, wait_s > 0)

    def _send_now(self, in_time: bool) -> None:
        super().send()
        if in_time:  # a timer that fired late is this process's own doing
            self.due = self._sent

    def on_message_complete(self) -> None:
        self.told.append((self.due, time.perf_counter() - self.due))
        super().on_message_complete()


async def run(args: argparse.Namespace) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    tag, path = f"{time.time_ns():x}", "/api/v1/namespaces/default/configmaps"
    callers = [
        Paced(number, path, tag, args.connections / args.rate) for number in range(args.connections)
    ]
    for caller in callers:
        await loop.create_connection(
            lambda caller=caller: caller,
            args.host, args.port, ssl=context(args), server_hostname="localhost",
        )  # fmt: skip
    for caller in callers:
        caller.due = time.perf_counter() + caller.number / args.rate
        caller.send()
    await stopped.wait()
    for caller in callers:
        caller.stopping = True
    await asyncio.gather(*(caller.done for caller in callers))
    failures = sum(caller.failures for caller in callers)
    told = sorted(one for caller in callers for one in caller.told)
    print(orjson.dumps({"failures": failures, "told": told}).decode())


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--rate", type=float, default=1000)
    parser.add_argument("--connections", type=int, default=32)
    args = parser.parse_args()
    os.sched_setaffinity(0, {args.core})
    uvloop.run(run(args))


if __name__ == "__main__":
    main()

"""The name server of one node: UDP and TCP on the cluster's DNS address, answers from memory.

A query that came before, byte for byte, gets the bytes it got before: a few microseconds instead of
some hundred for the codec. Any change of a name empties that memory.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Sequence
from itertools import count
from typing import cast

import dns.exception
import dns.message

from longshore.machinery.network.dns import codec
from longshore.machinery.network.dns.codec import Question
from longshore.machinery.network.dns.plan import Answer, Outcome, Record, Zone, plan_names
from longshore.machinery.network.follow import ServiceWatch

PORT = 53
# Remembered answers; when there are more, all are forgotten.
_REMEMBERED_MAX = 4096
# Questions that wait for an upstream; more are told SERVFAIL at once.
_FORWARDED_MAX = 512
_UPSTREAM_TIMEOUT_S = 2.0
# TCP is for the rare long answer.
_TCP_MAX = 128
_TCP_IDLE_S = 10.0


class NameServer:
    """Answers from the zone that run() keeps; names of other zones are asked of the upstreams
    (addresses, tried in order) or, if there are none, denied at once so that nobody hangs."""

    def __init__(
        self,
        watch: ServiceWatch,
        zone: Zone,
        *,
        upstreams: Sequence[str] = (),
        upstream_port: int = PORT,
    ) -> None:
        self._watch = watch
        self._dirty = watch.reader()
        self._zone = zone
        self._upstreams = tuple(upstreams)
        self._upstream_port = upstream_port
        self._remembered: dict[bytes, bytes] = {}
        self._turn = count()
        self._forwarded = 0
        self._log = logging.getLogger("longshore.network.dns")
        self.ready = asyncio.Event()
        """Set once every service that was there at the start has its names."""

    async def run(self, udp: socket.socket, tcp: socket.socket) -> None:
        """Serve on these bound sockets until cancelled; closes them. Answers begin once the zone
        is whole: before that, questions wait in the socket rather than being denied wrongly."""
        with udp, tcp:
            udp.setblocking(False)
            tcp.setblocking(False)
            await self._watch.synced()
            self._update(set(self._watch.table.keys()))
            async with asyncio.TaskGroup() as group:
                loop = asyncio.get_running_loop()
                transport, _ = await loop.create_datagram_endpoint(
                    lambda: _Datagrams(self, group), sock=udp
                )
                try:
                    tcp.listen(_TCP_MAX)
                    self.ready.set()
                    group.create_task(self._accept(tcp, group), name="dns over tcp")
                    while True:
                        self._update(await self._dirty.take())
                finally:
                    transport.close()

    def _update(self, keys: set[tuple[str, str]]) -> None:
        table = self._watch.table
        changed = False
        for key in keys:
            doc = table.service(key)
            names = plan_names(doc, table.slices(key), self._zone.domain) if doc else None
            changed |= self._zone.put(key, names)
        if changed:
            self._remembered.clear()

    def at_once(self, wire: bytes, *, over_tcp: bool = False) -> bytes | Question | None:
        """The answer if it is known here; the question if upstreams must be asked; None for
        what deserves no answer."""
        known = None if over_tcp else self._remembered.get(wire[2:])
        if known is not None:
            return wire[:2] + known
        question = codec.parse(wire)
        if not isinstance(question, Question):
            return question
        answer = self._zone.lookup(question.name, question.type)
        if self._upstreams and (answer.outcome is Outcome.ELSEWHERE or answer.follow):
            return question
        try:
            return self._local(wire, question, answer, over_tcp=over_tcp)
        except dns.exception.DNSException as error:
            # A service may carry a name that DNS cannot (an externalName too long, say).
            self._log.warning("%s has no answer: %s", question.name, error)
            return codec.failure(question)

    def _local(self, wire: bytes, question: Question, answer: Answer, *, over_tcp: bool) -> bytes:
        several = len(answer.records) > 1
        answer = self._rotated(answer) if several else answer
        response = codec.respond(question, answer, self._zone.domain)
        reply = codec.encoded(response, question, over_tcp=over_tcp)
        if not several and not over_tcp:
            self._remember(wire[2:], reply[2:])
        return reply

    def _rotated(self, answer: Answer) -> Answer:
        """Another address first each time: most clients take the first."""
        records: tuple[Record, ...] = answer.records
        start = next(self._turn) % len(records)
        if len({record.type for record in records}) > 1:
            return answer
        return Answer(answer.outcome, records[start:] + records[:start], answer.additional)

    def _remember(self, query: bytes, reply: bytes) -> None:
        if len(self._remembered) >= _REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[query] = reply

    async def forwarded(self, question: Question, *, over_tcp: bool) -> bytes:
        """What the upstreams say, or SERVFAIL."""
        if self._forwarded >= _FORWARDED_MAX:
            return codec.failure(question)
        self._forwarded += 1
        try:
            return await self._forward(question, over_tcp=over_tcp)
        finally:
            self._forwarded -= 1

    async def _forward(self, question: Question, *, over_tcp: bool) -> bytes:
        answer = self._zone.lookup(question.name, question.type)
        if answer.outcome is Outcome.ELSEWHERE:
            theirs = await self._ask(question.message)
            if theirs is None:
                return codec.failure(question)
            theirs.id = question.message.id
            return codec.encoded(theirs, question, over_tcp=over_tcp)
        theirs = await self._ask(dns.message.make_query(answer.follow, question.type))
        if theirs is None:
            return codec.failure(question)
        response = codec.respond(question, answer, self._zone.domain, theirs.answer)
        return codec.encoded(response, question, over_tcp=over_tcp)

    async def _ask(self, query: dns.message.Message) -> dns.message.Message | None:
        # Heavy, and of no use to a cluster without an uplink.
        import dns.asyncquery

        for upstream in self._upstreams:
            try:
                answer, _ = await dns.asyncquery.udp_with_fallback(
                    query, upstream, timeout=_UPSTREAM_TIMEOUT_S, port=self._upstream_port
                )
            except (dns.exception.DNSException, OSError) as error:
                self._log.debug("%s does not answer: %s", upstream, error)
            else:
                return answer
        return None

    async def _accept(self, listener: socket.socket, group: asyncio.TaskGroup) -> None:
        loop = asyncio.get_running_loop()
        room = asyncio.Semaphore(_TCP_MAX)
        while True:
            await room.acquire()
            connection, _ = await loop.sock_accept(listener)
            task = group.create_task(self._converse(connection), name="dns connection")
            task.add_done_callback(lambda _: room.release())

    async def _converse(self, connection: socket.socket) -> None:
        with connection:
            connection.setblocking(False)
            try:
                while True:
                    async with asyncio.timeout(_TCP_IDLE_S):
                        if not await self._exchange(connection):
                            return
            except (OSError, TimeoutError):
                return

    async def _exchange(self, connection: socket.socket) -> bool:
        """One question and its answer; False if the other side is done or makes no sense."""
        loop = asyncio.get_running_loop()
        size = int.from_bytes(await _exactly(connection, 2))
        wire = await _exactly(connection, size)
        if not wire:
            return False
        answer = self.at_once(wire, over_tcp=True)
        if isinstance(answer, Question):
            answer = await self.forwarded(answer, over_tcp=True)
        if answer is None:
            return False
        await loop.sock_sendall(connection, len(answer).to_bytes(2) + answer)
        return True


async def _exactly(connection: socket.socket, size: int) -> bytes:
    """So many bytes, or none if the other side hangs up first."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        more = await loop.sock_recv(connection, size - len(data))
        if not more:
            return b""
        data += more
    return data


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer, group: asyncio.TaskGroup) -> None:
        self._server = server
        self._group = group

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.at_once(data)
        if isinstance(answer, Question):
            self._group.create_task(self._forward(answer, addr), name="dns upstream")
        elif answer is not None:
            self._transport.sendto(answer, addr)

    async def _forward(self, question: Question, addr: tuple[str, int]) -> None:
        self._transport.sendto(await self._server.forwarded(question, over_tcp=False), addr)

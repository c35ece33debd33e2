"""Questions and answers in DNS' wire format, by dnspython. Pure: bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from longshore.machinery.network.dns.plan import TTL_S, Answer, Outcome, Record

# What fits a datagram on any path without fragments (DNS flag day 2020), and without EDNS at all.
UDP_MAX_BYTES, UDP_PLAIN_BYTES = 1232, 512
TCP_MAX_BYTES = 65_535


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed query; name is in lower case and without the dot at the end."""

    message: dns.message.QueryMessage
    name: str
    type: str


def parse(wire: bytes) -> Question | bytes | None:
    """The question in a query, or what to answer at once (not a question that can be answered),
    or None if it deserves no answer."""
    try:
        message = dns.message.from_wire(wire, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError):
        return _malformed(wire)
    if message.flags & dns.flags.QR:
        return None
    if message.opcode() != dns.opcode.QUERY:
        return _refusal(message, dns.rcode.NOTIMP)
    if len(message.question) != 1 or not isinstance(message, dns.message.QueryMessage):
        return _refusal(message, dns.rcode.FORMERR)
    asked = message.question[0]
    if asked.rdclass != dns.rdataclass.IN:
        return _refusal(message, dns.rcode.REFUSED)
    name = asked.name.to_text(omit_final_dot=True).lower()
    return Question(message, name, dns.rdatatype.to_text(asked.rdtype))


def _malformed(wire: bytes) -> bytes | None:
    """FORMERR with the query's number, if it has so much as a header of a query."""
    if len(wire) < 12 or wire[2] & 0x80:
        return None
    return wire[:2] + b"\x80\x01" + b"\0" * 8


def _refusal(message: dns.message.Message, rcode: dns.rcode.Rcode) -> bytes:
    response = dns.message.make_response(message)
    response.set_rcode(rcode)
    return response.to_wire()


def respond(
    question: Question,
    answer: Answer,
    domain: str,
    followed: Sequence[dns.rrset.RRset] = (),
) -> dns.message.Message:
    """The answer as a message. A name of another zone is NXDOMAIN: nobody else was asked."""
    response = dns.message.make_response(question.message, our_payload=UDP_MAX_BYTES)
    response.flags |= dns.flags.AA | dns.flags.RA
    response.answer = [*_sets(answer.records), *followed]
    response.additional = _sets(answer.additional)
    if answer.outcome in (Outcome.UNKNOWN, Outcome.ELSEWHERE):
        response.set_rcode(dns.rcode.NXDOMAIN)
    if answer.outcome is not Outcome.FOUND:
        response.authority = [_authority(domain)]
    return response


def encoded(response: dns.message.Message, question: Question, *, over_tcp: bool) -> bytes:
    """The bytes of a response, cut to what the asker can take (and said so, by the TC flag)."""
    if over_tcp:
        limit = TCP_MAX_BYTES
    elif question.message.edns >= 0:
        limit = min(max(question.message.payload, UDP_PLAIN_BYTES), UDP_MAX_BYTES)
    else:
        limit = UDP_PLAIN_BYTES
    return response.to_wire(max_size=limit, prefer_truncation=True)


def failure(question: Question) -> bytes:
    """SERVFAIL: those who would know could not be asked."""
    return _refusal(question.message, dns.rcode.SERVFAIL)


def _sets(records: Sequence[Record]) -> list[dns.rrset.RRset]:
    """One set for each record: where an answer must be cut, what fits still goes out (the codec
    cuts between sets, and some resolvers never ask again over TCP)."""
    return [dns.rrset.from_text(f"{r.name}.", TTL_S, "IN", r.type, r.data) for r in records]


def _authority(domain: str) -> dns.rrset.RRset:
    """What negative answers carry: how long they may be remembered (RFC 2308)."""
    data = f"ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 {TTL_S}"
    return dns.rrset.from_text(f"{domain}.", TTL_S, "IN", "SOA", data)

"""aioquic: an HTTP/3 client in Python."""

import asyncio
import os
from collections import deque

from aioquic.asyncio.client import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, StreamReset
from checks import equal
from server import DEMO, Dev


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        large = os.urandom(5_000_000)
        dev.put("large.bin", large, "--wait")
        asyncio.run(asyncio.wait_for(exchange(checks, dev, large), 300))


async def exchange(checks, dev, large):
    with checks.check("the certificate verifies, and HTTP/3 is negotiated"):
        async with client(dev) as http:
            equal((await http.fetch("GET", "/"))[0][":status"], "200")
    async with client(dev) as http:
        with checks.check("aioquic fetches every demo asset"):
            for path in sorted(DEMO.iterdir()):
                if path.is_file():
                    headers, body = await http.fetch("GET", f"/{path.name}")
                    equal(headers[":status"], "200", path.name)
                    equal(headers["content-length"], str(len(body)), path.name)
                    equal(body, path.read_bytes(), path.name)
        with checks.check("five megabytes arrive whole"):
            equal((await http.fetch("GET", "/large.bin"))[1], large)
        with checks.check("fifty requests at once on one connection"):
            expected = (DEMO / "photo.jpg").read_bytes()
            for headers, body in await asyncio.gather(*(http.fetch("GET", "/photo.jpg") for _ in range(50))):
                equal((headers[":status"], body), ("200", expected))
        # No HEAD: aioquic takes a Content-Length without content for an error there too, against RFC 9110 §8.6.
        with checks.check("ranges, conditions, methods and errors"):
            headers, body = await http.fetch("GET", "/large.bin", {"range": "bytes=262140-262149"})
            equal((headers[":status"], body), ("206", large[262_140:262_150]))
            etag = (await http.fetch("GET", "/hello.mp3"))[0]["etag"]
            equal((await http.fetch("GET", "/hello.mp3", {"if-none-match": etag}))[0][":status"], "304")
            headers, _ = await http.fetch("DELETE", "/hello.mp3")
            equal((headers[":status"], "GET" in headers["allow"]), ("405", True))
            equal((await http.fetch("GET", "/nothing"))[0][":status"], "404")
        with checks.check("a request with content is answered, and the connection goes on"):
            equal((await http.fetch("POST", "/hello.mp3", content=b"x" * 50_000))[0][":status"], "405")
            equal((await http.fetch("GET", "/hello.mp3"))[0][":status"], "200")
        with checks.check("a client that changes its port goes on"):
            await http.change_port()
            headers, body = await http.fetch("GET", "/large.bin")
            equal((headers[":status"], body), ("200", large))
    with checks.check("twenty connections, each with a request"):
        async def one():
            async with client(dev) as http:
                return (await http.fetch("GET", "/hello.mp3"))[1]

        expected = (DEMO / "hello.mp3").read_bytes()
        for body in await asyncio.gather(*(one() for _ in range(20))):
            equal(body, expected)


def client(dev):
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    configuration.load_verify_locations(dev.ca)
    return connect("127.0.0.1", dev.port, configuration=configuration, create_protocol=Http3)


class Http3(QuicConnectionProtocol):
    """One connection, any number of requests."""

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._http = H3Connection(self._quic)
        self._events, self._waiting = {}, {}

    async def fetch(self, method, path, headers=None, content=b""):
        """The head of a response as a dict, and its content."""
        stream = self._quic.get_next_available_stream_id()
        fields = {":method": method, ":scheme": "https", ":authority": "localhost", ":path": path} | (headers or {})
        fields = [(key.encode(), value.encode()) for key, value in fields.items()]
        self._events[stream], self._waiting[stream] = deque(), self._loop.create_future()
        self._http.send_headers(stream, fields, end_stream=not content)
        if content:
            self._http.send_data(stream, content, end_stream=True)
        self.transmit()
        await asyncio.wait_for(self._waiting[stream], 60)
        head, body = {}, bytearray()
        for event in self._events.pop(stream):
            if isinstance(event, HeadersReceived):
                head = {key.decode(): value.decode() for key, value in event.headers}
            else:
                body += event.data
        return head, bytes(body)

    async def change_port(self):
        """Goes on from another port, as a phone does that changes networks."""
        old = self._transport
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: Forward(self), local_addr=("::", 0))
        old.abort()

    def connection_lost(self, error):
        """The old port is given up on purpose; the connection ends by its own events."""

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(ConnectionError(event.reason_phrase or str(event.error_code)))
        elif isinstance(event, StreamReset) and event.stream_id in self._waiting:
            if not self._waiting[event.stream_id].done():
                self._waiting[event.stream_id].set_exception(ConnectionError(f"reset with {event.error_code}"))
        for event in self._http.handle_event(event):
            if isinstance(event, (HeadersReceived, DataReceived)) and event.stream_id in self._events:
                self._events[event.stream_id].append(event)
                if event.stream_ended and not self._waiting[event.stream_id].done():
                    self._waiting[event.stream_id].set_result(None)


class Forward(asyncio.DatagramProtocol):
    """Hands datagrams of a new port to the connection that has it."""

    def __init__(self, connection):
        self._connection = connection

    def datagram_received(self, data, address):
        self._connection.datagram_received(data, address)

"""A WebTransport server on aioquic, for the tests.

  web_transport_server.py CERTIFICATE KEY

Listens on 127.0.0.1 at any free port, and says which in its first line on standard output. What clients do is told
there as well, a line each.

  /echo               bidirectional streams come back; a unidirectional one is answered by another with the same
                      bytes; datagrams of up to 1,000 bytes come back
  /hello              opens a unidirectional stream with `qwerty` and a bidirectional one with `asdfg`, after the
                      client's first datagram (what leaves with the answer may be taken for early)
  /reset/CODE         gives up its direction of the client's first stream after the first byte, with this code
  /stop/CODE          gives up the client's direction
  /close/CODE/WORDS   closes after the first datagram
  /closeafter/MILLISECONDS   closes after so long
  /redirect           302, to /elsewhere
  anything else       404
"""

import asyncio
import struct
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.buffer import Buffer, encode_uint_var
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DatagramReceived, DataReceived, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, ProtocolNegotiated, StopSendingReceived, StreamReset

CLOSE_SESSION = 0x2843
MIB = 1024 * 1024


def tell(line):
    print(line, flush=True)


class Session:
    def __init__(self, protocol, stream, path):
        self.protocol, self.stream, self.path = protocol, stream, path
        self.capsules = b""
        self.one_way = {}
        self.touched = set()
        self.greeted = False

    @property
    def quic(self):
        return self.protocol._quic

    def argument(self, what):
        parts = self.path.split("/")
        return parts[2:] if parts[1] == what else None

    def stream_data(self, stream, data, ended):
        if stream & 2:
            self.one_way.setdefault(stream, bytearray()).extend(data)
            if ended:
                answer = self.protocol.http.create_webtransport_stream(self.stream, is_unidirectional=True)
                self.quic.send_stream_data(answer, bytes(self.one_way.pop(stream)), end_stream=True)
            return
        code = self.argument("reset") or self.argument("stop")
        if code:
            if stream not in self.touched and data:
                self.touched.add(stream)
                give_up = self.quic.reset_stream if self.argument("reset") else self.quic.stop_stream
                give_up(stream, int(code[0]))
            return
        if stream & 1 == 0 and stream not in self.touched:
            self.quic.send_stream_data(stream, data, end_stream=ended)

    def datagram(self, data):
        close = self.argument("close")
        if close:
            self.close(int(close[0]), close[1])
        elif self.path == "/hello":
            self.hello()
        elif len(data) <= 1000:
            self.protocol.http.send_datagram(self.stream, data)
        else:
            tell(f"datagram of {len(data)}")

    def hello(self):
        if self.greeted:
            return
        self.greeted = True
        for one_way, text in ((True, b"qwerty"), (False, b"asdfg")):
            stream = self.protocol.http.create_webtransport_stream(self.stream, is_unidirectional=one_way)
            self.quic.send_stream_data(stream, text, end_stream=True)

    def close(self, code, words):
        content = struct.pack("!I", code) + words.encode()
        capsule = encode_uint_var(CLOSE_SESSION) + encode_uint_var(len(content)) + content
        self.protocol.http.send_data(self.stream, capsule, end_stream=True)

    def control_data(self, data, ended):
        self.capsules += data
        buffer = Buffer(data=self.capsules)
        try:
            while not buffer.eof():
                kind, length = buffer.pull_uint_var(), buffer.pull_uint_var()
                content = buffer.pull_bytes(length)
                self.capsules = self.capsules[buffer.tell():]
                if kind == CLOSE_SESSION:
                    tell(f"closed {struct.unpack('!I', content[:4])[0]} {content[4:].decode()}")
                buffer = Buffer(data=self.capsules)
        except Exception:
            pass


class Protocol(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.http, self.sessions = None, {}

    def quic_event_received(self, event):
        if isinstance(event, ProtocolNegotiated):
            self.http = H3Connection(self._quic, enable_webtransport=True)
        elif isinstance(event, StreamReset):
            tell(f"reset {event.error_code}")
            for session in self.sessions.values():
                session.touched.add(event.stream_id)
        elif isinstance(event, StopSendingReceived):
            tell(f"stop {event.error_code}")
            for session in self.sessions.values():
                session.touched.add(event.stream_id)
        elif isinstance(event, ConnectionTerminated):
            self.sessions.clear()
        if self.http is not None:
            for http_event in self.http.handle_event(event):
                self.http_event_received(http_event)
            self.transmit()

    def http_event_received(self, event):
        if isinstance(event, HeadersReceived):
            self.request(event)
        elif isinstance(event, DataReceived):
            if event.stream_id in self.sessions:
                self.sessions[event.stream_id].control_data(event.data, event.stream_ended)
        elif isinstance(event, WebTransportStreamDataReceived):
            if event.session_id in self.sessions:
                self.sessions[event.session_id].stream_data(event.stream_id, event.data, event.stream_ended)
        elif isinstance(event, DatagramReceived):
            if event.stream_id in self.sessions:
                self.sessions[event.stream_id].datagram(event.data)

    def close_session(self, stream):
        if stream in self.sessions:
            self.sessions[stream].close(0, "")
            self.transmit()

    def request(self, event):
        fields = dict(event.headers)
        path = fields.get(b":path", b"").decode()
        known = ("echo", "hello", "reset", "stop", "close", "closeafter")
        if fields.get(b":protocol") == b"webtransport" and path.split("/")[1] in known:
            self.sessions[event.stream_id] = Session(self, event.stream_id, path)
            self.http.send_headers(event.stream_id, [(b":status", b"200"), (b"sec-webtransport-http3-draft", b"draft02")])
            wait = self.sessions[event.stream_id].argument("closeafter")
            if wait:
                asyncio.get_running_loop().call_later(int(wait[0]) / 1000, self.close_session, event.stream_id)
        elif path == "/redirect":
            head = [(b":status", b"302"), (b"location", b"/elsewhere")]
            self.http.send_headers(event.stream_id, head, end_stream=True)
        else:
            self.http.send_headers(event.stream_id, [(b":status", b"404")], end_stream=True)


async def main(certificate, key):
    configuration = QuicConfiguration(
        alpn_protocols=H3_ALPN,
        is_client=False,
        max_datagram_frame_size=65536,
        max_data=64 * MIB,
        max_stream_data=16 * MIB,
    )
    configuration.load_cert_chain(certificate, key)
    server = await serve("127.0.0.1", 0, configuration=configuration, create_protocol=Protocol)
    tell(f"listening {server._transport.get_extra_info('sockname')[1]}")
    await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))

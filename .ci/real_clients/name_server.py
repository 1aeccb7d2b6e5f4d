"""A name server for tests (RFC 1035): TXT records from files in a folder, each named as its record, and nothing else."""

import pathlib
import socketserver
import struct
import threading

TXT, IN = 16, 1
NO_ERROR, NXDOMAIN = 0, 3


class Server(socketserver.ThreadingUDPServer):
    """Answers on a port that the system picks, as a context."""

    def __init__(self, records: pathlib.Path):
        super().__init__(("127.0.0.1", 0), Answer)
        self.records = records
        self.address = f"127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


class Answer(socketserver.BaseRequestHandler):
    def handle(self):
        query, socket = self.request
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        end = at + 5
        record = self.server.records / ".".join(labels).lower()
        is_there = query[at + 1:at + 3] == struct.pack(">H", TXT) and record.is_file()
        # A response, recursion desired and available; one question, and the answer if there is one.
        answer = query[:2] + struct.pack(">BB4H", 0x81, 0x80 | (NO_ERROR if is_there else NXDOMAIN), 1, is_there, 0, 0) + query[12:end]
        if is_there:
            text = record.read_bytes()
            data = b"".join(bytes([len(part)]) + part for part in (text[i:i + 255] for i in range(0, len(text), 255)))
            # The name of the question, by a pointer to it.
            answer += b"\xc0\x0c" + struct.pack(">HHLH", TXT, IN, 60, len(data)) + data
        socket.sendto(answer, self.client_address)

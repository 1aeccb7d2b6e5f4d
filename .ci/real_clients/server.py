"""The program under test: a running `skerry dev`, and its command line."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time

DEMO = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "demo"

# Time for anything that takes a moment, on a machine that is busy.
DEADLINE_S = 60


class Dev:
    """`skerry dev` on ports that the system picks. A context: it ends with its block."""

    def __init__(self, program, folder, *arguments):
        self.program, self.folder, self.data = program, folder, folder / "data"
        self.arguments = arguments
        self.start()

    def start(self, api="127.0.0.1:0"):
        ports = ["--https", "127.0.0.1:0", "--api", api, "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
        command = [self.program, "dev", "--json", "--data", self.data, *ports, *self.arguments]
        self.log = open(self.folder / "dev.log", "ab")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=environment(), cwd=self.folder)
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise AssertionError(f"skerry dev did not start:\n{(self.folder / 'dev.log').read_text()}")
        self.line = json.loads(line)
        self.https = self.line["edges"][0]["https"]
        self.port = int(self.https.rsplit(":", 1)[1])
        self.ca = self.line["ca_file"]

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(DEADLINE_S)
        self.process.stdout.close()
        self.log.close()

    def kill_and_start(self):
        """As after a power cut; the API is where it was."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.start(self.line["api"].removeprefix("http://"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if error[0]:
            print((self.folder / "dev.log").read_text()[-5000:])

    def run(self, *arguments, check=True, folder=None):
        """Runs a command of the program against this server."""
        line = self.line
        variables = {
            "SKERRY_API": line["api"],
            "SKERRY_GRPC": line["grpc"],
            "SKERRY_CA": line["ca_file"],
            "SKERRY_ACCOUNT_SID": line["account_sid"],
            "SKERRY_AUTH_TOKEN": line["auth_token"],
        }
        done = subprocess.run(
            [self.program, *map(str, arguments)],
            env=environment() | variables, cwd=folder or self.folder, capture_output=True, text=True, timeout=2 * DEADLINE_S,
        )
        if check and done.returncode:
            raise AssertionError(f"skerry {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def put(self, name, content, *arguments, check=True):
        """Writes a file and publishes it as /name."""
        path = self.folder / name
        path.write_bytes(content)
        return self.run("put", path, "--path", f"/{name}", *arguments, check=check)

    def fetched(self, domain, path):
        """Status and content at the first edge, of a domain as the API says it: with a port, maybe."""
        host = domain.rsplit(":", 1)[0]
        context = ssl.create_default_context(cafile=self.ca)
        connection = http.client.HTTPSConnection(host, self.port, context=context, timeout=DEADLINE_S)
        connection.sock = context.wrap_socket(socket.create_connection(("127.0.0.1", self.port), DEADLINE_S), server_hostname=host)
        with contextlib.closing(connection):
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()

    def paths(self):
        """What the live build shows."""
        listed = json.loads(self.run("ls", "--json").stdout)
        return sorted(asset["path"] for asset in listed["assets"])

    def blob_files(self):
        """Every file of the origin's blob store, temporary ones included."""
        blobs = self.data / "origin" / "blobs"
        return sorted(str(path.relative_to(blobs)) for path in blobs.rglob("*") if path.is_file())


def environment():
    """The surroundings without what they say about the program."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SKERRY_")}


def eventually(what, look):
    """Waits until `look` gives something true."""
    end = time.monotonic() + DEADLINE_S
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"not within {DEADLINE_S} s: {what}")
        time.sleep(0.02)
    return found

"""Twilio's own function handlers answer out of a bundle."""

import json
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from checks import equal
from server import DEADLINE_S, DEMO, Dev, environment, eventually

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "deploy" / "examples" / "private-audio"


def run(checks, program, folder):
    project = folder / "private-audio"
    shutil.copytree(EXAMPLE, project)
    subprocess.run(
        ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=project, check=True, capture_output=True, timeout=600,
    )
    sound = (DEMO / "hello.mp3").read_bytes()
    # Bytes that are no UTF-8 behind a name that is more than ASCII, and a path that twilio-run has no name for.
    other = bytes(range(256)) * 1000
    with Dev(program, folder) as dev:
        dev.put("message.mp3", sound, "--visibility", "private")
        dev.put("grüße~1.bin", other, "--visibility", "private")
        dev.put("plain", b"", "--visibility", "private")
        with checks.check("skerry bundle unpacks the private assets of the live build"):
            said = json.loads(dev.run("bundle", "--output", project / "private", "--json").stdout)
            equal([file["path"] for file in said["files"]], ["/grüße~1.bin", "/message.mp3", "/plain"])
            equal((project / "private" / "assets" / "message.private.mp3").read_bytes(), sound)
    with checks.check("Twilio's handler as a library answers with the bytes of the private asset"):
        with process(["node", "serve.cjs", "0"], project) as server:
            url = server.stdout.readline().strip()
            response = urllib.request.urlopen(url, timeout=DEADLINE_S)
            equal(response.headers["Content-Type"], "audio/mpeg")
            equal(response.read(), sound)
    with checks.check("twilio-run start answers with the bytes of the private asset, and does not serve the asset itself"):
        port = free_port()
        start = json.loads((project / "package.json").read_text())["scripts"]["start"].split()
        start[0] = project / "node_modules" / ".bin" / start[0]
        with process([*map(str, start), "--port", str(port)], project):
            response = eventually("twilio-run answers", lambda: fetched(f"http://127.0.0.1:{port}/message"))
            equal(response.headers["Content-Type"], "audio/mpeg")
            equal(response.read(), sound)
            equal(status(f"http://127.0.0.1:{port}/message.mp3"), 403)


class process:
    """A process that ends with its block."""

    def __init__(self, command, folder):
        self.child = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        return self.child

    def __exit__(self, *error):
        self.child.kill()
        said, _ = self.child.communicate()
        if error[0]:
            print(said[-5000:])


def fetched(url):
    """The response, or None while nobody listens."""
    try:
        return urllib.request.urlopen(url, timeout=DEADLINE_S)
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError:
        return None


def status(url):
    try:
        return urllib.request.urlopen(url, timeout=DEADLINE_S).status
    except urllib.error.HTTPError as error:
        return error.code


def free_port():
    """A port that was free a moment ago: twilio-run does not say which one it took for port 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]

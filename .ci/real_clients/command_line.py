"""curl over HTTP/1.1 and HTTP/2, as somebody types it."""

import json
import os
import subprocess

from checks import equal
from server import DEMO, Dev, environment


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        large = os.urandom(10_000_000)
        dev.put("large.bin", large, "--wait")
        for flag, version in (("--http1.1", "1.1"), ("--http2", "2")):
            with checks.check(f"curl {flag} fetches the demo's sound"):
                seen, body = curl(dev, flag, "/hello.mp3")
                equal((seen["http_code"], seen["http_version"]), (200, version))
                equal(seen["content_type"], "audio/mpeg")
                equal(body, (DEMO / "hello.mp3").read_bytes())
            with checks.check(f"curl {flag} fetches ten megabytes"):
                equal(curl(dev, flag, "/large.bin")[1], large)
            with checks.check(f"curl {flag} resumes a download"):
                equal(curl(dev, flag, "/large.bin", "--continue-at", "9000000")[1], large[9_000_000:])
            with checks.check(f"curl {flag} -I gets a head without content"):
                seen, _ = curl(dev, flag, "/hello.mp3", "--head")
                equal((seen["http_code"], seen["size_download"]), (200, 0))
            with checks.check(f"curl {flag} with the ETag gets 304"):
                etag = folder / "etag"
                curl(dev, flag, "/hello.mp3", "--etag-save", str(etag))
                seen, body = curl(dev, flag, "/hello.mp3", "--etag-compare", str(etag))
                equal((seen["http_code"], body), (304, b""))
            with checks.check(f"curl {flag} fetches 60 files at once"):
                command = ["curl", "--silent", "--show-error", "--fail", "--parallel", flag, "--cacert", dev.ca]
                for _ in range(20):
                    for path in ("/hello.mp3", "/photo.jpg", "/"):
                        command += ["--output", "/dev/null", dev.https + path]
                subprocess.run(command, check=True, timeout=60)
        with checks.check("every curl line that the server prints for people works as it is"):
            printed_lines(program, folder / "people")
        with checks.check("the URL of another account works without any option but the authority"):
            account = json.loads(dev.run("account", "create", "--name", "other", "--json").stdout)
            theirs = {"SKERRY_ACCOUNT_SID": account["account_sid"], "SKERRY_AUTH_TOKEN": account["auth_token"]}
            (folder / "theirs.txt").write_bytes(b"theirs")
            command = [program, "put", "theirs.txt", "--wait", "--data", dev.data]
            put = subprocess.run(command, env=environment() | theirs, cwd=folder, check=True, capture_output=True, text=True)
            fetch = ["curl", "--silent", "--show-error", "--fail", "--cacert", dev.ca, *put.stdout.split()]
            equal(subprocess.run(fetch, check=True, capture_output=True).stdout, b"theirs")
        with checks.check("the server's name in the URL works as well as its address"):
            host = dev.line["domain_name"]
            resolve = ["--resolve", f"{host}:{dev.port}:127.0.0.1"]
            seen, _ = curl(dev, "--http2", "/hello.mp3", *resolve, base=f"https://{host}:{dev.port}")
            equal(seen["http_code"], 200)


def printed_lines(program, folder):
    """Starts a server as somebody at a terminal does, and types what it says to try."""
    folder.mkdir()
    ports = ["--https", "127.0.0.1:0", "--api", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    server = subprocess.Popen([program, "dev", *ports], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=folder, text=True)
    try:
        screen = []
        while "Ctrl-C stops it." not in screen:
            line = server.stdout.readline()
            assert line, f"it ended after {screen}"
            screen.append(line.strip())
        lines = [line for line in screen if line.startswith("curl ")]
        assert len(lines) >= 2, screen
        for line in lines:
            done = subprocess.run(line + " --fail --silent --show-error", shell=True, cwd=folder, capture_output=True, timeout=60)
            assert done.returncode == 0, (line, done)
        equal((folder / "hello.mp3").read_bytes(), (DEMO / "hello.mp3").read_bytes())
    finally:
        server.terminate()
        server.wait(60)
        server.stdout.close()


def curl(dev, flag, path, *arguments, base=None):
    """What curl saw, and the content."""
    output = dev.folder / "curl.out"
    output.unlink(missing_ok=True)
    command = ["curl", "--silent", "--show-error", "--max-time", "60", flag, "--cacert", dev.ca]
    command += ["--output", output, "--write-out", "%{json}", *arguments, (base or dev.https) + path]
    if "--continue-at" in arguments:
        output.write_bytes(b"")
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"curl ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout), output.read_bytes() if output.exists() else b""

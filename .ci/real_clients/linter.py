"""REDbot, a linter of HTTP responses, finds nothing wrong."""

import json
import os
import pathlib
import subprocess
import sys

from server import Dev

# Path, and what the publisher says of it.
FILES = {
    "page.html": b"<!doctype html><html><head><title>Linted</title></head><body>" + b"<p>a paragraph of text</p>\n" * 200,
    "style.css": b"body { margin: 0 auto; max-width: 40rem }\n" * 100,
    "data.json": json.dumps({"rows": list(range(2000))}).encode(),
    "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8">' + b'<circle r="4"/>' * 100 + b"</svg>",
    "small.txt": b"small\n" * 50,
    "empty.txt": b"",
    "noise.bin": os.urandom(300_000),
}

# What it says of answers that are meant: summaries, with why.
MEANT = {
    # A path may change with the next deployment; the validator makes the question cheap.
    "This response is stale.",
    # It is, for caches that keep an answer to a request with credentials (RFC 9111 §3.5), and says what is meant.
    "Cache-Control: public is probably not necessary.",
}


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        site = folder / "site"
        site.mkdir()
        for name, content in FILES.items():
            (site / name).write_bytes(content)
        dev.run("put", site, "--wait")
        for name in [*FILES, "missing.html"]:
            with checks.check(f"REDbot has nothing against /{name}"):
                complaints = [note for note in notes(dev, name) if note["level"] in ("warning", "bad") and note["summary"] not in MEANT]
                assert not complaints, complaints


def notes(dev, name):
    """All that it notes of a URL, after it has asked for it in several ways."""
    lint = [sys.executable, pathlib.Path(__file__), f"{dev.https}/{name}"]
    done = subprocess.run(lint, env=os.environ | {"SSL_CERT_FILE": dev.ca}, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def main(url):
    """Asks for one URL, in a process of its own, because REDbot's event loop is global."""
    from configparser import ConfigParser

    import thor
    from redbot.resource import HttpResource

    config = ConfigParser()
    config.read_dict({"redbot": {"enable_local_access": "True"}})
    resource = HttpResource(config["redbot"], descend=False)
    resource.set_request(url)
    resource.on("check_done", thor.stop)
    resource.check()
    thor.run()
    if not resource.response.complete:
        raise SystemExit(f"{url}: {resource.fetch_error}")
    found = list(resource.response.notes)
    found += [note for above in resource.response.notes for note in above.subnotes]
    print(json.dumps([{"level": note.level.value, "summary": note.summary} for note in found]))


if __name__ == "__main__":
    main(sys.argv[1])

"""Chromium loads the demo page over HTTP/2 and HTTP/3."""

import base64
import hashlib
import json
import pathlib
import ssl
import subprocess

from checks import equal
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from server import Dev

PROTOCOLS = {"h2": "HTTP/2", "h3": "HTTP/3"}


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        for protocol, name in PROTOCOLS.items():
            seen = None
            with checks.check(f"Chromium loads the demo page over {name}"):
                seen = load(dev, protocol)
                equal(seen["title"], "Hello from Skerry")
            if seen is None:
                continue
            with checks.check(f"{name}: the page and all of its files came over {name}"):
                equal({entry["protocol"] for entry in seen["entries"]}, {protocol}, json.dumps(seen["entries"]))
            with checks.check(f"{name}: every picture shows"):
                equal(len(seen["images"]), 2)
                for image in seen["images"]:
                    assert image["width"] > 0, image
            with checks.check(f"{name}: the sound can be played, and to its end"):
                assert 4 < seen["audio"]["duration"] < 7, seen["audio"]
                assert seen["audio"]["played"], seen["audio"]
            with checks.check(f"{name}: the style applies"):
                assert seen["rules"] > 5, seen["rules"]
            with checks.check(f"{name}: the script ran, and says {name} of each file"):
                equal(len(seen["rows"]), 6)
                for row in seen["rows"]:
                    equal(row[1], name, row)
                    assert row[2].startswith("skerry; "), row
            with checks.check(f"{name}: nothing failed, and the console is empty"):
                equal(seen["problems"], [])


def load(dev, protocol):
    """What the page looked like from inside the browser."""
    page = pathlib.Path(__file__).with_name("browser.cjs")
    question = {"url": f"https://localhost:{dev.port}/", "port": dev.port, "spki": spki(dev), "protocol": protocol}
    done = subprocess.run(["node", page, json.dumps(question)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return json.loads(done.stdout)


def spki(dev):
    """The hash by which Chromium is told to trust one key."""
    certificate = ssl.get_server_certificate(("127.0.0.1", dev.port))
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(der).digest()).decode()

"""Fetchers of media: bare GET, HEAD then GET, caches that revalidate, every type that voice and messaging take."""

import asyncio
import os

import http2
import http3
import requests
from cachecontrol import CacheControl
from checks import equal
from server import Dev

# What voice plays and messages carry, as publishers declare it.
GIVEN = [
    "audio/mpeg", "audio/wav", "audio/wave", "audio/x-wav", "audio/aiff", "audio/x-aifc", "audio/x-aiff", "audio/x-gsm", "audio/gsm",
    "audio/ulaw", "audio/basic", "audio/ogg", "audio/mp4", "audio/3gpp", "audio/amr", "image/jpeg", "image/png", "image/gif", "image/webp",
    "video/mp4", "video/3gpp", "video/webm", "video/quicktime", "text/vcard", "text/calendar", "application/pdf",
]

# What the origin says where nobody does.
BY_EXTENSION = {
    "mp3": "audio/mpeg", "wav": "audio/wav", "aiff": "audio/aiff", "gsm": "audio/x-gsm", "au": "audio/basic", "ogg": "audio/ogg", "amr": "audio/amr",
    "jpg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp", "mp4": "video/mp4", "3gp": "video/3gpp", "webm": "video/webm",
    "mov": "video/quicktime", "vcf": "text/vcard; charset=utf-8", "ics": "text/calendar; charset=utf-8", "pdf": "application/pdf",
}

RULES = b"""
[[headers]]
path = "/looped.*"
cache-control = "public, max-age=60"
"""


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        files = publish(dev, folder)
        with http2.client(dev) as http, plain(dev) as session:
            for name, client in (("HTTP/1.1", session), ("HTTP/2", http)):
                base = dev.https if client is session else ""
                with checks.check(f"{name}: every media type by bare GET, HEAD then GET, and revalidation"):
                    for path, (media_type, content) in files.items():
                        fetch(client, base + path, media_type, content)
        with checks.check("HTTP/3: every media type by bare GET, and revalidation"):
            asyncio.run(asyncio.wait_for(over_http3(dev, files), 120))
        with checks.check("a cache keeps what has a max-age, and asks nobody for it"):
            with caching(dev) as session:
                first, *later = [session.get(f"{dev.https}/looped.mp3") for _ in range(5)]
                equal((first.status_code, first.from_cache, first.headers["cache-control"]), (200, False, "public, max-age=60"))
                assert all(response.from_cache and response.content == first.content for response in later)
        with checks.check("a cache revalidates what has none, and gets 304"):
            with caching(dev) as session:
                before = answered(dev, "3xx")
                for _ in range(3):
                    equal(session.get(f"{dev.https}/by-extension/a.mp3").content, files["/by-extension/a.mp3"][1])
                equal(answered(dev, "3xx") - before, 2)


def publish(dev, folder):
    """Path to media type and content of all that was published."""
    files = {}
    site = folder / "media"
    (site / "by-extension").mkdir(parents=True)
    (site / "_skerry.toml").write_bytes(RULES)
    (site / "looped.mp3").write_bytes(os.urandom(20_000))
    for extension, media_type in BY_EXTENSION.items():
        files[f"/by-extension/a.{extension}"] = (media_type, os.urandom(5_000))
        (site / "by-extension" / f"a.{extension}").write_bytes(files[f"/by-extension/a.{extension}"][1])
    dev.run("put", site, "--wait")
    for number, media_type in enumerate(GIVEN):
        files[f"/given-{number}"] = (media_type, os.urandom(5_000))
        dev.put(f"given-{number}", files[f"/given-{number}"][1], "--content-type", media_type, *(["--wait"] if number + 1 == len(GIVEN) else []))
    return files


def fetch(client, url, media_type, content):
    """As a proxy of a media server does: without any header of its own choice."""
    head = client.head(url)
    equal((head.status_code, head.headers["content-type"], head.content), (200, media_type, b""), url)
    got = client.get(url)
    equal((got.status_code, got.headers["content-type"], got.content), (200, media_type, content), url)
    equal(head.headers["content-length"], str(len(content)), url)
    for field, value in (("if-none-match", got.headers["etag"]), ("if-modified-since", got.headers["last-modified"])):
        again = client.get(url, headers={field: value})
        equal((again.status_code, again.content), (304, b""), f"{url} {field}")


async def over_http3(dev, files):
    async with http3.client(dev) as http:
        for path, (media_type, content) in files.items():
            headers, body = await http.fetch("GET", path)
            equal((headers[":status"], headers["content-type"], body), ("200", media_type, content), path)
            headers, body = await http.fetch("GET", path, {"if-none-match": headers["etag"]})
            equal((headers[":status"], body), ("304", b""), path)


def plain(dev):
    session = requests.Session()
    # Else a bundle of the surroundings counts before the authority of this server.
    session.trust_env, session.verify = False, dev.ca
    return session


def caching(dev):
    return CacheControl(plain(dev))


def answered(dev, status_class):
    """How many requests over HTTP/1.1 were answered so."""
    figures = requests.get(dev.line["edges"][0]["admin"] + "/metrics", timeout=10).text
    lines = (line for line in figures.splitlines() if line.startswith("skerry_edge_requests_total{"))
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if 'protocol="h1"' in line and f'status_class="{status_class}"' in line)

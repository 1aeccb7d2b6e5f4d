"""httpx with the HTTP/2 stack of python-hyper."""

import concurrent.futures
import os
import ssl

import httpx
from checks import equal
from server import DEMO, Dev


def run(checks, program, folder):
    with Dev(program, folder) as dev, client(dev) as http:
        with checks.check("httpx fetches every demo asset over HTTP/2"):
            for path in sorted(DEMO.iterdir()):
                if path.is_file():
                    response = http.get(f"/{path.name}")
                    equal((response.status_code, response.http_version), (200, "HTTP/2"), path.name)
                    equal(response.content, path.read_bytes(), path.name)
        with checks.check("hundred requests at once on one connection"):
            expected = (DEMO / "photo.jpg").read_bytes()
            with concurrent.futures.ThreadPoolExecutor(100) as pool:
                for response in pool.map(lambda _: http.get("/photo.jpg"), range(100)):
                    equal(response.content, expected)
        with checks.check("ranges, conditions, methods and errors"):
            equal(http.get("/hello.mp3", headers={"range": "bytes=0-9"}).status_code, 206)
            etag = http.get("/hello.mp3").headers["etag"]
            equal(http.get("/hello.mp3", headers={"if-none-match": etag}).status_code, 304)
            for _ in range(5):
                # Together more than the connection's window, which an unread body must give back.
                equal(http.post("/hello.mp3", content=b"x" * 50_000).status_code, 405)
            equal(http.get("/nothing").status_code, 404)
        with checks.check("a reader who stops in the middle leaves the connection usable"):
            dev.put("large.bin", os.urandom(20_000_000), "--wait")
            with http.stream("GET", "/large.bin") as response:
                next(response.iter_bytes(1000))
            equal(http.get("/hello.mp3").status_code, 200)


def client(dev):
    trust = ssl.create_default_context(cafile=dev.ca)
    return httpx.Client(http1=False, http2=True, verify=trust, base_url=dev.https, timeout=60)

"""A disk of the edge's cache that is full, read-only, failing or slow: every answer stays right, and it is said."""

import contextlib
import http.client
import os
import ssl
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from checks import equal
from server import Dev, eventually
from strace import Strace

SLICE = 262_144

# As the cache is set here; blocks are sparse files, so that a smaller file system takes them and then is full.
SETTINGS = ["--set", "edge.cache.disk_size=256MiB", "--set", "edge.cache.memory_size=4MiB"]

# Turns of a quick and a slow disk.
ROUNDS = 3

# A slow disk: so much for each write, of at most 2 MiB. About 1 MB/s.
DELAY_S = 2


def run(checks, program, folder):
    with Dev(program, folder, *SETTINGS) as dev:
        files = {f"{number}.bin": os.urandom(3 * SLICE + number) for number in range(8)}
        for name, content in files.items():
            dev.put(name, content, "--wait")
        failing(checks, dev, files)
        slow(checks, dev)
        dev.stop()
        full(checks, dev, files)
        read_only(checks, dev, files)


def failing(checks, dev, files):
    all_right(dev, files)
    eventually("all is on disk", lambda: figure(dev, "skerry_edge_cache_write_pending_bytes") == 0)
    with checks.check("reads that fail cost a fill, and are counted"), faults(dev, "reads", "pread64:error=EIO"):
        all_right(dev, files)
        assert figure(dev, "skerry_edge_cache_disk_errors_total", 'operation="read"') > 0
    with checks.check("writes that fail are counted, readyz says so, and all answers are right"):
        with faults(dev, "writes", "pwrite64:error=EIO"):
            more = {f"more-{number}.bin": os.urandom(2 * SLICE) for number in range(4)}
            for name, content in more.items():
                dev.put(name, content, "--wait")
            all_right(dev, files | more)
            eventually("failed writes are counted",
                       lambda: figure(dev, "skerry_edge_cache_disk_errors_total", 'operation="write"') > 0)
            assert "degraded: the disk cache takes no writes" in ready(dev), ready(dev)
            all_right(dev, files | more)
    with checks.check("a disk that works again is written again"):
        eventually("writable", lambda: ready(dev) == "ready\n")
        all_right(dev, files | more)


def slow(checks, dev):
    with checks.check("a disk that does 1 MB/s does not slow down misses"):
        quick, behind = [], []
        # In turn, and traced both times: being traced costs more than the disk, and machines have moods.
        for number in range(ROUNDS):
            with faults(dev, f"quick-{number}", "pwrite64:delay_enter=1"):
                quick += misses(dev, f"quick-{number}")
            with faults(dev, f"slow-{number}", f"pwrite64:delay_enter={int(DELAY_S * 1e6)}"):
                behind += misses(dev, f"slow-{number}")
        quick, behind = statistics.median(quick), statistics.median(behind)
        print(f"        median of a miss: {quick * 1000:.1f} ms, behind a slow disk {behind * 1000:.1f} ms", flush=True)
        # A miss that waited for a write would take as long as one.
        assert behind < 1.5 * quick + 0.005, (quick, behind)
        pending = figure(dev, "skerry_edge_cache_write_pending_bytes")
        assert pending <= figure(dev, "skerry_edge_cache_write_pending_bytes_max"), pending


def full(checks, dev, files):
    with mounted("size=3m") as cache, restarted(dev, cache):
        with checks.check("a full disk: every answer is right, and readyz says that nothing is written"):
            all_right(dev, files)
            eventually("the failed write is noticed", lambda: "takes no writes" in ready(dev))
            all_right(dev, files)
        with checks.check("a disk that has room again is written again"):
            subprocess.run(["mount", "-o", "remount,size=400m", cache], check=True)
            eventually("writable", lambda: ready(dev) == "ready\n")
            written = figure(dev, "skerry_edge_cache_disk_written_bytes_total")
            dev.put("after.bin", os.urandom(SLICE), "--wait")
            get(dev, "/after.bin")
            eventually("written", lambda: figure(dev, "skerry_edge_cache_disk_written_bytes_total") > written)


def read_only(checks, dev, files):
    with mounted("size=400m,ro") as cache, restarted(dev, cache):
        with checks.check("a read-only disk: the edge serves from memory, and readyz says so"):
            all_right(dev, files)
            eventually("noticed", lambda: "serving from memory" in ready(dev))
        with checks.check("a disk that is writable again is taken up"):
            subprocess.run(["mount", "-o", "remount,rw", cache], check=True)
            eventually("writable", lambda: ready(dev) == "ready\n")
            all_right(dev, files)


@contextlib.contextmanager
def mounted(options):
    """A file system of its own, where this machine mounts one."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def restarted(dev, cache):
    """The server with the cache of its edge elsewhere."""
    own = dev.data / "edge-1" / "cache"
    aside = own.with_name("cache-aside")
    own.rename(aside)
    own.symlink_to(cache)
    dev.start()
    try:
        yield
    finally:
        dev.stop()
        own.unlink()
        aside.rename(own)


def faults(dev, name, injection):
    """System calls on the files of the cache fail, and no others."""
    blocks = (dev.data / "edge-1" / "cache").iterdir()
    paths = [word for block in blocks for word in ("-P", block)]
    call = injection.split(":")[0]
    return Strace(dev.process.pid, dev.folder / name, "-e", f"trace={call}", "-e", f"inject={injection}", *paths)


def misses(dev, prefix):
    """Times to the end of cold files of one slice."""
    times = []
    for number in range(10):
        dev.put(f"{prefix}-{number}.bin", os.urandom(SLICE), "--wait")
    for number in range(10):
        began = time.monotonic()
        get(dev, f"/{prefix}-{number}.bin")
        times.append(time.monotonic() - began)
    return times


def all_right(dev, files):
    for name, content in files.items():
        equal(get(dev, f"/{name}") == content, True, name)


def get(dev, path):
    context = ssl.create_default_context(cafile=dev.ca)
    connection = http.client.HTTPSConnection("localhost", dev.port, context=context, timeout=60)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        content = response.read()
        equal(response.status, 200, path)
        return content
    finally:
        connection.close()


def admin(dev, path):
    with urllib.request.urlopen(dev.line["edges"][0]["admin"] + path, timeout=60) as response:
        return response.read().decode()


def ready(dev):
    """What is said of it; an edge that is not ready says why."""
    try:
        return admin(dev, "/readyz")
    except urllib.error.HTTPError as error:
        return error.read().decode()


def figure(dev, name, label=""):
    """Sum of the series with this name and label."""
    lines = [line for line in admin(dev, "/metrics").splitlines() if line.startswith((name + "{", name + " ")) and label in line]
    assert lines, name
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)

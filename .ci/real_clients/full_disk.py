"""A disk that is full: starts and uploads are refused with words that say so, nothing is left, and what was there goes on."""

import os
import subprocess

from checks import equal
from server import Dev, environment, eventually

SIZE = "48m"


def run(checks, program, folder):
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        print(f"left out: this machine mounts nothing ({mounted.stderr.strip()})")
        return
    try:
        start(checks, program, disk)
        with Dev(program, disk) as dev:
            fill(checks, dev, folder)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def start(checks, program, disk):
    ports = ["--https", "127.0.0.1:0", "--api", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--admin", "127.0.0.1:0"]
    edge = ["origin.url=https://127.0.0.1:1", "https.addresses=127.0.0.1:0", "admin.addresses=127.0.0.1:0"]
    commands = {
        "dev": ["dev", *ports, "--data", "data"],
        "origin init": ["origin", "init", "--set", "data=data"],
        "edge": ["edge", "--set", "data=data", *(word for setting in edge for word in ("--set", setting))],
    }
    # From no space at all to nearly enough: a start may fail at any of its files.
    for free in (0, 4096, 16384, 32768, 65536):
        ballast = disk / "ballast"
        with open(ballast, "wb") as file:
            space = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - free)
        for name, command in commands.items():
            with checks.check(f"{name} with {free} bytes free says that there is no space, and leaves nothing"):
                done = subprocess.run([program, *command], cwd=disk, env=environment(), capture_output=True, text=True, timeout=60)
                assert done.returncode != 0, done
                if name != "edge" or free < 16384:
                    assert "space" in done.stderr and "free some" in done.stderr, done.stderr
                equal(os.listdir(disk), ["ballast"])
        ballast.unlink()


def fill(checks, dev, folder):
    dev.put("before.bin", os.urandom(100_000), "--wait")
    paths = dev.paths()
    large = folder / "large.bin"
    large.write_bytes(os.urandom(60_000_000))
    with checks.check("an upload that does not fit is refused, and says that there is no space"):
        done = dev.run("put", large, "--path", "/large.bin", check=False)
        assert done.returncode != 0, done
        assert "space" in done.stderr and "free some" in done.stderr, done
    with checks.check("nothing of it is left"):
        equal(dev.paths(), paths)
        eventually("no temporary file", lambda: not [path for path in dev.blob_files() if path.startswith("tmp/")])
    with checks.check("the next upload that fits works"):
        dev.put("after.bin", os.urandom(100_000), "--wait")
        equal(dev.paths(), sorted([*paths, "/after.bin"]))

"""A disk that is full: the upload is refused with words that say so, and what was there goes on."""

import os
import subprocess

from checks import equal
from server import Dev, eventually

SIZE = "48m"


def run(checks, program, folder):
    disk = folder / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode:
        print(f"left out: this machine mounts nothing ({mounted.stderr.strip()})")
        return
    try:
        with Dev(program, disk) as dev:
            fill(checks, dev, folder)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def fill(checks, dev, folder):
    dev.put("before.bin", os.urandom(100_000), "--wait")
    paths = dev.paths()
    large = folder / "large.bin"
    large.write_bytes(os.urandom(60_000_000))
    with checks.check("an upload that does not fit is refused, and says that there is no space"):
        done = dev.run("put", large, "--path", "/large.bin", check=False)
        assert done.returncode != 0, done
        assert "space" in done.stderr.lower() or "full" in done.stderr.lower(), done
    with checks.check("nothing of it is left"):
        equal(dev.paths(), paths)
        eventually("no temporary file", lambda: not [path for path in dev.blob_files() if path.startswith("tmp/")])
    with checks.check("the next upload that fits works"):
        dev.put("after.bin", os.urandom(100_000), "--wait")
        equal(dev.paths(), sorted([*paths, "/after.bin"]))

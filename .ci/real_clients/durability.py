"""What is acknowledged is durable: the order of system calls, and what happens when the disk refuses."""

import os
import pathlib
import re
import time

from checks import equal
from server import Dev, eventually
from strace import Strace

# Each sync returns so much later, so that an answer that does not wait for it comes visibly early.
DELAY_S = 0.1

PATH_OF_DESCRIPTOR = re.compile(r"^\d+<(.*?)(?: \(deleted\))?>$")


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        order(checks, dev)
        refusals(checks, dev)


def order(checks, dev):
    with Strace(dev.process.pid, dev.folder / "order", "-e", f"inject=fsync,fdatasync:delay_exit={int(DELAY_S * 1e6)}") as strace:
        dev.put("ordered.bin", os.urandom(700_000))
        answered = time.time()
    calls = [call for call in strace.calls if call.result >= 0]
    for call in syncs(calls):
        # What strace measures ends before its delay does.
        call.ended += DELAY_S
    blobs = f"{dev.data}/origin/blobs"
    renames = [(source, target, call) for call in calls if call.name.startswith("rename")
               for source, target in [re.findall(r'"(.*?)"', call.arguments)] if target.startswith(blobs)]
    commits = [call for call in syncs(calls) if path_of(call).endswith("-wal")]

    with checks.check("an upload renames its blob, its slice list and the documents that name it into place"):
        assert len(renames) >= 3, renames
    for number, (source, target, rename) in enumerate(renames, 1):
        what = f"stored file {number} of {len(renames)}"
        with checks.check(f"{what}: its bytes are synced before it gets its name"):
            written = [call for call in syncs(calls) if path_of(call) == source and call.ended <= rename.began]
            assert written, f"no sync of {source} before {rename}"
        with checks.check(f"{what}: its folder is synced after that, then the catalogue commits, then the answer goes out"):
            parent = str(pathlib.Path(target).parent)
            folder = first(syncs(calls), lambda call: path_of(call) == parent and call.began >= rename.ended)
            commit = first(commits, lambda call: call.began >= folder.ended)
            assert commit.ended <= answered, f"answered {commit.ended - answered} s before the commit was durable"
    with checks.check("folders that an upload makes are durable in their parents before the catalogue commits"):
        made = [re.findall(r'"(.*?)"', call.arguments)[0] for call in calls if call.name.startswith("mkdir")]
        for path in (path for path in made if path.startswith(blobs)):
            parent = str(pathlib.Path(path).parent)
            synced = first(syncs(calls), lambda call: path_of(call) == parent)
            first(commits, lambda call: call.began >= synced.ended)
    with checks.check("no sync of the origin that began before the answer ended after it"):
        late = [call for call in syncs(calls)
                if path_of(call).startswith(f"{dev.data}/origin") and call.began < answered < call.ended]
        equal(late, [])


def refusals(checks, dev):
    wal = next((dev.data / "origin").glob("*-wal"))
    cases = {
        "every fsync fails": ["-e", "inject=fsync:error=EIO"],
        "the second fsync of each thread fails": ["-e", "inject=fsync:error=EIO:when=2+"],
        "the catalogue cannot be synced": ["-P", wal, "-e", "inject=fsync,fdatasync:error=EIO"],
        "files cannot get their names": ["-e", "inject=rename,renameat,renameat2:error=EIO"],
        "there is no space for a name": ["-e", "inject=rename,renameat,renameat2:error=ENOSPC"],
        "folders cannot be made": ["-e", "inject=mkdir,mkdirat:error=ENOSPC"],
    }
    for number, (what, options) in enumerate(cases.items()):
        name = f"refused-{number}.bin"
        paths, files = dev.paths(), dev.blob_files()
        with checks.check(f"{what}: the upload fails with a message, not a crash"):
            with Strace(dev.process.pid, dev.folder / f"refused-{number}", *options):
                done = dev.put(name, os.urandom(400_000), check=False)
            assert done.returncode != 0, done
            assert done.stderr.strip() and "panicked" not in done.stderr, done
            equal(dev.process.poll(), None, "the server runs")
        with checks.check(f"{what}: nothing is visible, nothing temporary is left"):
            equal(dev.paths(), paths)
            eventually("no temporary file", lambda: not [path for path in dev.blob_files() if path.startswith("tmp/")])
            for path in set(dev.blob_files()) - set(files):
                # What has its name already is whole, and waits for the same bytes to come again.
                assert re.fullmatch(r"../../[0-9a-f]{64}(\.slices)?", path), path
        with checks.check(f"{what}: the same upload works once the disk does"):
            dev.run("put", dev.folder / name, "--path", f"/{name}", "--wait")
            assert f"/{name}" in dev.paths()
    with checks.check("a restart finds everything that was acknowledged, and nothing else"):
        paths = dev.paths()
        dev.stop()
        dev.start()
        equal(dev.paths(), paths)


def syncs(calls):
    return [call for call in calls if call.name in ("fsync", "fdatasync")]


def path_of(call):
    match = PATH_OF_DESCRIPTOR.match(call.arguments)
    return match[1] if match else ""


def first(calls, right):
    found = next((call for call in calls if right(call)), None)
    assert found, f"no such call among {len(calls)}"
    return found

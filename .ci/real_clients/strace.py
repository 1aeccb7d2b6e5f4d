"""Watches the system calls of a running process, and makes some of them fail."""

import dataclasses
import re
import signal
import subprocess

TRACED = "openat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,sync_file_range"

CALL = re.compile(r"^(\d+) +(\d+\.\d+) (\w+)\((.*)$")
RESUMED = re.compile(r"^(\d+) +(\d+\.\d+) <\.\.\. (\w+) resumed>(.*)$")
ENDING = re.compile(r"^(.*)\) += (-?\d+|\?)(.*?)(?:<(\d+\.\d+)>)?$")


@dataclasses.dataclass
class Call:
    """One system call: its arguments as strace writes them, and when it began and ended, in Unix seconds."""

    name: str
    arguments: str
    began: float
    ended: float
    result: int


class Strace:
    """Attached while its block runs; `calls` is known afterwards."""

    def __init__(self, pid, log, *options):
        self._log = log
        command = ["strace", "-f", "-y", "-ttt", "-T", "-s", "400", "-o", log, "-e", f"trace={TRACED}"]
        self._process = subprocess.Popen([*command, *options, "-p", str(pid)], stderr=subprocess.PIPE, text=True)

    def __enter__(self):
        said = self._process.stderr.readline()
        if "attached" not in said:
            raise AssertionError(f"strace does not attach: {said}{self._process.stderr.read()}")
        return self

    def __exit__(self, *error):
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=60)
        self.calls = parse(self._log.read_text(errors="replace"))


def parse(text):
    """All calls that ended, by the moment at which they began."""
    calls, open_calls = [], {}
    for line in text.splitlines():
        if match := RESUMED.match(line):
            thread, now, name, rest = match.groups()
            if (name, thread) in open_calls:
                began, before = open_calls.pop((name, thread))
                calls += finished(name, before + rest, began, float(now))
        elif match := CALL.match(line):
            thread, now, name, rest = match.groups()
            if rest.endswith("<unfinished ...>"):
                open_calls[name, thread] = float(now), rest.removesuffix("<unfinished ...>").rstrip()
            else:
                calls += finished(name, rest, float(now), None)
    return sorted(calls, key=lambda call: call.began)


def finished(name, rest, began, ended):
    match = ENDING.match(rest)
    if not match or match[2] == "?":
        return []
    ended = ended or began + float(match[4] or 0)
    return [Call(name, match[1], began, ended, int(match[2]))]

"""Runs all checks and ends with one line: N passed, N failed."""

import pathlib
import sys
import tempfile

import attacks
import browser
import command_line
import console
import disk_faults
import durability
import full_disk
import functions
import http2
import http3
import linter
import media
import openapi
import seeking
import serverless_api
import signatures
import toolkit
from checks import Checks


def main() -> int:
    program = pathlib.Path(sys.argv[1])
    wanted = sys.argv[2:]
    checks = Checks()
    for part in (command_line, http2, http3, signatures, attacks, linter, media, browser, seeking, console, functions, toolkit, openapi, serverless_api, durability, full_disk, disk_faults):
        if wanted and part.__name__ not in wanted:
            continue
        print(f"--- {part.__name__}: {part.__doc__.splitlines()[0]}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            # A part that cannot even begin is one failed check, and the others still run.
            with checks.check(f"{part.__name__} runs to its end"):
                part.run(checks, program, pathlib.Path(folder))
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed or not checks.passed else 0


if __name__ == "__main__":
    sys.exit(main())

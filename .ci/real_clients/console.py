"""The console in Chromium, Firefox and WebKitGTK: every journey with real files, keyboard, languages, themes, accessibility, hostile files."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import threading

import console_webkit
import name_server
from server import DEMO, Dev

HERE = pathlib.Path(__file__).parent


def run(checks, program, folder):
    with_files(checks, program, folder)
    with_account(checks, program, folder / "account")


def with_files(checks, program, folder):
    files = folder / "files"
    files.mkdir()
    (files / "with-place.jpg").write_bytes(photo())
    with Dev(program, folder, "--edges", "3") as dev:
        question = asked(dev, files) | {
            "console": dev.line["console"],
            "key": str(dev.data / "url-key.pem"),
            "photo": str(files / "with-place.jpg"),
            "axe": axe(),
            # Many work on a machine of checks at once; the bound of a quiet one is asked for by name.
            "busy": os.environ.get("SKERRY_QUIET") != "1",
        }
        journeys(checks, "Chromium", "console.cjs", question)
        if shutil.which("firefox-esr") or shutil.which("firefox"):
            journeys(checks, "Firefox", "console_firefox.cjs", question)
        if console_webkit.is_there():
            with checks.check("WebKitGTK: the file dialog publishes a file"):
                url, note = console_webkit.publish(question)
                assert url.endswith("/webkit.txt") and "live on 3 of 3 edges" in note, (url, note)


def with_account(checks, program, folder):
    records, files = folder / "records", folder / "files"
    for made in (folder, records, files):
        made.mkdir()
    with name_server.Server(records) as names, Dev(program, folder, "--edges", "3", "--set", f"origin.domains.dns_servers={names.address}") as dev:
        dev.run("env", "create", "staging")
        question = asked(dev, files) | {"records": str(records)}
        journeys(checks, "Chromium", "console_account.cjs", question, dev.kill_and_start)


def asked(dev, files):
    """What every script of journeys is told."""
    return {
        "api": dev.line["api"],
        "sid": dev.line["account_sid"],
        "token": dev.line["auth_token"],
        "ca": dev.ca,
        "folder": str(files),
        "shots": os.environ.get("SKERRY_SHOTS", ""),
    }


def journeys(checks, browser, script, question, restart=None):
    """Goes through the journeys of a script, which may ask for another start of the origin on the way."""
    command = ["node", HERE / script, json.dumps(question)]
    told = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        end = threading.Timer(600, process.kill)
        end.start()
        for line in process.stdout:
            said = json.loads(line)
            if "ask" in said:
                restart()
                process.stdin.write("done\n")
                process.stdin.flush()
            else:
                told.append(said)
        code = process.wait()
        end.cancel()
    with checks.check(f"{browser} goes through all journeys of {script}"):
        assert code == 0 and told, (code, told)
    for one in told:
        with checks.check(f"{browser}: {one['rule']}"):
            assert one["ok"], one["error"]


def photo():
    """The demo's photo with Exif that says where it was taken (CIPA DC-008 §4.6)."""
    entry = struct.Struct(">HHLL").pack
    tiff = b"MM\0*" + struct.pack(">L", 8)
    tiff += struct.pack(">H", 2) + entry(0x013B, 2, 9, 38) + entry(0x8825, 4, 1, 48) + bytes(4)
    tiff += b"Jane Doe\0\0"
    tiff += struct.pack(">H", 2) + entry(2, 5, 3, 78) + entry(4, 5, 3, 102) + bytes(4)
    tiff += struct.pack(">12L", 48, 1, 51, 1, 0, 1, 2, 1, 17, 1, 0, 1)
    segment = b"Exif\0\0" + tiff
    plain = (DEMO / "photo.jpg").read_bytes()
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + plain[2:]


def axe():
    """The checker of accessibility, beside the other packages."""
    for folder in os.environ["NODE_PATH"].split(":"):
        path = pathlib.Path(folder) / "axe-core" / "axe.min.js"
        if path.exists():
            return str(path)
    raise AssertionError("axe-core is not installed beside playwright-core")

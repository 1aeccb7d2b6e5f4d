"""slowhttptest and testssl.sh, which attack."""

import json
import re
import subprocess

from checks import equal
from server import DEADLINE_S, Dev

# Connections of an attack, and its seconds: enough to fill a server that keeps none of its limits, and short enough for every run.
CONNECTIONS = 200
SECONDS = 8

# What testssl.sh looks for, and we must not be found with. BREACH is no finding: what is served compressed holds no secrets.
VULNERABILITIES = [
    "heartbleed", "CCS", "ticketbleed", "ROBOT", "secure_client_renego", "CRIME_TLS", "POODLE_SSL", "fallback_SCSV", "SWEET32",
    "FREAK", "DROWN", "LOGJAM", "BEAST", "LUCKY13", "RC4",
]


def run(checks, program, folder):
    with Dev(program, folder, "--set", "edge.limits.head_seconds_max=3") as dev:
        for name, mode in (("slow heads", ["-H"]), ("slow readers", ["-X"])):
            with checks.check(f"the service stays available under {name}"):
                slowly(dev, mode)
        with checks.check("testssl.sh finds TLS 1.2 and 1.3 alone, AEAD alone, and no vulnerability"):
            scan(dev, folder)


def slowly(dev, mode):
    command = ["slowhttptest", *mode, "-c", CONNECTIONS, "-r", CONNECTIONS // 2, "-i", 1, "-l", SECONDS, "-p", 3, "-u", f"{dev.https}/hello.mp3"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=DEADLINE_S)
    output = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout + done.stderr)
    verdicts = re.findall(r"service available:\s*(\w+)", output)
    assert verdicts, output
    equal(set(verdicts), {"YES"}, "service available")


def scan(dev, folder):
    report = folder / "testssl.json"
    command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--jsonfile", report]
    command += ["--protocols", "--server-preference", "--vulnerable", f"https://localhost:{dev.port}"]
    subprocess.run(command, capture_output=True, timeout=2 * DEADLINE_S)
    found = {entry["id"]: entry for entry in json.loads(report.read_text())}
    for version in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        equal(found[version]["finding"], "not offered", version)
    for version in ("TLS1_2", "TLS1_3"):
        assert found[version]["finding"].startswith("offered"), found[version]
    for version in ("TLSv1_2", "TLSv1_3"):
        suites = found[f"cipherorder_{version}"]["finding"].split()
        assert suites and all("GCM" in suite or "CHACHA20" in suite for suite in suites), suites
    for name in VULNERABILITIES:
        equal(found[name]["severity"], "OK", name)

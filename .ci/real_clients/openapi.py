"""Schemathesis, which calls whatever the OpenAPI document describes, finds no answer that the document does not."""

import json
import pathlib
import subprocess
import sys

import requests

from server import Dev

# Examples of each operation; each takes a few milliseconds.
EXAMPLES = 20

# The same at every run: what it finds can be found again.
SEED = 20260101

# What is held against the document: no 5xx, and status, media type and body as it says; no answer to wrong credentials; 405 with what is allowed.
RULES = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth,unsupported_method"

# This would end the credentials that it calls with.
LEFT_OUT = ("/v1/AuthTokens/Promote",)

# Names in paths that are known, so that calls reach what they are about: not what would be deleted, and not the account, which could
# be told to take keys only.
KNOWN = {
    "GET": ("service", "environment", "build", "variable", "content", "version", "key", "account"),
    "POST": ("service", "environment", "variable", "content", "key"),
    "DELETE": (),
}

# It shows wrong credentials more often than a stranger may.
PATIENT = ("--set", "origin.auth.failure_count_max=1000000", "--set", "origin.auth.address_failure_count_max=1000000")


def run(checks, program, folder):
    with Dev(program, folder, *PATIENT) as dev:
        things = make(dev)
        url = f"{dev.line['api']}/v1/openapi.json"
        with checks.check("the document is OpenAPI 3.1, and says what every operation answers"):
            document = requests.get(url, timeout=60).json()
            assert document["openapi"].startswith("3.1"), document["openapi"]
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        for method in KNOWN:
            with checks.check(f"every answer to {method} is as the document says"):
                test(dev, folder, url, things, method)


def make(dev):
    """One of each thing that paths name."""
    api, session = f"{dev.line['api']}/v1", requests.Session()
    session.auth = (dev.line["account_sid"], dev.line["auth_token"])

    def sid(path, files=None, **parameters):
        answer = session.post(f"{api}{path}", data=parameters, files=files, timeout=60)
        assert answer.status_code == 201, answer.text
        return answer.json()["sid"]

    service = sid("/Services", UniqueName="tested", FriendlyName="tested")
    root = f"/Services/{service}"
    environment = sid(f"{root}/Environments", UniqueName="live")
    asset = sid(f"{root}/Assets", FriendlyName="/a.txt")
    version = sid(f"{root}/Assets/{asset}/Versions", {"Content": ("a.txt", b"a", "text/plain")}, Path="/a.txt", Visibility="public")
    build = sid(f"{root}/Builds", AssetVersions=version)
    return {
        "service": service,
        "environment": environment,
        "build": build,
        "content": asset,
        "version": version,
        "variable": sid(f"{root}/Environments/{environment}/Variables", Key="K", Value="V"),
        "key": sid("/Keys", FriendlyName="tested"),
        "account": dev.line["account_sid"],
    }


def test(dev, folder, url, things, method):
    """Calls every operation of a method, most times with SIDs of things that are there."""
    settings = folder / f"{method}.toml"
    names = "".join(f'"path.{name}" = {json.dumps([things[name]])}\n' for name in KNOWN[method])
    settings.write_text(f"[parameters]\n{names}")
    tool = pathlib.Path(sys.executable).with_name("schemathesis")
    account = f"{dev.line['account_sid']}:{dev.line['auth_token']}"
    left_out = [argument for path in LEFT_OUT for argument in ("--exclude-path", path)]
    done = subprocess.run(
        [
            tool, "--config-file", settings, "run", url, "--auth", account, "--include-method", method, *left_out,
            "--checks", RULES, "--max-examples", str(EXAMPLES), "--phases", "examples,coverage,fuzzing", "--seed", str(SEED),
            "--generation-database", "none", "--suppress-health-check", "all", "--no-color",
        ],
        cwd=folder, capture_output=True, text=True, timeout=280,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]

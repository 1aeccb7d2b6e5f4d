"""Schemathesis, which calls whatever the OpenAPI document describes, finds no answer that the document does not."""

import json
import pathlib
import subprocess
import sys

import requests

from server import Dev, eventually

# Examples of each operation; each takes a few milliseconds.
EXAMPLES = 20

# The same at every run: what it finds can be found again.
SEED = 20260101

# What is held against the document: no 5xx, and status, media type and body as it says; no answer to wrong credentials; 405 with what is allowed.
RULES = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,ignored_auth,unsupported_method"

# The first would end the credentials that it calls with, and of the second there are none: no function runs here.
LEFT_OUT = ("/v1/AuthTokens/Promote", "/v1/Services/{service}/Environments/{environment}/Logs/{log}")

# Names in paths that are known, so that calls reach what they are about: nothing where it would be deleted, and not the account where it
# could be told to take keys only.
KNOWN = {
    "GET": ("service", "environment", "build", "deployment", "variable", "domain", "content", "version", "key", "account"),
    "POST": ("service", "environment", "variable", "domain", "content", "key"),
    "DELETE": (),
}

# It shows wrong credentials more often than a stranger may.
PATIENT = ("--set", "origin.auth.failure_count_max=1000000", "--set", "origin.auth.address_failure_count_max=1000000")


def run(checks, program, folder):
    with Dev(program, folder, *PATIENT) as dev:
        things, functions = make(dev)
        url = f"{dev.line['api']}/v1/openapi.json"
        with checks.check("the document is OpenAPI 3.1, and says what every operation answers"):
            document = requests.get(url, timeout=60).json()
            assert document["openapi"].startswith("3.1"), document["openapi"]
            for path, operations in document["paths"].items():
                for method, operation in operations.items():
                    assert any(status.startswith("2") for status in operation["responses"]), (method, path)
        for method in KNOWN:
            with checks.check(f"every answer to {method} is as the document says"):
                test(dev, folder, url, things, functions, method)


def make(dev):
    """One of each thing that paths name, and what they name in place of it where functions are meant."""
    api, session = f"{dev.line['api']}/v1", requests.Session()
    session.auth = (dev.line["account_sid"], dev.line["auth_token"])

    def sid(path, files=None, **parameters):
        answer = session.post(f"{api}{path}", data=parameters, files=files, timeout=60)
        assert answer.status_code == 201, answer.text
        return answer.json()["sid"]

    service = sid("/Services", UniqueName="tested", FriendlyName="tested")
    root = f"/Services/{service}"
    place = f"{root}/Environments/{sid(f'{root}/Environments', UniqueName='live')}"

    def content(kind):
        made = sid(f"{root}/{kind}", FriendlyName="/a.txt")
        file = {"Content": ("a.txt", b"a", "text/plain")}
        return {"content": made, "version": sid(f"{root}/{kind}/{made}/Versions", file, Path="/a.txt", Visibility="public")}

    assets = content("Assets")
    build = sid(f"{root}/Builds", AssetVersions=assets["version"])
    eventually("the end of a build", lambda: session.get(f"{api}{root}/Builds/{build}/Status", timeout=60).json()["status"] == "completed")
    things = {
        "service": service,
        "environment": place.rsplit("/", 1)[1],
        "build": build,
        "deployment": sid(f"{place}/Deployments", BuildSid=build),
        "variable": sid(f"{place}/Variables", Key="K", Value="V"),
        "domain": sid(f"{place}/Domains", DomainName="music.example.com"),
        "key": sid("/Keys", FriendlyName="tested"),
        "account": dev.line["account_sid"],
    }
    return things | assets, content("Functions")


def test(dev, folder, url, things, functions, method):
    """Calls every operation of a method, as far as possible with SIDs of things that are there."""
    known = {name: things[name] for name in KNOWN[method]}
    of_functions = {name: functions[name] for name in KNOWN[method] if name in functions}
    settings = folder / f"{method}.toml"
    settings.write_text(f"{parameters('parameters', known)}[[operations]]\ninclude-path-regex = \"/Functions/\"\n{parameters('operations.parameters', of_functions)}")
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
    # Reading reaches everything: an operation of which nothing is made above would be tested against 404 alone.
    assert method != "GET" or "Missing test data" not in done.stdout, done.stdout[-8000:]


def parameters(table, values):
    """A table of values for names in paths."""
    lines = [f'"path.{name}" = {json.dumps(value)}' for name, value in values.items()]
    return "\n".join([f"[{table}]", *lines, ""])

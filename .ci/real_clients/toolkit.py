"""Twilio's toolkit and helper libraries, unmodified, deploy and list through `skerry twilio`."""

import base64
import json
import os
import pathlib
import random
import sys
import urllib.request

from checks import equal
from server import DEADLINE_S, Dev, eventually

ACCOUNT_FILE = ".twiliodeployinfo"

# Names of all assets, newest first, page by page.
PYTHON = """
import json, os, sys
from twilio.rest import Client
client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
print(json.dumps([asset.friendly_name for asset in client.serverless.v1.services(sys.argv[1]).assets.list(page_size=2)]))
"""
NODE = """
const client = require("twilio")(process.env.TWILIO_ACCOUNT_SID, process.env.TWILIO_AUTH_TOKEN);
client.serverless.v1.services(process.argv[1]).assets.list({ pageSize: 2 })
    .then((assets) => console.log(JSON.stringify(assets.map((asset) => asset.friendlyName))));
"""


def run(checks, program, folder):
    project = folder / "project"
    files = {"hello.txt": b"hello", "sound.mp3": random.Random(1).randbytes(700_000), "deep/er.json": b"{}", "empty.bin": b""}
    write(project, files)
    with Dev(program, folder) as dev:
        toolkit = Toolkit(dev, project)
        with checks.check("twilio-run deploy: every file is at the edge, byte for byte; what is private is not"):
            toolkit.deploy()
            shown(toolkit, files)
        with checks.check("a second deploy shows what changed, and keeps what did not"):
            files["hello.txt"], files["new.txt"] = b"hello again", b"new"
            write(project, files)
            toolkit.deploy()
            shown(toolkit, files)
        with checks.check("activate shows an older build in another environment"):
            toolkit.run("activate", "--source-environment", "dev", "--environment", "stage", "--create-environment")
            shown(toolkit, files, "stage")
        with checks.check("a project of a name that is taken is refused, and taken over when told so"):
            (project / ACCOUNT_FILE).unlink()
            assert toolkit.run("deploy", check=False).returncode != 0
            toolkit.run("deploy", "--override-existing-project")
        with checks.check("list names services, environments, builds, assets and functions"):
            for kind in ("services", "environments", "builds", "assets", "functions"):
                listed = toolkit.run("list", kind, "--output-format", "json").stdout
                assert json.loads(listed)[kind], listed
        names = sorted([*(f"/{name}" for name in files), "/secret.txt"])
        with checks.check("twilio-python lists over pages of two"):
            equal(sorted(json.loads(toolkit.through(sys.executable, "-c", PYTHON, toolkit.service()).stdout)), names)
        with checks.check("twilio-node lists over pages of two"):
            equal(sorted(json.loads(toolkit.through("node", "-e", NODE, toolkit.service()).stdout)), names)
        with checks.check("a build that fails ends the deploy, and what was live stays"):
            (project / "assets" / "_skerry.toml").write_text('not_found = "/missing.html"\n')
            assert toolkit.run("deploy", check=False).returncode != 0
            (project / "assets" / "_skerry.toml").unlink()
            shown(toolkit, files)
        with checks.check("a wrong token is told as Twilio tells it"):
            done = toolkit.run("deploy", check=False, token="0" * 32)
            assert done.returncode != 0 and "20003" in done.stdout + done.stderr, done


def write(project, files):
    assets = project / "assets"
    for name, content in files.items():
        (assets / name).parent.mkdir(parents=True, exist_ok=True)
        (assets / name).write_bytes(content)
    (assets / "secret.private.txt").write_bytes(b"for functions")
    (project / "functions").mkdir(exist_ok=True)
    (project / "functions" / "hi.js").write_text("exports.handler = (context, event, callback) => callback(null, 'hi');\n")
    (project / "package.json").write_text(json.dumps({"name": "toolkit", "version": "1.0.0", "dependencies": {"twilio": "6.2.0"}}))
    (project / ".env").write_text("GREETING=hello\nACCOUNT_SID=\nAUTH_TOKEN=\n")


def shown(toolkit, files, suffix="dev"):
    # Twilio's clients do not wait for edges.
    eventually("the deployment is at the edge", lambda: toolkit.fetched(suffix, "/hello.txt") == (200, files["hello.txt"]))
    for name, content in files.items():
        equal(toolkit.fetched(suffix, f"/{name}"), (200, content), name)
    equal(toolkit.fetched(suffix, "/secret.txt")[0], 404, "what is private")
    equal(toolkit.fetched(suffix, "/hi")[0], 404, "a function")


class Toolkit:
    """twilio-run in a project, against a development server."""

    def __init__(self, dev, project):
        self.dev, self.project = dev, project
        self.program = pathlib.Path(os.environ["NODE_PATH"]) / ".bin" / "twilio-run"

    def deploy(self):
        return self.run("deploy")

    def run(self, *arguments, check=True, token=None):
        # Credentials come from the environment; twilio-run reads them from .env unless it is told to.
        return self.through(self.program, *arguments, "--env", ".env", "--load-system-env", check=check, token=token)

    def through(self, *command, check=True, token=None):
        """Runs a command through `skerry twilio`."""
        options = ["--auth-token", token, "--account-sid", self.dev.line["account_sid"]] if token else []
        return self.dev.run("twilio", *options, "--", *command, check=check, folder=self.project)

    def service(self):
        return next(iter(json.loads((self.project / ACCOUNT_FILE).read_text()).values()))["serviceSid"]

    def fetched(self, suffix, path):
        """Status and content at the first edge, of the project's environment of this suffix."""
        return self.dev.fetched(self.domain(suffix), path)

    def domain(self, suffix):
        line = self.dev.line
        credentials = base64.b64encode(f"{line['account_sid']}:{line['auth_token']}".encode()).decode()
        url = f"{line['api']}/v1/Services/{self.service()}/Environments"
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {credentials}"})
        environments = json.load(urllib.request.urlopen(request, timeout=DEADLINE_S))["environments"]
        return next(environment["domain_name"] for environment in environments if environment["domain_suffix"] == suffix)

"""@twilio-labs/serverless-api, called by a script of its own through `skerry twilio`."""

import base64
import json
import pathlib
import random

from checks import equal
from server import Dev, eventually

SCRIPT = pathlib.Path(__file__).with_name("serverless_api.cjs")

HANDLER = b"exports.handler = (context, event, callback) => callback(null, 'hi');\n"


def run(checks, program, folder):
    files = {"/hello.txt": b"hello", "/sound.mp3": random.Random(2).randbytes(700_000), "/deep/er.json": b"{}", "/empty.bin": b""}
    functions = {"/hi": HANDLER}
    with Dev(program, folder) as dev:
        client = Client(dev)
        with checks.check("a first deploy: every file is at the edge, byte for byte; what is private, and a function, is not"):
            first = client.deploy("project", files, functions)
            shown(dev, first["domain"], files)
        with checks.check("a second deploy shows what changed, and keeps what did not"):
            files["/hello.txt"], files["/new.txt"] = b"hello again", b"new"
            second = client.deploy("project", files, functions, serviceSid=first["serviceSid"])
            equal(second["domain"], first["domain"])
            shown(dev, second["domain"], files)
        with checks.check("a name that is taken is a conflict that names the service, and is taken over when told so"):
            refused = client.refused("deploy", **config("project", files, functions))
            equal(refused["name"], "conflicting-servicename")
            assert first["serviceSid"] in refused["message"], refused
            files["/over.txt"] = b"override"
            third = client.deploy("project", files, functions, overrideExistingService=True)
            equal(third["serviceSid"], first["serviceSid"])
            shown(dev, third["domain"], files)
        with checks.check("activate shows the build in another environment, byte for byte"):
            activated = client.call("activate", serviceSid=first["serviceSid"], sourceEnvironment="dev", targetEnvironment="stage", createEnvironment=True, force=True, env={})
            equal(activated["buildSid"], third["buildSid"])
            shown(dev, activated["domain"], files)
        with checks.check("activating an older build is a rollback"):
            client.call("activate", serviceSid=first["serviceSid"], buildSid=first["buildSid"], targetEnvironment="stage", env={})
            eventually("the older build is at the edge", lambda: dev.fetched(activated["domain"], "/hello.txt") == (200, b"hello"))
            equal(dev.fetched(activated["domain"], "/new.txt")[0], 404)
            shown(dev, third["domain"], files)
        with checks.check("list names services, environments, builds, variables, assets and functions"):
            equal([one["unique_name"] for one in client.call("list", types="services")["services"] if one["sid"] == first["serviceSid"]], ["project"])
            listed = client.call("list", types=["environments", "builds", "variables", "functions", "assets"], serviceSid=first["serviceSid"], environment="dev")
            equal(sorted(one["domain_suffix"] for one in listed["environments"]), ["dev", "stage"])
            equal(listed["builds"][0]["sid"], third["buildSid"])
            equal([(one["key"], one["value"]) for one in listed["variables"]["entries"]], [("GREETING", "hello")])
            equal(sorted(one["path"] for one in listed["assets"]["entries"]), sorted([*files, "/secret.txt"]))
            equal([one["path"] for one in listed["functions"]["entries"]], ["/hi"])
        with checks.check("lists over pages of two have everything once"):
            listed = client.call("pages", url=f"Services/{first['serviceSid']}/Assets?PageSize=2")
            equal(sorted(one["friendly_name"] for one in listed), sorted([*files, "/secret.txt"]))
        with checks.check("a project of one function, and nothing else, is deployed; the edge shows nothing of it"):
            alone = client.call("deploy", **{**config("alone", {}, functions), "assets": []})
            listed = client.call("list", types=["functions"], serviceSid=alone["serviceSid"], environment="dev")
            equal([one["path"] for one in listed["functions"]["entries"]], ["/hi"])
            eventually("the environment is at the edge", lambda: dev.fetched(alone["domain"], "/hi")[0] == 404)
        with checks.check("a build that fails ends the deploy with its error, and what was live stays"):
            failing = {**files, "/_skerry.toml": b'not_found = "/missing.html"\n', "/hello.txt": b"never shown"}
            client.refused("deploy", **config("project", failing, functions), overrideExistingService=True)
            shown(dev, third["domain"], files)
        with checks.check("a wrong token is told as Twilio tells it"):
            refused = client.refused("list", token="0" * 32, types="services")
            assert "20003" in json.dumps(refused), refused


def config(name, files, functions, **further):
    def resource(path, content, access="public"):
        return {"name": path, "path": path, "access": access, "content": base64.b64encode(content).decode()}

    assets = [resource(path, content) for path, content in files.items()]
    return {
        "serviceName": name,
        "functionsEnv": "dev",
        "env": {"GREETING": "hello"},
        "pkgJson": {"dependencies": {"twilio": "6.2.0"}},
        "assets": [*assets, resource("/secret.txt", b"for functions", "private")],
        "functions": [resource(path, content) for path, content in functions.items()],
        **further,
    }


def shown(dev, domain, files):
    # Twilio's clients do not wait for edges.
    def differing():
        return [path for path, content in files.items() if dev.fetched(domain, path) != (200, content)]

    eventually("the deployment is at the edge", lambda: not differing())
    equal(dev.fetched(domain, "/secret.txt")[0], 404, "what is private")
    equal(dev.fetched(domain, "/hi")[0], 404, "a function")


class Client:
    """The client in a process of its own for each call."""

    def __init__(self, dev):
        self.dev = dev

    def deploy(self, name, files, functions, **further):
        return self.call("deploy", **config(name, files, functions, **further))

    def call(self, action, **config):
        return json.loads(self._run(action, config, None, check=True).stdout)

    def refused(self, action, token=None, **config):
        """What a call that must fail says."""
        done = self._run(action, config, token, check=False)
        assert done.returncode != 0, done
        return json.loads(done.stdout)

    def _run(self, action, config, token, check):
        options = ["--auth-token", token, "--account-sid", self.dev.line["account_sid"]] if token else []
        # A command line holds 128 KiB in one argument; a deploy with its files is more.
        file = self.dev.folder / "call.json"
        file.write_text(json.dumps(config))
        return self.dev.run("twilio", *options, "--", "node", SCRIPT, action, file, check=check)

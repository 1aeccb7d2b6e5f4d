"""Twilio's helper libraries for Python and Node: what they sign and accept, an edge accepts, and nothing else."""

import asyncio
import json
import pathlib
import random
import ssl
import string
import subprocess
import urllib.parse
from http.client import HTTPSConnection

import httpx
from checks import equal
from http3 import client
from server import Dev
from twilio.request_validator import RequestValidator

CASES = 150
SEED = 20261124


def run(checks, program, folder):
    with Dev(program, folder) as dev:
        dev.put("p.txt", b"for those who sign\n", "--visibility", "protected", "--wait")
        dev.run("env", "set", "post=as-get", "--wait")
        token = dev.line["auth_token"]
        chance = random.Random(SEED)
        cases = [case(chance, dev.port, token) for _ in range(CASES)]
        judge_and_sign(cases, token)
        accepted = sum(case["accepted"] for case in cases)
        with checks.check(f"{CASES} random requests, {accepted} of them signed rightly, are judged alike over HTTP/1.1"):
            context = ssl.create_default_context(cafile=dev.ca)
            for case_ in cases:
                connection = HTTPSConnection("localhost", dev.port, context=context, timeout=60)
                fields = {"X-Twilio-Signature": case_["signature"]}
                content = None
                if case_["fields"]:
                    content = urllib.parse.urlencode(case_["fields"], doseq=True)
                    fields["Content-Type"] = "application/x-www-form-urlencoded"
                connection.request("POST" if content else "GET", case_["target"], content, fields)
                compare(case_, connection.getresponse().status)
                connection.close()
        without_form = [case for case in cases if not case["fields"]]
        with checks.check("those without a form are judged alike over HTTP/2"):
            with httpx.Client(http2=True, http1=False, verify=ssl.create_default_context(cafile=dev.ca), timeout=60) as http:
                for case_ in without_form:
                    url = f"https://localhost:{dev.port}{case_['target']}"
                    compare(case_, http.get(url, headers={"X-Twilio-Signature": case_["signature"]}).status_code)
        with checks.check("and over HTTP/3"):
            asyncio.run(asyncio.wait_for(over_http3(dev, without_form), 300))


def case(chance, port, token):
    """A request, and the URL and token that its signature is made with: in half of the cases others than the request's."""
    letters = string.ascii_letters + string.digits + "-._~"

    def word():
        return "".join(chance.choices(letters, k=chance.randint(1, 12)))

    pairs = [(word(), word()) for _ in range(chance.randint(0, 4))]
    target = "/p.txt" + ("?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else "")
    fields = {}
    if chance.random() < 0.4:
        alphabet = letters + " +&=%é漢😀'"
        for _ in range(chance.randint(1, 5)):
            values = ["".join(chance.choices(alphabet, k=chance.randint(0, 8))) for _ in range(chance.randint(1, 2))]
            fields[word()] = values if len(set(values)) > 1 else values[0]
    authority = chance.choice(["localhost", f"localhost:{port}"])
    made = {"url": f"https://{authority}{target}", "token": token, "fields": fields}
    tampered = chance.choice([None, None, None, "scheme", "host", "path", "query", "token", "field", "signature"])
    match tampered:
        case "scheme":
            made["url"] = made["url"].replace("https", "http", 1)
        case "host":
            made["url"] = made["url"].replace("localhost", "localhosts", 1)
        case "path":
            made["url"] = made["url"].replace("/p.txt", "/q.txt", 1)
        case "query":
            made["url"] += ("&" if pairs else "?") + "x=1"
        case "token":
            made["token"] = token[::-1]
        case "field":
            made["fields"] = fields | {"Extra": "1"}
    return {"target": target, "fields": fields, "made": made, "tampered": tampered,
            "url": f"https://localhost:{port}{target}"}


def judge_and_sign(cases, token):
    """Adds signatures, half made by each library, and whether each library accepts them."""
    by_node = node([case["made"] for case in cases])
    for number, (case_, signature) in enumerate(zip(cases, by_node)):
        made = case_["made"]
        own = RequestValidator(made["token"]).compute_signature(made["url"], multi(made["fields"]))
        equal(own, signature, f"both libraries sign alike {made}")
        if case_["tampered"] == "signature":
            signature = ("A" if signature[0] != "A" else "B") + signature[1:]
        case_["signature"] = signature
        case_["accepted"] = RequestValidator(token).validate(case_["url"], multi(case_["fields"]), signature)
    judged = node([{"token": token, "url": case["url"], "fields": case["fields"], "signature": case["signature"]}
                   for case in cases])
    equal(judged, [case["accepted"] for case in cases], "both libraries judge alike")


class multi(dict):
    """Fields with several values, as web frameworks give them."""

    def getlist(self, name):
        values = self[name]
        return values if isinstance(values, list) else [values]


def node(cases):
    script = pathlib.Path(__file__).with_name("signatures.cjs")
    done = subprocess.run(["node", script], input=json.dumps(cases), capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


async def over_http3(dev, cases):
    # aioquic's host is without a port here, as the signature's may be.
    async with client(dev) as http:
        for case_ in cases:
            headers, _ = await http.fetch("GET", case_["target"], {"x-twilio-signature": case_["signature"]})
            compare(case_, int(headers[":status"]))


def compare(case_, status):
    equal(status, 200 if case_["accepted"] else 403, f"{case_}")

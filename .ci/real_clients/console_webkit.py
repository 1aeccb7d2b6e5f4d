"""The console in WebKitGTK, over WebDriver: signing in, and the file dialog."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.error
import urllib.request

from server import eventually

BROWSER = pathlib.Path("/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser")

# The key under which WebDriver names an element (W3C WebDriver §12).
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def is_there():
    """Whether driver, browser and a display without a screen are installed."""
    return BROWSER.exists() and all(map(shutil.which, ["WebKitWebDriver", "Xvfb"]))


def publish(question):
    """Signs in, chooses a file, and gives what the page says of it."""
    path = pathlib.Path(question["folder"]) / "webkit.txt"
    path.write_text("from WebKit")
    read, write = os.pipe()
    # The display that is free is told on the pipe.
    display = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1280x900x24"], pass_fds=[write], stderr=subprocess.DEVNULL)
    try:
        os.close(write)
        number = os.fdopen(read).readline().strip()
        with Driver(number) as driver:
            driver.call("POST", "/url", {"url": question["api"]})
            driver.type("#sid", question["sid"])
            driver.type("#secret", question["token"])
            driver.click("form button[type=submit]")
            eventually("the list", lambda: driver.script("return Boolean(document.querySelector('.plus'))"))
            driver.type("#chooser", str(path))
            said = "const link = document.querySelector('.upload .said a'); const note = document.querySelector('.batch .note'); return link && /live on 3 of 3/.test(note.textContent) ? [link.href, note.textContent] : null"
            return eventually("the URL", lambda: driver.script(said))
    finally:
        display.terminate()
        display.wait()


class Driver:
    """A session of WebDriver. A context: the browser ends with its block."""

    def __init__(self, display):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        variables = os.environ | {"DISPLAY": f":{display}", "LIBGL_ALWAYS_SOFTWARE": "1", "WEBKIT_DISABLE_DMABUF_RENDERER": "1"}
        self.process = subprocess.Popen(["WebKitWebDriver", f"--port={self.port}"], env=variables, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.session = ""

    def __enter__(self):
        def answers():
            try:
                return self.call("GET", "/status")
            except OSError:
                return None
        eventually("WebKit's driver", answers)
        options = {"binary": str(BROWSER), "args": ["--automation"]}
        made = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}})
        self.session = f"/session/{made['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            if self.session:
                self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{self.session}{path}", data, {"content-type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from error

    def find(self, selector):
        def found():
            elements = self.call("POST", "/elements", {"using": "css selector", "value": selector})
            return elements and elements[0][ELEMENT]
        return eventually(selector, found)

    def type(self, selector, text):
        self.call("POST", f"/element/{self.find(selector)}/value", {"text": text})

    def click(self, selector):
        self.call("POST", f"/element/{self.find(selector)}/click", {})

    def script(self, text):
        return self.call("POST", "/execute/sync", {"script": text, "args": []})

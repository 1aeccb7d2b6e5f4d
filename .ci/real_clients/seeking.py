"""Chromium plays sound and video over HTTP/2 and HTTP/3, and seeks in them."""

import json
import pathlib
import subprocess

import imageio_ffmpeg
from browser import PROTOCOLS, spki
from checks import equal
from server import Dev

SECONDS = 120

# A minute and more of noise, so that it does not compress and a player has to seek by ranges. The index of the MP4 stands at its
# end, as cameras write it: a player that wants to begin has to ask for the end first.
FILES = {
    "video.mp4": ["-f", "lavfi", "-i", f"testsrc2=size=640x360:rate=15:duration={SECONDS}", "-f", "lavfi", "-i", f"anoisesrc=duration={SECONDS}", "-c:v", "libx264", "-preset", "ultrafast", "-b:v", "600k", "-pix_fmt", "yuv420p", "-c:a", "aac"],
    "video.webm": ["-f", "lavfi", "-i", f"testsrc2=size=320x180:rate=10:duration={SECONDS}", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "600k"],
    "sound.mp3": ["-f", "lavfi", "-i", f"anoisesrc=duration={SECONDS}", "-c:a", "libmp3lame", "-b:a", "192k"],
    "sound.wav": ["-f", "lavfi", "-i", f"anoisesrc=duration={SECONDS}", "-c:a", "pcm_s16le"],
}


def run(checks, program, folder):
    site = folder / "media"
    site.mkdir()
    for name, arguments in FILES.items():
        make = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", *arguments, site / name]
        subprocess.run(make, check=True, timeout=120)
    (site / "player.html").write_text("<!doctype html><title>Player</title>")
    with Dev(program, folder) as dev:
        dev.run("put", site, "--wait")
        for protocol, name in PROTOCOLS.items():
            seen = {}
            with checks.check(f"Chromium opens the media over {name}"):
                seen = play(dev, protocol)
            for file, media in seen.items():
                with checks.check(f"{name}: {file} plays from every place that is sought, by ranges"):
                    assert abs(media["duration"] - SECONDS) < 1, media
                    equal(media["error"], None)
                    equal(len(media["sought"]), 4, media)
                    for sought in media["sought"]:
                        assert sought["played"] and abs(sought["at"] - sought["wanted"]) < 2, media
                    assert media["statuses"] and set(media["statuses"]) <= {200, 206} and 206 in media["statuses"], media
                    # An entry without a protocol came from the browser's own cache.
                    equal(set(media["protocols"]) - {""}, {protocol}, media)


def play(dev, protocol):
    """What the player of each file came to."""
    page = pathlib.Path(__file__).with_name("seeking.cjs")
    base = f"https://localhost:{dev.port}"
    question = {"base": base, "files": list(FILES), "port": dev.port, "spki": spki(dev), "protocol": protocol}
    done = subprocess.run(["node", page, json.dumps(question)], capture_output=True, text=True, timeout=240)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return json.loads(done.stdout)

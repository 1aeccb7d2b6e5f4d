"""Makes photo.jpg and hello.mp3 of the demo: both are computed here, nothing is recorded or copied.

    pip install numpy pillow && apt-get install lame && python3 make.py

The picture is a sea at dusk with a skerry in it, drawn from layers of value noise. Its EXIF data is real in form and invented in
content: the camera is this script. The sound is a chord of bells over surf. A fixed seed makes every run give the same samples.
"""

import subprocess
import wave
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

DEMO = Path(__file__).resolve().parent.parent
WIDTH, HEIGHT, HORIZON = 1200, 800, 452
SUN_X, SUN_Y = 838, 408
RATE = 44_100


def noise(x, y, seed):
    """Smooth value noise in 0..1 at any coordinates."""

    def corner(i, j):
        h = (i.astype(np.int64) * 374761393 + j.astype(np.int64) * 668265263 + seed * 974634777) & 0xFFFFFFFF
        h = ((h ^ (h >> 13)) * 1274126177) & 0xFFFFFFFF
        return ((h ^ (h >> 16)) & 0xFFFF) / 65535.0

    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    top = corner(i, j) * (1 - u) + corner(i + 1, j) * u
    bottom = corner(i, j + 1) * (1 - u) + corner(i + 1, j + 1) * u
    return top * (1 - v) + bottom * v


def layers(x, y, seed, count=5):
    """Noise of `count` octaves, in 0..1."""
    total = sum(0.5**k * noise(x * 2**k, y * 2**k, seed + k) for k in range(count))
    return total / sum(0.5**k for k in range(count))


def mix(a, b, t):
    t = np.clip(t, 0, 1)[..., None]
    return np.asarray(a, float) * (1 - t) + np.asarray(b, float) * t


def ramp(t, stops):
    """Colour at `t` on a list of (position, colour)."""
    positions = [p for p, _ in stops]
    return np.stack([np.interp(t, positions, [c[k] for _, c in stops]) for k in range(3)], axis=-1)


def sky(x, y):
    t = np.clip(y / HORIZON, 0, 1.0)
    colour = ramp(t, [(0, (34, 48, 92)), (0.38, (84, 92, 142)), (0.68, (196, 142, 150)), (0.88, (250, 186, 136)), (1, (255, 214, 160))])
    away = np.hypot(x - SUN_X, (y - SUN_Y) * 1.25)
    colour += np.exp(-away / 150)[..., None] * np.array([70, 44, 8])
    # Clouds lie in bands that flatten towards the horizon.
    depth = 1 / (1.12 - t)
    cloud = layers(x / 330 * (0.55 + depth * 0.18), depth * 2.3 + y / 300, 7, 6)
    cloud = np.clip((cloud - 0.50) * 4.2, 0, 1) * np.clip(1.15 - t, 0, 1)
    lit = ramp(np.clip(away / 800, 0, 1), [(0, (255, 214, 158)), (0.4, (240, 150, 138)), (1, (118, 102, 146))])
    colour = colour * (1 - cloud[..., None] * 0.8) + lit * cloud[..., None] * 0.8
    disc = np.clip((27 - np.hypot(x - SUN_X, y - SUN_Y)) / 2, 0, 1)
    return mix(colour, (255, 246, 214), disc)


def skyline():
    """Height of the rock above the water for each column, in pixels, for the islet and a far one."""
    x = np.arange(WIDTH, dtype=float)
    rough = layers(x / 52, x * 0 + 3.3, 21, 7) - 0.5
    main = np.interp(x, [206, 240, 290, 335, 372, 420, 470, 520, 560, 610, 655, 690], [0, 24, 60, 128, 150, 118, 100, 64, 58, 34, 14, 0])
    main = main + rough * 84 * np.clip(main / 60, 0, 1)
    far = np.interp(x, [960, 1000, 1040, 1085, 1130, 1170], [0, 9, 20, 13, 8, 0]) + rough * 12 * ((x > 965) & (x < 1165))
    return np.clip(main, 0, None), np.clip(far, 0, None)


def rock(x, height_above, top):
    """Colour of the islet: facets of noise lit from the right, weed and wet stone at the foot."""
    u, v = x / 46, height_above / 30
    bump = lambda a, b: layers(a, b + layers(a * 0.7, b * 0.7, 40, 3) * 1.6, 31, 6)
    slope = bump(u + 0.06, v) - bump(u - 0.06, v)
    light = np.clip(0.42 - slope * 4.6, 0, 1.25)
    edge = np.clip(1 - (top - height_above) / 16, 0, 1)
    light = light * (0.55 + 0.45 * np.clip((x - 240) / 380, 0, 1)) + edge * 0.28
    colour = ramp(light, [(0, (22, 22, 34)), (0.35, (56, 48, 58)), (0.75, (142, 104, 92)), (1.25, (250, 196, 140))])
    grass = np.clip((height_above - 78) / 40, 0, 1) * np.clip((layers(u * 1.5, v * 1.2, 55, 4) - 0.46) * 7, 0, 1)
    colour = mix(colour, colour * 0.45 + np.array([44, 58, 30]), grass * 0.8)
    wet = np.clip(1 - height_above / (11 + 9 * noise(x / 17, x * 0, 60)), 0, 1)
    return colour * (1 - 0.72 * wet[..., None])


def beacon(image, x, y, base):
    """A small lighthouse on the highest ledge."""
    cx, foot = 372.0, HORIZON - base
    tall, h = 64.0, foot - y
    half = 9.5 - 3.2 * np.clip(h / tall, 0, 1)
    inside = np.clip(half - np.abs(x - cx) + 0.5, 0, 1) * (h > -6) * np.clip(tall - h + 0.5, 0, 1)
    side = np.clip((x - cx + half) / (2 * half), 0, 1)
    tower = ramp(side, [(0, (92, 86, 104)), (0.6, (206, 186, 178)), (1, (255, 226, 190))])
    band = ((h > 20) & (h < 36))[..., None]
    tower = np.where(band, ramp(side, [(0, (88, 26, 34)), (0.6, (178, 56, 50)), (1, (232, 104, 74))]), tower)
    image = image * (1 - inside[..., None]) + tower * inside[..., None]
    for half_width, low, high, colour in [(9, 64, 67, (44, 36, 46)), (5.2, 67, 77, (255, 236, 170)), (6.6, 77, 79, (44, 36, 46)), (4, 79, 83, (120, 36, 38))]:
        part = np.clip(half_width - np.abs(x - cx) + 0.5, 0, 1) * np.clip(h - low + 0.5, 0, 1) * np.clip(high - h + 0.5, 0, 1)
        image = mix(image, np.broadcast_to(np.array(colour, float), image.shape), part)
    glow = np.exp(-np.hypot(x - cx, h - 72) / 15) * 0.75
    return image + glow[..., None] * np.array([120, 96, 44])


def above_water():
    """Everything above the horizon, and its mirror image's source."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(float)
    image = sky(x, np.minimum(y, HORIZON))
    main, far = skyline()
    up = HORIZON - y
    cover = np.clip(far[None, :] - up + 0.5, 0, 1)
    image = mix(image, np.broadcast_to(np.array([128, 98, 116.0]), image.shape), cover)
    image = beacon(image, x, y, main[372] - 3)
    cover = np.clip(main[None, :] - up + 0.5, 0, 1)
    image = image * (1 - cover[..., None]) + rock(x, up, np.broadcast_to(main, x.shape)) * cover[..., None]
    for bx, by, size in [(560, 212, 13), (598, 190, 9), (622, 226, 8), (505, 240, 7), (690, 176, 6)]:
        dx = (x - bx) / size
        wing = np.abs((y - by) / size + 0.55 * np.sin(np.clip(np.abs(dx), 0, 1) * 3.1) - 0.25 * np.abs(dx))
        image = mix(image, np.broadcast_to(np.array([40, 38, 58.0]), image.shape), np.clip(1.1 - wing * size / 1.3, 0, 1) * (np.abs(dx) < 1.02) * 0.85)
    return image


def photo():
    image = above_water()
    y, x = np.mgrid[HORIZON:HEIGHT, 0:WIDTH].astype(float)
    depth = (y - HORIZON + 1.5) / (HEIGHT - HORIZON)
    far = 1 / (depth + 0.035)
    px, py = (x - WIDTH / 2) * far / 240, far * 9.0
    swell = layers(px * 0.32, py * 0.9, 80, 4) - 0.5
    ripple = layers(px * 1.7, py * 3.4, 90, 5) - 0.5
    wave_slope = swell * 0.9 + ripple * 0.7
    # The mirror image, shaken more the nearer the water is.
    my = np.clip(HORIZON - (y - HORIZON) * 1.04 + wave_slope * (30 + 250 * depth), 0, HORIZON - 1)
    mx = np.clip(x + ripple * (8 + 46 * depth), 0, WIDTH - 1)
    mirror = image[my.astype(int), mx.astype(int)]
    deep = ramp(depth, [(0, (150, 122, 140)), (0.25, (58, 70, 104)), (1, (14, 30, 54))])
    sea = mirror * (0.68 - 0.40 * depth)[..., None] + deep * (0.30 + 0.36 * depth)[..., None]
    sea += np.clip(wave_slope * 3.0, -0.5, 1)[..., None] * np.array([36, 32, 36]) * (0.25 + depth)[..., None]
    # The path of the sun widens towards us and breaks into glints.
    path = np.exp(-(((x - SUN_X) / (26 + 175 * depth)) ** 2))
    glint = np.clip((ripple + swell * 0.6 + 0.05) * 6.5, 0, 1.5) * path * (1.05 - 0.55 * depth)
    sea += glint[..., None] * np.array([255, 186, 104]) * 0.82
    # Surf around the islet.
    main, _ = skyline()
    shore = np.convolve(main > 2, np.ones(31) / 31, "same")[None, :]
    foam = np.exp(-(((y - HORIZON - 3 - 4 * noise(x / 23, x * 0, 70)) / 3.2) ** 2)) * shore * (0.3 + layers(x / 9, y / 3, 75, 3))
    sea = mix(sea, np.broadcast_to(np.array([240, 214, 204.0]), sea.shape), foam * 0.9)
    image[HORIZON:] = sea
    yy, xx = np.mgrid[0:HEIGHT, 0:WIDTH]
    corner = np.hypot((xx - WIDTH / 2) / WIDTH, (yy - HEIGHT / 2) / HEIGHT)
    image *= (1.04 - 0.42 * corner**2)[..., None]
    image += np.random.default_rng(5).normal(0, 1.6, image.shape[:2])[..., None]
    picture = Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))
    picture.save(DEMO / "photo.jpg", quality=86, optimize=True, progressive=True, exif=exif())


def exif():
    tags = Image.Exif()
    tags[0x010E] = "A skerry at dusk. Computed, not photographed."  # ImageDescription
    tags[0x010F] = "Skerry"  # Make
    tags[0x0110] = "deploy/demo/make/make.py"  # Model
    tags[0x0112] = 1  # Orientation
    tags[0x0131] = "Python, NumPy, Pillow"  # Software
    tags[0x0132] = "2026:11:23 17:42:00"  # DateTime
    tags[0x013B] = "The Skerry authors"  # Artist
    tags[0x8298] = "MIT OR Apache-2.0"  # Copyright
    detail = tags.get_ifd(0x8769)
    detail[0x829A] = IFDRational(1, 125)  # ExposureTime
    detail[0x829D] = IFDRational(8)  # FNumber
    detail[0x8827] = 100  # ISOSpeedRatings
    detail[0x9003] = "2026:11:23 17:42:00"  # DateTimeOriginal
    detail[0x920A] = IFDRational(35)  # FocalLength
    detail[0xA002], detail[0xA003] = WIDTH, HEIGHT  # PixelXDimension, PixelYDimension
    return tags


def bell(frequency, seconds, t):
    partials = [(1, 1.0, 1.0), (2.0, 0.42, 1.7), (3.01, 0.16, 2.6), (4.2, 0.07, 4.2)]
    tone = sum(level * np.exp(-t * decay * 3.2 / seconds) * np.sin(2 * np.pi * frequency * k * t) for k, level, decay in partials)
    return tone * np.minimum(t / 0.006, 1)


def hello():
    seconds = 5.0
    t = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(11)
    left, right = np.zeros_like(t), np.zeros_like(t)
    # D major, rising: D4 A4 D5 F#5 A5, the last two together.
    for start, frequency, pan in [(0.15, 293.66, 0.5), (0.50, 440.0, 0.35), (0.85, 587.33, 0.65), (1.25, 739.99, 0.4), (1.25, 880.0, 0.6)]:
        at = int(start * RATE)
        tone = bell(frequency, 3.4, t[: t.size - at]) * 0.17
        left[at:] += tone * np.sqrt(1 - pan)
        right[at:] += tone * np.sqrt(pan)
    for side, shift in ((left, 0.0), (right, 0.25)):
        # Surf: noise without its high end, swelling once.
        hiss = np.convolve(rng.normal(0, 1, t.size), np.hanning(48) / np.hanning(48).sum(), "same")
        side += hiss * 0.10 * np.exp(-(((t - 2.1 - shift) / 1.25) ** 2))
        for delay, level in ((0.113, 0.22), (0.187, 0.15), (0.271, 0.10)):
            n = int(delay * RATE)
            side[n:] += side[:-n].copy() * level
    fade = np.minimum(1, np.minimum(t / 0.02, (seconds - t) / 0.8))
    samples = np.stack([left, right], 1) * fade[:, None]
    samples = (samples / np.abs(samples).max() * 0.82 * 32767).astype("<i2")
    sound = Path("/tmp/skerry-hello.wav")
    with wave.open(str(sound), "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(samples.tobytes())
    tags = ["--tt", "Hello", "--ta", "Skerry", "--tl", "Demo", "--ty", "2026", "--tg", "Ambient", "--tc", "MIT OR Apache-2.0"]
    subprocess.run(["lame", "--quiet", "-V", "3", "--add-id3v2", *tags, sound, DEMO / "hello.mp3"], check=True)
    sound.unlink()


photo()
hello()

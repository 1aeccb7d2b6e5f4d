// Chromium as it is started here: one key trusted, one protocol.
const { chromium } = require("playwright-core");
const { execFileSync } = require("node:child_process");

exports.launch = ({ port, spki, protocol }) => {
  const args = [
    "--no-sandbox",
    "--mute-audio",
    "--autoplay-policy=no-user-gesture-required",
    `--ignore-certificate-errors-spki-list=${spki}`,
    "--host-resolver-rules=MAP localhost 127.0.0.1",
    ...(protocol === "h3" ? ["--enable-quic", `--origin-to-force-quic-on=localhost:${port}`] : ["--disable-quic"]),
  ];
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  return chromium.launch({ executablePath, args });
};

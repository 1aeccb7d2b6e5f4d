// Plays media in Chromium from several places and prints, as JSON, what came of it. Argument: {base, files, port, spki, protocol}.
const { launch } = require("./launch.cjs");

async function main() {
  const question = JSON.parse(process.argv[2]);
  const browser = await launch(question);
  try {
    const seen = {};
    for (const file of question.files) seen[file] = await seek(await browser.newPage(), question.base, file);
    process.stdout.write(JSON.stringify(seen));
  } finally {
    await browser.close();
  }
}

async function seek(page, base, file) {
  const statuses = [];
  page.on("response", (response) => {
    if (response.url().endsWith(file)) statuses.push(response.status());
  });
  await page.goto(`${base}/player.html`, { timeout: 60000 });
  const media = await page.evaluate(async (file) => {
    const player = document.createElement(file.startsWith("video") ? "video" : "audio");
    player.preload = "metadata";
    document.body.append(player);
    const event = (name) =>
      new Promise((resolve, reject) => {
        player.addEventListener(name, resolve, { once: true });
        player.addEventListener("error", () => reject(player.error), { once: true });
        setTimeout(() => reject(new Error(`no ${name} of ${file} at ${player.currentTime}`)), 30000);
      });
    const opened = event("loadedmetadata");
    player.src = `/${file}`;
    await opened;
    const sought = [];
    for (const part of [0.9, 0.1, 0.5, 0.98]) {
      const wanted = player.duration * part;
      const arrived = event("seeked");
      player.currentTime = wanted;
      await arrived;
      const at = player.currentTime;
      const moved = event("timeupdate");
      await player.play();
      await moved;
      player.pause();
      sought.push({ wanted, at, played: player.currentTime >= at });
    }
    const entries = performance.getEntriesByType("resource").filter((entry) => entry.name.endsWith(file));
    return { duration: player.duration, error: player.error?.message ?? null, sought, protocols: entries.map((entry) => entry.nextHopProtocol) };
  }, file);
  await page.close();
  return { ...media, statuses };
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// Loads a page in Chromium and prints, as JSON, what it came to. Argument: {url, port, spki, protocol}.
const { launch } = require("./launch.cjs");

async function main() {
  const question = JSON.parse(process.argv[2]);
  const browser = await launch(question);
  try {
    const page = await browser.newPage();
    const problems = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) problems.push(message.text());
    });
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("requestfailed", (request) => problems.push(`${request.url()}: ${request.failure()?.errorText}`));
    await page.goto(question.url, { waitUntil: "load", timeout: 60000 });
    // Its own script fetches every file once more, and says so.
    await page.waitForFunction(() => /Fetched|could not/.test(document.querySelector("#status").textContent), null, { timeout: 30000 });
    const navigation = await page.evaluate(() => performance.getEntriesByType("navigation").map((entry) => ({ name: entry.name, protocol: entry.nextHopProtocol })));
    const resources = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => ({ name: entry.name, protocol: entry.nextHopProtocol })));
    const seen = await page.evaluate(async () => {
      const audio = document.querySelector("audio");
      audio.playbackRate = 8;
      const ended = new Promise((resolve) => audio.addEventListener("ended", () => resolve(true)));
      const failed = new Promise((resolve) => audio.addEventListener("error", () => resolve(false)));
      await audio.play();
      const played = await Promise.race([ended, failed]);
      return {
        title: document.title,
        images: [...document.images].map((image) => ({ source: image.currentSrc, width: image.naturalWidth })),
        rules: [...document.styleSheets].reduce((count, sheet) => count + sheet.cssRules.length, 0),
        rows: [...document.querySelectorAll("tbody tr")].map((row) => [...row.cells].map((cell) => cell.textContent)),
        audio: { duration: audio.duration, played },
      };
    });
    process.stdout.write(JSON.stringify({ ...seen, entries: [...navigation, ...resources], problems }));
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// The console in Firefox, over WebDriver BiDi: the file dialog and a drop. Prints a line of JSON for each rule. Argument: as console.cjs.
const puppeteer = require("puppeteer-core");
const { execFileSync } = require("node:child_process");
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");

const question = JSON.parse(process.argv[2]);

async function rule(name, work) {
  try {
    await work();
    console.log(JSON.stringify({ rule: name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ rule: name, ok: false, error: String((error && error.stack) || error).slice(0, 1500) }));
  }
}

async function main() {
  const executablePath = execFileSync("sh", ["-c", "command -v firefox-esr || command -v firefox"], { encoding: "utf8" }).trim();
  const browser = await puppeteer.launch({ browser: "firefox", executablePath, headless: true });
  const page = await browser.newPage();
  page.setDefaultTimeout(60000);
  const live = (text) => page.waitForFunction((wanted) => [...document.querySelectorAll(".upload .said a")].some((link) => link.href.endsWith(wanted)) && /live on 3 of 3 edges/.test(document.querySelector(".batch .note").textContent), {}, text);
  await rule("signs in", async () => {
    await page.goto(question.api);
    await page.waitForSelector("#sid");
    await page.type("#sid", question.sid);
    await page.type("#secret", question.token);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".plus");
  });
  await rule("the file dialog publishes a file", async () => {
    const path = join(question.folder, "firefox.txt");
    writeFileSync(path, "from Firefox");
    await (await page.$("#chooser")).uploadFile(path);
    await live("/firefox.txt");
    if (question.shots) await page.screenshot({ path: join(question.shots, "firefox.png") });
  });
  await rule("a dropped file is published", async () => {
    await page.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["dropped"], "dropped in firefox.txt", { type: "text/plain" }));
      for (const type of ["dragenter", "dragover", "drop"]) document.querySelector("main").dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer: transfer }));
    });
    await live("/dropped%20in%20firefox.txt");
  });
  await browser.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

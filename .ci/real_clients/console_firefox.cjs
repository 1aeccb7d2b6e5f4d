// The console in Firefox, over WebDriver BiDi: the file dialog and a drop. Argument: as `console_page.cjs`.
const puppeteer = require("puppeteer-core");
const { execFileSync } = require("node:child_process");
const { file, question, rule, run } = require("./console_page.cjs");
const { join } = require("node:path");

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
    await (await page.$("#chooser")).uploadFile(file("firefox.txt", "from Firefox"));
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

run(main);

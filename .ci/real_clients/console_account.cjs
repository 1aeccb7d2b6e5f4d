// Journeys through the console in Chromium that change an account or its origin: keys, tokens, domains, a second environment, files that
// are pasted, an origin that is killed. Argument: as `console_page.cjs`, with {records: a folder, into which a file for each TXT record is
// written}. A line {"ask": "restart"} on standard output asks for another start of the origin, which a line on standard input tells of.
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { createInterface } = require("node:readline");
const { answering, batch, closeBatches, drop, equal, fetched, file, holds, launch, question, rule, run, shot, signIn } = require("./console_page.cjs");

const answers = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function restart() {
  console.log(JSON.stringify({ ask: "restart" }));
  await answers.next();
}

async function main() {
  const { browser, open, problems } = await launch();
  const enter = async (sid, secret) => {
    const page = await open();
    await page.goto(question.api);
    await page.waitForSelector("#sid");
    await signIn(page, sid, secret);
    return page;
  };
  const page = await enter(question.sid, question.token);
  const shown = async (view) => {
    await page.click(`nav a[data-view=${view}]`);
    await page.waitForFunction((name) => document.querySelector(`nav a[data-view=${name}][aria-current]`) && document.querySelector("main h1"), view);
  };
  await page.waitForSelector(".plus");

  await rule("a file that is pasted is published", async () => {
    await page.evaluate(() => {
      const transfer = new DataTransfer();
      transfer.items.add(new File(["from the clipboard"], "pasted.txt", { type: "text/plain" }));
      document.body.dispatchEvent(new ClipboardEvent("paste", { bubbles: true, cancelable: true, clipboardData: transfer }));
    });
    await batch(page).waitFor();
    equal((await answering(await page.locator(".upload .said a").first().getAttribute("href"))).bytes.toString(), "from the clipboard");
    await closeBatches(page);
  });

  await rule("a build is promoted to another environment, and its URLs answer there", async () => {
    await shown("deployments");
    const select = page.locator("select[aria-label^=Promote]").first();
    await select.selectOption({ label: "staging" });
    await page.locator("dialog button.primary").click();
    await page.waitForFunction(() => /staging.*live on 3 of 3 edges/.test(document.querySelector(".said").textContent));
    await shot(page, "promoted-light-wide");
    await page.locator(".place select").selectOption({ label: "default / staging" });
    await shown("assets");
    await page.waitForSelector("[data-path='/pasted.txt']");
    const url = await page.evaluate(() => document.querySelector("[data-path='/pasted.txt'] .copy").getAttribute("aria-label").split(": ").slice(1).join(": "));
    holds(url.includes("staging"), url);
    equal((await answering(url)).bytes.toString(), "from the clipboard");
    await page.locator(".place select").selectOption({ label: "default / default" });
    await page.waitForSelector("[data-path='/pasted.txt']");
  });

  await rule("a key is made, shown once, signs in, and is revoked with what it had signed in", async () => {
    await shown("access");
    await page.fill("#key-name", "from the console");
    await page.press("#key-name", "Enter");
    await page.waitForSelector("dialog .url code");
    const [sid, secret] = await page.locator("dialog .url code").allTextContents();
    await shot(page, "key-made-light-wide");
    await page.click("dialog >> text=Close");
    const row = page.locator("tr", { hasText: "from the console" });
    holds(!(await row.textContent()).includes(secret), "never again");
    const keyed = await enter(sid, secret);
    await keyed.waitForSelector(".plus");
    await row.locator("button.danger").click();
    await page.locator("dialog button.danger, dialog button.primary").last().click();
    await row.waitFor({ state: "detached" });
    await keyed.click("nav a[data-view=usage]");
    await keyed.waitForSelector("dialog.over");
    await keyed.context().close();
  });

  await rule("a second token is made, and takes the place of the first, whose sessions end", async () => {
    await shown("access");
    await page.getByRole("button", { name: "Make a second token" }).click();
    await page.waitForSelector("dialog .url code");
    const [token] = await page.locator("dialog .url code").allTextContents();
    await page.click("dialog >> text=Close");
    const second = await enter(question.sid, token);
    await second.waitForSelector(".plus");
    await second.click("nav a[data-view=access]");
    await second.locator(".actions button.primary").click();
    await second.locator("dialog button.danger, dialog button.primary").last().click();
    await second.waitForFunction(() => document.querySelectorAll("main table")[0] && !document.querySelector(".actions button.danger:not([hidden])"));
    await page.click("nav a[data-view=usage]");
    await page.waitForSelector("dialog.over");
    await signIn(page, question.sid, token);
    await page.waitForFunction(() => !document.querySelector("dialog.over"));
    question.token = token;
    await second.context().close();
  });

  await rule("a domain is claimed, its record is told, refused while it is not there, and live when it is", async () => {
    await shown("domains");
    const name = "music.example";
    await page.fill("#domain", name);
    await page.press("#domain", "Enter");
    const card = page.locator("section.card", { hasText: name });
    await card.locator(".facts code").first().waitFor();
    const [record, value] = await card.locator(".facts code").allTextContents();
    await card.locator("button.primary").click();
    await page.waitForFunction(() => document.querySelector(".said").textContent.includes("_skerry.music.example"));
    await shot(page, "domain-light-wide");
    writeFileSync(join(question.records, record), value);
    await card.locator("button.primary").click();
    await card.locator(".badge.public").waitFor();
    const link = new URL(await card.locator(".url a").getAttribute("href"));
    equal(link.hostname, name);
    // No certificate covers it here; the edge knows the name all the same.
    await card.locator("button.danger").click();
    await page.locator("dialog button.danger, dialog button.primary").last().click();
    await card.waitFor({ state: "detached" });
    await page.fill("#domain", "not a name");
    await page.press("#domain", "Enter");
    await page.waitForFunction(() => /not a name|no name|domain/i.test(document.querySelector(".said").textContent));
  });

  await rule("an origin that is killed in the middle of an upload loses nothing: the file goes live when it is back", async () => {
    await shown("assets");
    await page.waitForSelector("[data-path='/pasted.txt']");
    const client = await page.context().newCDPSession(page);
    const network = (uploadThroughput) => client.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput });
    await client.send("Network.enable");
    await network(1e6);
    const bytes = Buffer.alloc(4e6, 9);
    await (await drop(page, [file("interrupted.bin", bytes), file("small beside it.txt", "small")]))();
    await page.waitForFunction(() => [...document.querySelectorAll(".upload progress")].some((bar) => bar.value > 10 && bar.value < 90));
    await restart();
    await network(-1);
    const again = page.locator(".upload button[aria-label^='Try again']");
    // Short pauses are bridged without a word; a longer one is told of, and left to whoever looks.
    const done = batch(page).waitFor({ timeout: 60000 }).then(() => true);
    await Promise.race([done, again.first().waitFor({ timeout: 60000 }).then(async () => {
      holds((await page.textContent(".batch .note")).length > 0, "says what to do");
      await shot(page, "interrupted-light-wide");
      await page.click(".batch .actions button.primary");
    }).catch(() => {})]);
    await done;
    for (const [path, wanted] of [["interrupted.bin", bytes], ["small%20beside%20it.txt", Buffer.from("small")]]) {
      const url = await page.locator(`.upload .said a[href$='${path}']`).getAttribute("href");
      holds((await answering(url)).bytes.equals(wanted), path);
    }
    await closeBatches(page);
    await page.reload();
    await page.waitForSelector("[data-path='/interrupted.bin']");
    await page.waitForSelector("[data-path='/pasted.txt']");
  });

  await rule("the console logged no error on the way", async () => equal(problems, []));
  await browser.close();
  process.stdin.destroy();
}

run(main);

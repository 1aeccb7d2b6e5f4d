// What all journeys through the console have in common: real files, real drops, and one line of JSON on standard output for each rule,
// {rule, ok, error}. The argument of a script is {console, api, sid, token, folder, ca, shots, …}.
const { execFileSync } = require("node:child_process");
const { mkdirSync, readFileSync, writeFileSync } = require("node:fs");
const https = require("node:https");
const { join } = require("node:path");

const question = JSON.parse(process.argv[2]);
const file = (name, bytes) => {
  const path = join(question.folder, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, bytes);
  return path;
};
const fetched = (url) => new Promise((resolve, reject) => {
  const asked = https.get(url, { ca: readFileSync(question.ca), lookup: (name, options, done) => (options.all ? done(null, [{ address: "127.0.0.1", family: 4 }]) : done(null, "127.0.0.1", 4)) }, (response) => {
    const pieces = [];
    response.on("data", (piece) => pieces.push(piece)).on("end", () => resolve({ status: response.statusCode, headers: response.headers, bytes: Buffer.concat(pieces) }));
  });
  asked.on("error", reject);
});

// A URL is told when its build is live at the origin; edges show it some milliseconds later.
async function answering(url) {
  for (let end = Date.now() + 20000; ;) {
    const answer = await fetched(url);
    if (answer.status === 200 || Date.now() > end) return answer;
  }
}

async function rule(name, work) {
  try {
    await work();
    console.log(JSON.stringify({ rule: name, ok: true }));
  } catch (error) {
    console.log(JSON.stringify({ rule: name, ok: false, error: String((error && error.stack) || error).slice(0, 1500) }));
  }
}
function equal(actual, expected, what = "") {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) throw new Error(`${what}: ${JSON.stringify(actual)} instead of ${JSON.stringify(expected)}`);
}
function holds(value, what) {
  if (!value) throw new Error(what);
}

// A real drop: Chromium reads the files from the disk, folders included.
async function drop(page, files, at = { x: 640, y: 420 }) {
  const client = await page.context().newCDPSession(page);
  const data = { items: [], files, dragOperationsMask: 1 };
  const send = (type, where = at) => client.send("Input.dispatchDragEvent", { type, x: where.x, y: where.y, data, modifiers: 0 });
  await send("dragEnter");
  await page.waitForSelector(".veil");
  await send("dragOver");
  return async (visibility) => {
    const box = visibility ? await page.locator(`.zone[data-visibility=${visibility}]`).boundingBox() : null;
    const where = box ? { x: box.x + box.width / 2, y: box.y + box.height / 2 } : { x: 5, y: 5 };
    await send("dragOver", where);
    await send("drop", where);
    await client.detach();
  };
}

const batch = (page, state = "published") => page.locator(".batch").first().locator("h3", { hasText: state });
const closeBatches = async (page) => {
  while (await page.locator(".batch .closer").count()) await page.locator(".batch .closer").first().click();
};

async function signIn(page, sid = question.sid, token = question.token) {
  await page.fill("#sid", sid);
  await page.fill("#secret", token);
  await page.press("#secret", "Enter");
}

const shot = async (page, name) => { if (question.shots) await page.screenshot({ path: join(question.shots, `${name}.png`) }); };

// A browser, and pages in contexts of their own whose errors and dialogs are `problems`.
async function launch() {
  const { chromium } = require("playwright-core");
  const executablePath = execFileSync("sh", ["-c", "command -v chromium"], { encoding: "utf8" }).trim();
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--mute-audio"] });
  const problems = [];
  const open = async (options = {}) => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 860 }, locale: "en", ...options });
    await context.grantPermissions(["clipboard-read", "clipboard-write"]);
    const page = await context.newPage();
    page.setDefaultTimeout(20000);
    // Listening is what keeps the browser's own dialog from opening.
    page.on("filechooser", () => {});
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => { if (message.type() === "error" && !/Failed to load resource/.test(message.text())) problems.push(message.text()); });
    page.on("dialog", (dialog) => { problems.push(`a script of a file ran: ${dialog.message()}`); dialog.dismiss(); });
    return page;
  };
  return { browser, open, problems };
}

function run(main) {
  main().catch((error) => {
    console.error(error);
    process.exit(1);
  });
}

module.exports = { answering, batch, closeBatches, drop, equal, fetched, file, holds, launch, question, rule, run, shot, signIn };

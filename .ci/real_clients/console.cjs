// Journeys through the console in Chromium: files, the list, deployments, languages, themes. Argument: as `console_page.cjs`, with {key,
// photo, axe, busy}.
const { execFileSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { answering, batch, closeBatches, drop, equal, fetched, file, holds, launch, question, rule, run, shot, signIn } = require("./console_page.cjs");

async function main() {
  const { browser, open, problems } = await launch();

  const page = await open();
  await rule("the first paint comes within 300 ms, and all that is loaded has less than 150 kB", async () => {
    const client = await page.context().newCDPSession(page);
    let bytes = 0;
    await client.send("Network.enable");
    // Thumbnails are the account's own files.
    const previews = new Set();
    client.on("Network.requestWillBeSent", (event) => { if (event.request.url.includes("/console/preview/")) previews.add(event.requestId); });
    client.on("Network.loadingFinished", (event) => { if (!previews.has(event.requestId)) bytes += event.encodedDataLength; });
    await page.goto(question.console);
    await page.waitForSelector(".plus");
    for (const view of ["deployments", "access", "usage", "domains", "audit", "edges", "assets"]) {
      await page.goto(`${question.api}/#/${view}`);
      await page.waitForFunction(() => document.querySelector("main h1") && document.querySelector("nav a[aria-current]"));
    }
    const paint = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint").map((entry) => entry.startTime)[0]);
    holds(paint < (question.busy ? 3000 : 300), `first paint after ${paint} ms`);
    holds(bytes < 150000, `${bytes} bytes`);
    console.error(`first contentful paint ${paint.toFixed(0)} ms, ${bytes} bytes with every view`);
  });

  await rule("a sign-in link works once, and is not left in the address", async () => {
    equal(await page.evaluate(() => location.hash), "#/assets");
    await page.waitForSelector(".plus");
    const other = await open();
    await other.goto(question.console);
    await other.waitForSelector(".signin .problem");
    holds((await other.textContent(".problem")).includes("used already"), "says so");
    await shot(other, "signin-light-wide");
    await other.fill("#sid", question.sid);
    await other.fill("#secret", "0".repeat(32));
    await other.press("#secret", "Enter");
    await other.waitForFunction(() => /wrong/.test(document.querySelector(".problem").textContent));
    await signIn(other);
    await other.waitForSelector(".plus");
    await other.context().close();
  });

  await rule("the + button opens the browser's own dialog, and each file gets a URL that answers", async () => {
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click(".plus")]);
    holds(chooser.isMultiple(), "several files");
    await chooser.setFiles([file("plus one.txt", "from the dialog")]);
    await batch(page).waitFor();
    const url = await page.locator(".upload .said a").first().getAttribute("href");
    await page.waitForFunction(() => /live on 3 of 3 edges, \d+ ms/.test(document.querySelector(".batch .note").textContent));
    await page.locator(".upload .copy").first().click();
    equal(await page.evaluate(() => navigator.clipboard.readText()), url, "copied");
    const answer = await fetched(url);
    equal([answer.status, answer.bytes.toString()], [200, "from the dialog"]);
    await shot(page, "published-light-wide");
    await closeBatches(page);
  });

  await rule("from the drop of 1 MB to its answering URL: median of five under 300 ms", async () => {
    const times = [];
    for (let round = 0; round < 5; round += 1) {
      const path = file(`megabyte-${round}.bin`, Buffer.alloc(1 << 20, round + 1));
      const release = await drop(page, [path]);
      const begin = performance.now();
      await release();
      await batch(page).waitFor();
      const answer = await answering(await page.locator(".upload .said a").first().getAttribute("href"));
      times.push(performance.now() - begin);
      equal([answer.status, answer.bytes.length], [200, 1 << 20]);
      await closeBatches(page);
    }
    times.sort((a, b) => a - b);
    console.error(`drop to answering URL, ms: ${times.map((time) => time.toFixed(0)).join(" ")}`);
    holds(times[2] < (question.busy ? 3000 : 300), `median ${times[2]} ms`);
  });

  await rule("a dropped folder keeps its shape, names set visibility, dot files stay behind, the zone says the rest", async () => {
    for (const [name, text] of [["index.html", "<h1>hi</h1>"], ["css/a.css", "b{}"], ["keys.private.json", "{}"], ["film.protected.txt", "film"], [".env", "SECRET=1"], ["sub/.git/config", "x"]]) file(`site/${name}`, text);
    await (await drop(page, [join(question.folder, "site")]))("protected");
    await batch(page).waitFor();
    const rows = await page.evaluate(async () => (await (await fetch("/console/assets", { headers: { "skerry-page": sessionStorage.getItem("skerry.page") } })).json()).assets.map((one) => [one.path, one.visibility]));
    for (const expected of [["/index.html", "protected"], ["/css/a.css", "protected"], ["/keys.json", "private"], ["/film.txt", "protected"]]) holds(rows.some((row) => JSON.stringify(row) === JSON.stringify(expected)), JSON.stringify([expected, rows]));
    holds(!rows.some(([path]) => path.includes(".env") || path.includes(".git")), JSON.stringify(rows));
    await page.getByText("hidden files were left out").waitFor();
    await closeBatches(page);
  });

  await rule("progress is shown, and a cancelled upload publishes nothing", async () => {
    const client = await page.context().newCDPSession(page);
    await client.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 400e3 });
    await (await drop(page, [file("slow.bin", Buffer.alloc(3e6, 7))]))();
    await page.waitForFunction(() => { const bar = document.querySelector(".upload progress"); return bar && bar.value > 5 && bar.value < 95 && /\/s/.test(document.querySelector(".upload .said").textContent); });
    await shot(page, "progress-light-wide");
    await page.locator(".upload button[aria-label^=Cancel]").click();
    await batch(page, "Cancelled").waitFor();
    await client.send("Network.emulateNetworkConditions", { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
    equal(await page.locator("[data-path='/slow.bin']").count(), 0);
    await closeBatches(page);
  });

  await rule("with the network cut an upload fails, says so, and goes live when it is tried again", async () => {
    await page.route("**/console/versions*", (route) => route.abort("connectionreset"));
    await (await drop(page, [file("cut.txt", "again")]))();
    await page.locator(".upload button[aria-label^='Try again']").waitFor();
    holds((await page.textContent(".upload .said")).includes("connection broke"), "says so");
    await page.unroute("**/console/versions*");
    await page.locator(".upload button[aria-label^='Try again']").click();
    await batch(page).waitFor();
    equal((await answering(await page.locator(".upload .said a").first().getAttribute("href"))).bytes.toString(), "again");
    await closeBatches(page);
  });

  await rule("a session that ends in the middle of an upload is asked for, and the upload goes on", async () => {
    await page.route("**/console/versions*", async (route) => {
      await page.context().clearCookies();
      await route.fulfill({ status: 401, contentType: "application/json", body: "{}" });
    }, { times: 1 });
    await (await drop(page, [file("over.txt", "went on")]))();
    await page.waitForSelector("dialog.over");
    await shot(page, "session-over-light-wide");
    await signIn(page);
    await batch(page).waitFor();
    equal((await answering(await page.locator(".upload .said a").first().getAttribute("href"))).bytes.toString(), "went on");
    await closeBatches(page);
  });

  await rule("a photo with a place is warned of before it is published, and the choice is in the audit log", async () => {
    await (await drop(page, [file("holiday.jpg", readFileSync(question.photo))]))();
    await page.waitForSelector("dialog .warnings");
    holds((await page.textContent("dialog .warnings")).includes("where it was made"), "the place");
    await shot(page, "warning-light-wide");
    equal(await page.locator("[data-path='/holiday.jpg']").count(), 0, "not live");
    await page.click("dialog >> text=Publish nothing");
    await batch(page, "Nothing was published").waitFor();
    await closeBatches(page);
    await (await drop(page, [file("holiday.jpg", readFileSync(question.photo))]))();
    await page.click("dialog >> text=Publish all the same");
    await batch(page).waitFor();
    await closeBatches(page);
    await page.click("nav >> text=Audit log");
    await page.getByText("to be published in spite of warnings").first().waitFor();
    await page.click("nav >> text=Assets");
    await page.waitForSelector("[data-path='/holiday.jpg'] img.thumb");
  });

  await rule("hostile files and names run nothing in the console", async () => {
    const script = "<script>alert('x')</script>";
    const files = [
      file("evil.svg", `<svg xmlns="http://www.w3.org/2000/svg" onload="alert('svg')">${script}</svg>`),
      file("evil.html", `<body onload="alert('html')">${script}`),
      file("<img src=x onerror=alert('name')>.png", "no picture"),
      file("evil.txt", script),
    ];
    await (await drop(page, files))();
    await page.click("dialog >> text=Publish all the same");
    await batch(page).waitFor();
    await closeBatches(page);
    for (const path of ["/evil.svg", "/evil.html", "/<img src=x onerror=alert('name')>.png", "/evil.txt"]) {
      await page.fill("input[type=search]", path);
      await page.locator(".row .open").first().click();
      await page.waitForSelector("dialog.side .facts");
      await page.waitForTimeout(100);
      const source = await page.evaluate(() => document.querySelector("dialog.side a[download]").href.split("?")[0]);
      const tab = await page.context().newPage();
      tab.on("dialog", (dialog) => { problems.push(`a preview ran a script: ${path}`); dialog.dismiss(); });
      const answer = await tab.goto(source).catch(() => null);
      if (answer) equal([answer.headers()["content-security-policy"], answer.headers()["x-content-type-options"]], ["sandbox; default-src 'none'", "nosniff"]);
      await tab.close();
      await page.keyboard.press("Escape");
    }
    await page.fill("input[type=search]", "");
    equal(await page.evaluate(() => document.querySelectorAll("main script, main iframe").length), 0);
    equal(problems, [], "nothing ran, and the policy was not touched");
  });

  await rule("what is too large or too many is refused as a whole before anything is sent", async () => {
    let sent = 0;
    await page.route("**/console/versions*", (route) => { sent += 1; return route.continue(); });
    const large = file("large.bin", "");
    execFileSync("truncate", ["-s", "104857601", large]);
    await (await drop(page, [large, file("small.txt", "x")]))();
    await page.getByText("has 104,857,601 bytes; 104,857,600 are allowed").waitFor();
    await shot(page, "refused-light-wide");
    await page.click("dialog >> text=Close");
    for (let number = 0; number < 10000; number += 1) file(`many/${number}.txt`, "");
    await (await drop(page, [join(question.folder, "many")]))();
    await page.getByText("10,000 new public or protected paths were chosen").waitFor({ timeout: 60000 });
    await page.click("dialog >> text=Close");
    equal(sent, 0);
    await page.unroute("**/console/versions*");
  });

  await rule("empty files, emoji and marks of direction are published as they are", async () => {
    await (await drop(page, [file("empty.txt", ""), file("🎵 été.txt", "emoji"), file("a\u202eb.txt", "turned")]))();
    await page.waitForSelector("dialog .warnings");
    holds((await page.textContent("dialog .warnings")).includes("U+202E"), "told of the mark");
    await page.click("dialog >> text=Publish all the same");
    await batch(page).waitFor();
    for (const link of await page.locator(".upload .said a").all()) equal((await answering(await link.getAttribute("href"))).status, 200, await link.getAttribute("href"));
    await closeBatches(page);
  });

  await rule("visibility, replacing, deleting and undoing, each within three clicks", async () => {
    await page.fill("input[type=search]", "plus one");
    const url = await page.evaluate(() => document.querySelector(".row .copy").getAttribute("aria-label").split(": ").slice(1).join(": "));
    await page.locator(".row .open").first().click();
    await page.locator("dialog.side input[value=protected]").click();
    await page.waitForFunction(() => /live on 3 of 3/.test(document.querySelector("dialog.side .said").textContent));
    equal((await fetched(url)).status, 403, "protected");
    await shot(page, "detail-light-wide");
    if (question.key) {
      await page.setInputFiles("#sign-key", question.key);
      await page.click("dialog.side .sign button");
      const link = await page.locator("dialog.side .sign .url a").getAttribute("href");
      equal((await fetched(link)).bytes.toString(), "from the dialog", "signed link");
    }
    const [chooser] = await Promise.all([page.waitForEvent("filechooser"), page.click("dialog.side >> text=Replace")]);
    await chooser.setFiles([file("another.txt", "replaced")]);
    await batch(page).waitFor();
    await closeBatches(page);
    await page.locator(".row .open").first().click();
    await page.waitForFunction(() => document.querySelectorAll("dialog.side .history li").length >= 3);
    await page.click("dialog.side >> text=Delete");
    await page.waitForFunction(() => !document.querySelector("[data-path='/plus one.txt']"));
    await page.click(".toast >> text=Undo");
    await page.waitForSelector("[data-path='/plus one.txt']");
    await page.fill("input[type=search]", "");
  });

  await rule("a roll back takes one click, and says when every edge shows it", async () => {
    await page.click("nav >> text=Deployments");
    await page.click("button.primary >> text=Roll back");
    await page.waitForFunction(() => /Rolled back\. live on 3 of 3 edges/.test(document.querySelector(".said").textContent));
    await page.click("text=Compare");
    await page.waitForSelector(".difference h2");
    await shot(page, "deployments-light-wide");
    await page.click("nav >> text=Assets");
  });

  await rule("two tabs that change the same path both find their change in its history", async () => {
    const other = await page.context().newPage();
    await other.goto(`${question.api}/`);
    await other.waitForSelector(".plus");
    const put = async (tab, name, text) => {
      const [chooser] = await Promise.all([tab.waitForEvent("filechooser"), tab.click(".plus")]);
      await chooser.setFiles([{ name, mimeType: "text/plain", buffer: Buffer.from(text) }]);
      await batch(tab).waitFor();
      await closeBatches(tab);
    };
    await put(page, "both.txt", "one");
    await put(other, "both.txt", "two");
    await put(page, "both.txt", "three");
    await page.locator("[data-path='/both.txt'] .open").click();
    await page.waitForFunction(() => document.querySelectorAll("dialog.side .history li").length === 3);
    await page.keyboard.press("Escape");
    await other.close();
  });

  await rule("by keyboard alone: sign in, add a file, open it, copy, close", async () => {
    const keys = await open();
    await keys.goto(question.api);
    await keys.waitForSelector("#sid");
    await keys.keyboard.press("Tab");
    await keys.keyboard.type(question.sid);
    await keys.keyboard.press("Tab");
    await keys.keyboard.type(question.token);
    await keys.keyboard.press("Enter");
    await keys.waitForSelector(".plus");
    const to = async (selector) => {
      for (let step = 0; step < 60; step += 1) {
        if (await keys.evaluate((wanted) => Boolean(document.activeElement.matches(wanted)), selector)) return;
        await keys.keyboard.press("Tab");
      }
      throw new Error(`${selector} is not reached by Tab`);
    };
    await to(".plus");
    const [chooser] = await Promise.all([keys.waitForEvent("filechooser"), keys.keyboard.press("Enter")]);
    await chooser.setFiles([{ name: "keyboard.txt", mimeType: "text/plain", buffer: Buffer.from("keys") }]);
    await batch(keys).waitFor();
    await to(".row .open");
    await keys.keyboard.press("Enter");
    await keys.waitForSelector("dialog.side .facts");
    await keys.keyboard.press("Escape");
    await keys.waitForFunction(() => document.activeElement.matches(".open"));
    await keys.context().close();
  });

  await rule("everything is said in Japanese, too, and the language can be switched", async () => {
    const japanese = await open({ locale: "ja-JP" });
    await japanese.goto(question.api);
    await japanese.waitForSelector("#sid");
    await signIn(japanese);
    for (const view of ["assets", "deployments", "access", "usage", "domains", "audit", "edges"]) {
      await japanese.goto(`${question.api}/#/${view}`);
      await japanese.waitForFunction((name) => document.querySelector(`nav a[data-view=${name}][aria-current]`) && document.querySelector("main h1"), view);
      const text = await japanese.evaluate(() => document.querySelector("main h1").textContent + document.querySelector("nav").textContent);
      holds(/[ぁ-んァ-ン一-龯]/.test(text), `${view}: ${text}`);
      equal(await japanese.evaluate(() => document.documentElement.lang), "ja");
      await shot(japanese, `ja-${view}`);
    }
    await japanese.locator(".tools select").selectOption("en");
    await japanese.waitForFunction(() => document.documentElement.lang === "en" && document.querySelector(".plus, main h1"));
    await japanese.context().close();
  });

  await rule("thousands of rows scroll without lag, and are found at once", async () => {
    const many = await open();
    await many.route("**/console/assets*", async (route) => {
      const answer = await route.fetch();
      if (answer.status() !== 200) return route.fulfill({ response: answer });
      const said = await answer.json();
      const [first] = said.assets;
      said.assets = Array.from({ length: 20000 }, (_, number) => ({ ...first, path: `/row-${String(number).padStart(5, "0")}.bin`, url_path: `/row-${number}.bin`, content_type: "application/octet-stream" }));
      return route.fulfill({ response: answer, json: said });
    });
    await many.goto(question.api);
    await many.waitForSelector("#sid");
    await signIn(many);
    await many.waitForSelector(".row .open");
    const spent = await many.evaluate(async () => {
      const scroller = document.querySelector(".scroller");
      const begin = performance.now();
      for (let step = 0; step < 60; step += 1) {
        scroller.scrollTop += 3000;
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return { each: (performance.now() - begin) / 60, rows: document.querySelectorAll(".rows .row").length };
    });
    console.error(`20,000 rows: ${spent.each.toFixed(1)} ms for a frame, ${spent.rows} rows in the page`);
    holds(spent.each < 100 && spent.rows < 80, JSON.stringify(spent));
    await many.fill("input[type=search]", "row-19999");
    await many.waitForSelector("[data-path='/row-19999.bin']");
    await many.context().close();
  });

  for (const scheme of ["light", "dark"]) {
    const seen = await open({ colorScheme: scheme });
    await rule(`axe finds nothing serious on any page, ${scheme}`, async () => {
      const axe = readFileSync(question.axe, "utf8");
      const look = async (what) => {
        // Styles ease; colours in between are nobody's.
        await seen.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
        const found = await seen.evaluate(async (source) => {
          if (!window.axe) (0, window.Function)(source)();
          return (await window.axe.run(document)).violations.filter((one) => ["serious", "critical"].includes(one.impact)).map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ").slice(0, 300)}`);
        }, axe).catch(async () => null);
        equal(found, [], what);
      };
      await seen.goto(question.api);
      await seen.waitForSelector("#sid");
      await look("sign-in");
      await shot(seen, `signin-${scheme}`);
      await signIn(seen);
      for (const view of ["assets", "deployments", "access", "usage", "domains", "audit", "edges"]) {
        await seen.goto(`${question.api}/#/${view}`);
        await seen.waitForFunction((name) => document.querySelector(`nav a[data-view=${name}][aria-current]`) && document.querySelector("main h1"), view);
        await seen.waitForTimeout(150);
        await look(view);
        await shot(seen, `${view}-${scheme}-wide`);
      }
      await seen.goto(`${question.api}/#/assets`);
      await seen.locator(".row .open").first().click();
      await seen.waitForSelector("dialog.side .history li");
      await look("an asset");
      await shot(seen, `detail-${scheme}`);
    });
    await rule(`on a phone nothing is cut off, ${scheme}`, async () => {
      await seen.keyboard.press("Escape");
      await seen.setViewportSize({ width: 390, height: 844 });
      for (const view of ["assets", "deployments", "access", "usage", "audit"]) {
        await seen.goto(`${question.api}/#/${view}`);
        await seen.waitForFunction((name) => document.querySelector(`nav a[data-view=${name}][aria-current]`) && document.querySelector("main h1"), view);
        await seen.waitForTimeout(150);
        await shot(seen, `${view}-${scheme}-phone`);
        const over = await seen.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        holds(over <= 0, `${view} is ${over} px too wide`);
      }
    });
    await seen.context().close();
  }

  await rule("the console logged no error, and nothing ran that is not its own", async () => equal(problems, []));
  await browser.close();
}

run(main);

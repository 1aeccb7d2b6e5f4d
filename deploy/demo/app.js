// Fetches each file of this page and shows by which protocol it came and what the edge's cache said of it.
const files = ["index.html", "style.css", "app.js", "logo.svg", "photo.jpg", "hello.mp3"];
const protocols = { "http/1.0": "HTTP/1.0", "http/1.1": "HTTP/1.1", h2: "HTTP/2", h3: "HTTP/3" };

const table = document.querySelector("table");
const rows = table.querySelector("tbody");
const button = document.querySelector("button");
const status = document.querySelector("#status");

/** The protocol of the newest fetch of `url`, or a dash where the browser does not say. */
function protocolOf(url) {
  const entry = performance.getEntriesByName(url, "resource").pop();
  return protocols[entry?.nextHopProtocol] ?? (entry?.nextHopProtocol || "–");
}

async function fetched(name) {
  const response = await fetch(name, { cache: "no-store" });
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  const body = await response.arrayBuffer();
  return [name, protocolOf(response.url), response.headers.get("Cache-Status") ?? "none", body.byteLength.toLocaleString("en")];
}

function row(cells) {
  const line = document.createElement("tr");
  cells.forEach((text, at) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    if (at === 3) cell.className = "number";
    line.append(cell);
  });
  return line;
}

async function show() {
  button.disabled = true;
  performance.clearResourceTimings();
  try {
    rows.replaceChildren(...(await Promise.all(files.map(fetched))).map(row));
    table.hidden = false;
    status.textContent = `Fetched ${files.length} files at ${new Date().toLocaleTimeString("en-GB")}.`;
  } catch (error) {
    status.textContent = `A file could not be fetched (${error.message}).`;
  }
  button.disabled = false;
}

button.hidden = false;
button.addEventListener("click", show);
show();

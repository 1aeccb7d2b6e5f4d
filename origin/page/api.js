// Calls of the origin. The cookie says which session, the page's secret says that it is our page: other pages on this host have it
// not, and other tabs of ours are asked for it. A call that finds the session over waits for somebody to sign in again, and goes on.

import { t } from "./i18n.js";

const KEY = "skerry.page";
let channel;
let signIn; // Shows the form; a promise that ends when somebody has signed in.
let waiting;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export const secret = () => sessionStorage.getItem(KEY) || "";

export function onSignedOut(show) {
  signIn = show;
}

// One form, however many calls wait for it.
export function signedOut() {
  waiting ||= signIn().finally(() => { waiting = undefined; });
  return waiting;
}

// Another tab of ours may be signed in.
export async function shareSecret() {
  channel = new BroadcastChannel("skerry.page");
  channel.onmessage = ({ data }) => {
    if (data === "ask" && secret()) channel.postMessage({ page: secret() });
    // The cookie is the same for all tabs: so is the secret that goes with it.
    else if (data && data.page) sessionStorage.setItem(KEY, data.page);
  };
  if (secret()) return;
  await new Promise((resolve) => {
    channel.addEventListener("message", resolve, { once: true });
    channel.postMessage("ask");
    setTimeout(resolve, 60);
  });
}

async function send(method, path, headers, body, signal) {
  try {
    return await fetch(path, { method, headers: { ...headers, "skerry-page": secret() }, body, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, t("error.network"));
  }
}

export async function refusal(response) {
  const said = await response.json().catch(() => ({}));
  return new ApiError(response.status, said.message || t("error.status", { status: response.status }));
}

export async function raw(method, path, { json, form, signal } = {}) {
  const headers = {};
  let body;
  if (json) {
    headers["content-type"] = "application/json";
    body = JSON.stringify(json);
  } else if (form) {
    body = new URLSearchParams(form);
  }
  for (;;) {
    const response = await send(method, path, headers, body, signal);
    if (response.status === 401) {
      await signedOut();
      continue;
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

export async function call(method, path, options) {
  const response = await raw(method, path, options);
  return response.status === 204 ? null : response.json();
}

export const get = (path) => call("GET", path);
export const query = (path, values) => `${path}?${new URLSearchParams(values)}`;

// A resource of the REST API; the URLs of its pages lead to it by another way.
export const rest = (method, path, form) => call(method, `/console/v1${path}`, { form });
export const nextPage = (meta) => {
  if (!meta || !meta.next_page_url) return null;
  const url = new URL(meta.next_page_url);
  return url.pathname.replace(/^\/v1/, "") + url.search;
};

// Who it is: SID and secret, or a link that works once.
export async function begin(credentials) {
  const response = await send("POST", "/console/sign-in", { "content-type": "application/json" }, JSON.stringify(credentials));
  if (!response.ok) throw await refusal(response);
  const said = await response.json();
  sessionStorage.setItem(KEY, said.page);
  if (channel) channel.postMessage({ page: said.page });
  return said;
}

export async function isSignedIn() {
  if (!secret()) return null;
  const response = await send("GET", "/console/session", {});
  return response.ok ? response.json() : null;
}

export async function end() {
  await send("DELETE", "/console/session", {}).catch(() => {});
  sessionStorage.removeItem(KEY);
}

// One receipt after the other, as edges show a revision.
export async function live(deployed, report) {
  const response = await raw("GET", query("/console/live", { epoch: deployed.epoch, revision: deployed.revision }));
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const receipts = [];
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    const lines = (rest + (value || "")).split("\n");
    rest = lines.pop();
    receipts.push(...lines.filter(Boolean).map((line) => JSON.parse(line)));
    report(receipts, done);
    if (done) return receipts;
  }
}

// A file, with progress. Ends with {status, said}; status 0 is a connection that broke.
export function upload(path, file, onprogress, signal) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("PUT", path);
    request.setRequestHeader("skerry-page", secret());
    request.responseType = "text";
    request.upload.onprogress = (event) => onprogress(event.loaded);
    const answer = () => {
      let said = {};
      try { said = JSON.parse(request.responseText); } catch { /* A broken answer says nothing. */ }
      resolve({ status: request.status, said });
    };
    request.onload = answer;
    request.onerror = answer;
    request.onabort = () => resolve({ status: -1, said: {} });
    signal.addEventListener("abort", () => request.abort());
    request.send(file);
  });
}

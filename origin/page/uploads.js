// Uploads: what was chosen at once is checked as a whole before anything is sent, sent a few files at a time, looked at, and made live
// in one step. A file that could not be sent waits to be tried again; nothing goes live without it unless somebody says so.

import * as api from "./api.js";
import { ask, confirm, say } from "./dialog.js";
import { h, replace, set, toast } from "./dom.js";
import { liveness, number, size } from "./format.js";
import { icon } from "./icons.js";
import { t } from "./i18n.js";

const AT_ONCE = 4;
const SHOWN_MAX = 60;
const TRIES = [400, 1600];

let panel;
let list;
const batches = new Set();

addEventListener("beforeunload", (event) => {
  if ([...batches].some((batch) => batch.isBusy)) event.preventDefault();
});

// What is refused before anything is sent, in the language of the page; null where nothing is.
export function refused(files, limits, assets) {
  const live = new Map(assets.map((asset) => [asset.path, asset.visibility]));
  const problems = [];
  const isPrivate = (visibility) => visibility === "private";
  const seen = new Set();
  for (const file of files) {
    const max = isPrivate(file.visibility) ? limits.private_size_max : limits.served_size_max;
    if (file.size > max && file.path !== "/_skerry.toml") problems.push(t("refused.large", { path: file.path, size: number(file.size), max: number(max) }));
    if (seen.has(file.path)) problems.push(t("refused.twice", { path: file.path }));
    if ([...file.path].length > 255) problems.push(t("refused.long", { path: `${file.path.slice(0, 60)}…` }));
    seen.add(file.path);
  }
  for (const [ofPrivate, max, kind] of [[false, limits.served_count_max, "served"], [true, limits.private_count_max, "private"]]) {
    const mine = files.filter((file) => isPrivate(file.visibility) === ofPrivate && file.path !== "/_skerry.toml");
    const added = mine.filter((file) => !live.has(file.path) || isPrivate(live.get(file.path)) !== ofPrivate).length;
    const held = [...live].filter(([path, visibility]) => isPrivate(visibility) === ofPrivate && path !== "/_skerry.toml" && !files.some((file) => file.path === path && isPrivate(file.visibility) !== ofPrivate)).length;
    if (added && held + added > max) problems.push(t(`refused.many.${kind}`, { chosen: number(added), free: number(Math.max(0, max - held)), max: number(max) }));
  }
  return problems.length ? problems : null;
}

class Item {
  constructor(batch, planned) {
    Object.assign(this, planned);
    this.batch = batch;
    this.state = "waiting";
    this.sent = 0;
    this.abort = new AbortController();
    this.bar = h("progress", { max: "100", value: 0, "aria-label": planned.path });
    this.said = h("span", { class: "said" });
    this.buttons = h("span", { class: "buttons" });
    this.element = h("li", { class: "upload" }, h("span", { class: "name", dir: "auto", title: planned.path }, planned.path), this.buttons, this.bar, this.said);
  }

  get isOver() {
    return ["sent", "cancelled", "live"].includes(this.state);
  }

  turn(next, text = "") {
    this.state = next;
    this.element.dataset.state = next;
    const button = (label, name, run) => h("button", { type: "button", class: "quiet square small", "aria-label": `${label}: ${this.path}`, title: label, onclick: run }, icon(name));
    const cancel = button(t("button.cancel"), "close", () => this.cancel());
    const buttons = { waiting: [cancel], sending: [cancel], failed: [button(t("button.retry"), "retry", () => this.retry()), cancel], sent: [], cancelled: [], live: [] };
    replace(this.buttons, buttons[next]);
    replace(this.said, text || t(`upload.${next}`));
    if (next === "sent") set(this.bar, { value: 100 });
    if (this.isOver && next !== "sent") this.bar.remove();
  }

  cancel() {
    const was = this.state;
    this.abort.abort();
    this.turn("cancelled");
    if (was !== "sending") this.batch.step();
  }

  retry() {
    this.abort = new AbortController();
    this.turn("waiting");
    this.batch.step();
  }

  async send() {
    this.turn("sending");
    const url = api.query("/console/versions", { ...this.batch.place, path: this.path, visibility: this.visibility });
    for (let attempt = 0; ; attempt += 1) {
      const began = performance.now();
      const progress = (sent) => {
        const seconds = (performance.now() - began) / 1000;
        set(this.bar, { value: this.size ? (100 * sent) / this.size : 100 });
        const speed = seconds > 0.2 ? sent / seconds : 0;
        replace(this.said, speed ? t("upload.speed", { sent: size(sent), size: size(this.size), speed: size(speed) }) : t("upload.sending"));
      };
      const { status, said } = await api.upload(url, this.file, progress, this.abort.signal);
      if (status === 200) {
        this.version = said.version_sid;
        return this.turn("sent");
      }
      if (this.abort.signal.aborted) return undefined;
      if (status === 401) {
        this.turn("sending", t("upload.signedout"));
        await api.signedOut();
        attempt = -1;
        continue;
      }
      const again = [0, 408, 429, 503].includes(status) && TRIES[attempt];
      if (!again) return this.turn("failed", status === 0 ? t("upload.cut") : said.message || t("error.status", { status }));
      this.turn("sending", t("upload.again"));
      await new Promise((resolve) => setTimeout(resolve, again));
      if (this.abort.signal.aborted) return undefined;
    }
  }
}

class Batch {
  constructor(planned, context) {
    this.place = context.place;
    this.context = context;
    this.items = planned.map((one) => new Item(this, one));
    this.isBusy = true;
    this.sending = 0;
    this.title = h("h3", { "aria-live": "polite" });
    this.note = h("p", { class: "note", "aria-live": "polite" });
    this.actions = h("p", { class: "actions" });
    const shown = this.items.slice(0, SHOWN_MAX);
    this.rows = h("ul", {}, shown.map((item) => item.element));
    const close = h("button", { type: "button", class: "quiet square small closer", "aria-label": t("button.close"), onclick: () => this.close() }, icon("close"));
    this.element = h("section", { class: "batch" }, h("div", { class: "head" }, this.title, close), this.note, this.rows, this.actions);
    for (const item of this.items) item.turn("waiting");
    this.say(t("batch.sending", { count: number(this.items.length) }));
  }

  say(text, note = "") {
    replace(this.title, text);
    replace(this.note, note);
  }

  close() {
    this.isClosed = true;
    for (const item of this.items) if (!item.isOver) item.cancel();
    batches.delete(this);
    this.element.remove();
    panel.hidden = !batches.size;
  }

  // Sends what waits, a few at a time; when nothing is left to send, what was sent goes live.
  step() {
    // Who closes it wants nothing more of it to go live.
    if (this.isPublishing || this.isClosed) return;
    while (this.sending < AT_ONCE) {
      const next = this.items.find((item) => item.state === "waiting");
      if (!next) break;
      this.sending += 1;
      next.send().finally(() => {
        this.sending -= 1;
        // One that is not among the first may be the one to look at.
        if (next.state === "failed" && !next.element.isConnected) this.rows.append(next.element);
        this.step();
      });
    }
    const over = this.items.filter((item) => item.isOver).length;
    const failed = this.items.filter((item) => item.state === "failed").length;
    if (this.items.length > 1 && over < this.items.length) this.say(t("batch.progress", { done: number(over), count: number(this.items.length) }));
    replace(this.actions);
    if (this.sending || this.items.some((item) => item.state === "waiting")) return;
    const sent = this.items.filter((item) => item.state === "sent");
    if (failed) {
      this.say(t("batch.failed", { count: number(failed) }), t("batch.failed.help"));
      replace(this.actions,
        h("button", { type: "button", class: "primary", onclick: () => this.items.filter((item) => item.state === "failed").forEach((item) => item.retry()) }, t("batch.retry")),
        sent.length ? h("button", { type: "button", onclick: () => this.publish(sent) }, t("batch.without", { count: number(sent.length) })) : null);
    } else if (sent.length) {
      this.publish(sent);
    } else {
      this.isBusy = false;
      this.say(t("batch.cancelled"));
    }
  }

  async publish(sent) {
    this.isPublishing = true;
    replace(this.actions);
    try {
      await this.context.ready;
      const versions = sent.map((item) => item.version);
      // Only these formats can hold what is looked for; names alone are looked at with them.
      const { warnings } = await api.call("POST", "/console/look", { json: { ...this.place, versions } });
      let chosen = sent;
      if (this.isClosed) return undefined;
      if (Object.keys(warnings).length) {
        chosen = await this.warn(sent, warnings);
        const kept = sent.filter((item) => warnings[item.version] && !chosen.includes(item));
        if (kept.length) await api.call("POST", "/console/decline", { json: { declined: kept.map((item) => told(item.version, warnings)) } });
        if (!chosen.length) {
          this.isBusy = false;
          return this.say(t("batch.kept"), t("batch.kept.help"));
        }
      }
      const accepted = chosen.filter((item) => warnings[item.version]).map((item) => told(item.version, warnings));
      if (this.isClosed) return undefined;
      this.say(t("batch.publishing"));
      const deployed = await api.call("POST", "/console/publish", { json: { ...this.place, versions: chosen.map((item) => item.version), accepted } });
      this.live(chosen, deployed);
    } catch (error) {
      this.say(t("batch.refused"), error.message);
      replace(this.actions, h("button", { type: "button", class: "primary", onclick: () => this.publish(sent) }, t("button.retry")));
    } finally {
      this.isPublishing = false;
    }
    return undefined;
  }

  async warn(sent, warnings) {
    const told = sent.filter((item) => warnings[item.version]);
    const content = [
      h("p", {}, t("warn.lead")),
      h("ul", { class: "warnings" }, told.slice(0, 50).map((item) => h("li", {},
        h("strong", { dir: "auto" }, item.path), findings(warnings[item.version])))),
      told.length > 50 ? h("p", {}, t("warn.more", { count: number(told.length - 50) })) : null,
      h("p", { class: "muted" }, t("warn.note")),
    ];
    const rest = sent.length - told.length;
    const buttons = [{ label: t("warn.none"), value: "none", first: true }];
    if (rest) buttons.push({ label: t("warn.others", { count: number(rest) }), value: "others" });
    buttons.push({ label: t("warn.all"), value: "all", class: "primary" });
    const choice = await ask(t("warn.title"), content, buttons);
    if (choice === "all") return sent;
    for (const item of choice === "others" ? told : sent) item.turn("cancelled", t("upload.kept"));
    return choice === "others" ? sent.filter((item) => !warnings[item.version]) : [];
  }

  live(items, deployed) {
    this.isBusy = false;
    this.say(t("batch.live", { count: number(items.length) }), t("live.waiting"));
    for (const item of items) {
      item.turn("live");
      const url = item.visibility === "private" ? null : deployed.public_url + encodePath(item.path);
      replace(item.said, url ? [h("a", { href: url, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, url), copyButton(url), item.visibility === "protected" ? h("span", { class: "muted" }, t("upload.protected")) : null] : t("upload.private"));
    }
    if (items.length > SHOWN_MAX) this.rows.append(h("li", { class: "muted" }, t("batch.more", { count: number(items.length - SHOWN_MAX) })));
    this.context.changed(deployed);
    api.live(deployed, (receipts, isOver) => {
      if (receipts.length || isOver) replace(this.note, liveness(receipts));
    }).catch((error) => replace(this.note, error.message));
  }
}

// What was found in a file, for people.
export function findings(warning) {
  return kinds(warning.findings).map(([kind, details]) => h("p", {}, t(`warn.${kind}`), " ", h("span", { class: "muted", dir: "auto" }, details.join(" · "))));
}

// The same for the audit log.
export function told(version, warnings) {
  return { version_sid: version, warnings: warnings[version].findings.map((finding) => `${finding.kind} (${finding.detail})`) };
}

// What was found, each kind once.
function kinds(findings) {
  const by = new Map();
  for (const { kind, detail } of findings) by.set(kind, [...(by.get(kind) || []), detail]);
  return [...by];
}

// The path as it stands in a URL: every character that is no pchar is encoded (RFC 3986 §3.3), the way the origin does it.
export function encodePath(path) {
  return path.split("/").map((segment) => encodeURIComponent(segment).replace(/%(24|26|2B|2C|3A|3B|3D|40)/g, (code) => decodeURIComponent(code))).join("/");
}

export function copyButton(text, label = t("button.copy")) {
  const button = h("button", { type: "button", class: "quiet square small copy", "aria-label": `${label}: ${text}`, title: label, onclick: async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS a page may not write there; a selection can still be copied.
      const area = h("textarea", { class: "unseen", value: text });
      (button.closest("dialog") || document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    replace(button, icon("check"));
    toast(t("copied"));
    setTimeout(() => replace(button, icon("copy")), 1500);
  } }, icon("copy"));
  return button;
}

// Takes what somebody chose. `context`: place, limits, assets, changed.
export async function begin(planned, skipped, context) {
  if (!planned.length) {
    toast(skipped.length ? t("chosen.skipped", { count: number(skipped.length), names: skipped.slice(0, 3).join(", ") }) : t("chosen.none"));
    return;
  }
  const problems = refused(planned, context.limits, context.assets);
  if (problems) {
    const shown = problems.slice(0, 20).map((problem) => h("li", { dir: "auto" }, problem));
    if (problems.length > 20) shown.push(h("li", {}, t("refused.more", { count: number(problems.length - 20) })));
    await say(t("refused.title"), [h("p", {}, t("refused.lead")), h("ul", {}, shown), h("p", { class: "muted" }, t("refused.help"))]);
    return;
  }
  let checked;
  try {
    checked = await api.call("POST", "/console/check", { json: { ...context.place, assets: planned.map(({ path, visibility, size: bytes }) => ({ path, visibility, size: bytes })) } });
  } catch (error) {
    await say(t("refused.title"), [h("p", {}, t("refused.lead")), h("p", { class: "pre", dir: "auto" }, error.message)]);
    return;
  }
  if (checked.now_public.length) {
    const names = checked.now_public.slice(0, 20).map((path) => h("li", { dir: "auto" }, path));
    if (!(await confirm(t("nowpublic.title"), [h("p", {}, t("nowpublic.lead")), h("ul", {}, names)], t("nowpublic.yes"), true))) return;
  }
  if (skipped.length) toast(t("chosen.skipped", { count: number(skipped.length), names: skipped.slice(0, 3).join(", ") }));
  const batch = new Batch(planned, context);
  if (!panel) {
    list = h("div", { class: "batches" });
    panel = h("aside", { class: "uploads", "aria-label": t("uploads") }, list);
    document.body.append(panel);
  }
  panel.hidden = false;
  batches.add(batch);
  list.prepend(batch.element);
  batch.step();
}

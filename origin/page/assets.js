// The assets of an environment: a list that stays quick with thousands of rows, and every way to put files into it.

import * as api from "./api.js";
import { place, state } from "./app.js";
import * as chooser from "./chooser.js";
import { h, replace, toast } from "./dom.js";
import { exact, number, size, when } from "./format.js";
import { icon, ofType } from "./icons.js";
import { t } from "./i18n.js";
import { begin, copyButton } from "./uploads.js";

const ROW_HEIGHT = 56;
const AROUND = 8;
const VISIBILITIES = ["public", "protected", "private"];
const RASTER = /^image\/(png|jpeg|gif|webp|avif|bmp)/;
const THUMBNAIL_SIZE_MAX = 20e6;

export async function show(main) {
  const view = new View(main);
  await view.refresh();
  return () => view.leave();
}

class View {
  constructor(main) {
    this.assets = [];
    this.filter = { text: "", visibility: "", type: "" };
    this.sort = { by: "path", way: 1 };
    this.visibility = sessionStorage.getItem("skerry.visibility") || "public";
    this.into = "";
    this.listeners = new AbortController();
    this.build(main);
    this.listen();
  }

  build(main) {
    this.input = h("input", { type: "file", multiple: true, class: "unseen", tabindex: "-1", id: "chooser", "aria-label": t("add"), onchange: () => this.chosen(this.input) });
    this.folder = h("input", { type: "file", multiple: true, webkitdirectory: true, class: "unseen", tabindex: "-1", "aria-label": t("add.folder"), onchange: () => this.chosen(this.folder) });
    const plus = h("button", { type: "button", class: "primary square plus", "aria-label": t("add"), title: t("add"), onclick: () => this.input.click() }, icon("plus"));
    const folder = h("button", { type: "button", onclick: () => this.folder.click() }, t("add.folder"));
    const visibility = h("select", { onchange: (event) => { this.visibility = event.target.value; sessionStorage.setItem("skerry.visibility", this.visibility); this.note(); } },
      VISIBILITIES.map((one) => h("option", { value: one, selected: one === this.visibility }, t(`visibility.${one}`))));
    const into = h("input", { type: "text", value: "/", size: "10", spellcheck: "false", autocapitalize: "off", oninput: (event) => { this.into = event.target.value; } });
    const search = h("input", { type: "search", placeholder: t("search"), "aria-label": t("search"), oninput: (event) => this.narrow({ text: event.target.value.toLowerCase() }) });
    const select = (label, name, options) => h("select", { "aria-label": label, onchange: (event) => this.narrow({ [name]: event.target.value }) },
      h("option", { value: "" }, label), options.map(([value, text]) => h("option", { value }, text)));
    this.said = h("p", { class: "said", role: "status" });
    this.standing = h("p", { class: "standing" });
    this.use = h("p", { class: "use" });
    const column = (by) => h("div", { role: "columnheader", class: by, "aria-sort": this.aria(by) }, h("button", { type: "button", class: "quiet", onclick: () => this.order(by) }, t(`column.${by}`)));
    this.columns = ["path", "visibility", "type", "size", "time"];
    this.header = h("div", { role: "row", class: "row header" }, this.columns.map(column), h("div", { role: "columnheader", class: "more" }, h("span", { class: "unseen" }, t("column.more"))));
    this.body = h("div", { role: "rowgroup", class: "rows" });
    this.scroller = h("div", { class: "scroller" }, this.body);
    this.table = h("div", { role: "table", class: "table", "aria-label": t("nav.assets"), hidden: true }, h("div", { role: "rowgroup" }, this.header), this.scroller);
    this.empty = h("div", { class: "empty", hidden: true });
    replace(main,
      h("div", { class: "title" }, plus, h("h1", {}, t("nav.assets")), this.use),
      h("div", { class: "toolbar" },
        h("label", {}, h("span", {}, t("new.visibility")), visibility), h("label", {}, h("span", {}, t("new.into")), into), folder,
        h("span", { class: "gap" }), search,
        select(t("filter.visibility"), "visibility", VISIBILITIES.map((one) => [one, t(`visibility.${one}`)])),
        select(t("filter.type"), "type", ["image", "audio", "video", "text", "file"].map((one) => [one, t(`type.${one}`)]))),
      this.standing, this.said, this.empty, this.table, this.input, this.folder);
    this.note();
  }

  listen() {
    const on = (target, name, run, options = {}) => target.addEventListener(name, run, { ...options, signal: this.listeners.signal });
    const hasFiles = (event) => event.dataTransfer && [...event.dataTransfer.types].includes("Files");
    let veil = null;
    const clear = () => { if (veil) veil.remove(); veil = null; };
    const cover = (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      if (veil) return;
      veil = h("div", { class: "veil" }, h("p", {}, t("drop")), h("div", { class: "zones" }, VISIBILITIES.map((one) =>
        h("div", { class: "zone", data: { visibility: one } }, h("strong", {}, t(`visibility.${one}`)), h("span", {}, t(`visibility.${one}.help`))))));
      document.body.append(veil);
    };
    on(document, "dragenter", cover);
    on(document, "dragover", (event) => {
      if (!hasFiles(event)) return;
      // Where leaving one element for another looks like leaving the page, the veil went too early.
      cover(event);
      event.dataTransfer.dropEffect = "copy";
      const zone = event.target.closest && event.target.closest(".zone");
      for (const one of document.querySelectorAll(".zone")) one.classList.toggle("over", one === zone);
    });
    on(document, "dragleave", (event) => { if (!event.relatedTarget) clear(); });
    on(document, "drop", (event) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      const zone = event.target.closest && event.target.closest(".zone");
      clear();
      this.take(event.dataTransfer, zone ? zone.dataset.visibility : this.visibility);
    });
    on(document, "paste", (event) => {
      if (event.clipboardData && event.clipboardData.files.length) {
        event.preventDefault();
        this.take(event.clipboardData, this.visibility);
      }
    });
    on(this.scroller, "scroll", () => this.draw(), { passive: true });
    on(window, "resize", () => this.draw());
    // Another tab, or somebody else, may have changed what is live.
    on(document, "visibilitychange", () => { if (!document.hidden) this.refresh().catch(() => {}); });
  }

  leave() {
    this.listeners.abort();
    if (this.side) this.side.close();
  }

  note() {
    replace(this.standing, t(`standing.${this.visibility}`));
  }

  async take(transfer, visibility) {
    const entries = chooser.entriesOf(transfer);
    const { files, skipped } = await chooser.fromEntries(entries, (count) => replace(this.said, t("chosen.reading", { count: number(count) })));
    replace(this.said);
    await this.begin(files, skipped, visibility);
  }

  async chosen(input) {
    const { files, skipped } = chooser.fromInput(input.files);
    await this.begin(files, skipped, this.visibility);
    // The same file can be chosen again.
    input.value = "";
  }

  async begin(files, skipped, visibility) {
    const planned = files.map(({ file, inner }) => chooser.planned(file, inner, this.into, visibility));
    const ready = this.fresh(planned.map((one) => one.path)).catch(() => {});
    await begin(planned, skipped, { ...this.context(), ready });
  }

  context() {
    return { place: place(), limits: this.limits, assets: this.assets, changed: () => this.refresh() };
  }

  // What another tab or person published meanwhile at these paths is said before it is replaced.
  async fresh(paths) {
    const before = new Map(this.assets.map((asset) => [asset.path, asset.version_sid]));
    const { assets } = await api.get(api.query("/console/assets", place()));
    const wanted = new Set(paths);
    const changed = assets.find((asset) => wanted.has(asset.path) && before.get(asset.path) !== asset.version_sid);
    if (changed) toast(t("changed.elsewhere", { path: changed.path }));
  }

  async refresh() {
    const asked = place();
    const { assets, environment, limits } = await api.get(api.query("/console/assets", asked));
    // Somebody may have chosen another environment meanwhile.
    if (asked.environment !== place().environment) return;
    this.assets = assets;
    this.limits = limits;
    state.environment = environment;
    this.publicUrl = environment.public_url;
    const served = assets.filter((asset) => asset.visibility !== "private" && asset.path !== "/_skerry.toml").length;
    const hidden = assets.filter((asset) => asset.visibility === "private" && asset.path !== "/_skerry.toml").length;
    replace(this.use, t("use", { served: number(served), servedMax: number(limits.served_count_max), hidden: number(hidden), hiddenMax: number(limits.private_count_max), max: size(limits.served_size_max) }));
    this.apply();
    if (this.side) this.side.refresh();
  }

  narrow(change) {
    Object.assign(this.filter, change);
    this.scroller.scrollTop = 0;
    this.apply();
  }

  order(by) {
    this.sort = { by, way: this.sort.by === by ? -this.sort.way : 1 };
    for (const [number_, name] of this.columns.entries()) this.header.children[number_].setAttribute("aria-sort", this.aria(name));
    this.apply();
  }

  aria(by) {
    return this.sort.by !== by ? "none" : this.sort.way > 0 ? "ascending" : "descending";
  }

  apply() {
    const { text, visibility, type } = this.filter;
    const key = { path: (one) => one.path, visibility: (one) => one.visibility, type: (one) => one.content_type, size: (one) => one.size, time: (one) => one.created_at }[this.sort.by];
    this.rows = this.assets.filter((one) => (!text || one.path.toLowerCase().includes(text)) && (!visibility || one.visibility === visibility) && (!type || ofType(one.content_type) === type));
    this.rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.path < b.path ? -1 : 1) * this.sort.way);
    this.table.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.table.hidden = !this.rows.length;
    this.empty.hidden = Boolean(this.rows.length);
    if (!this.rows.length) {
      replace(this.empty, this.assets.length ? h("p", {}, t("empty.filter")) : [
        h("div", { class: "big" }, icon("plus")), h("h2", {}, t("empty.title")), h("p", {}, t("empty.help")),
        h("button", { type: "button", class: "primary", onclick: () => this.input.click() }, t("add"))]);
    }
    this.drawn = null;
    this.draw();
  }

  // Only the rows that can be seen, and some around them.
  draw() {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW_HEIGHT) - AROUND);
    const count = Math.ceil((this.scroller.clientHeight || 600) / ROW_HEIGHT) + 2 * AROUND;
    const last = Math.min(this.rows.length, first + count);
    if (this.drawn === `${first}-${last}`) return;
    this.drawn = `${first}-${last}`;
    const focused = document.activeElement && document.activeElement.closest && document.activeElement.closest("[data-path]");
    const path = focused && focused.dataset.path;
    replace(this.body, this.rows.slice(first, last).map((asset, index) => this.row(asset, first + index)));
    this.body.style.paddingTop = `${first * ROW_HEIGHT}px`;
    this.body.style.paddingBottom = `${(this.rows.length - last) * ROW_HEIGHT}px`;
    if (path) {
      const again = [...this.body.children].find((row) => row.dataset.path === path);
      if (again) again.querySelector(".open").focus({ preventScroll: true });
    }
  }

  row(asset, index) {
    const url = asset.visibility === "private" ? null : this.publicUrl + asset.url_path;
    const isRaster = RASTER.test(asset.content_type) && asset.size < THUMBNAIL_SIZE_MAX;
    const picture = isRaster ? h("img", { class: "thumb", src: `/console/preview/${asset.version_sid}`, alt: "", loading: "lazy", decoding: "async", onerror: (event) => event.target.replaceWith(h("span", { class: "thumb" }, icon("image"))) }) : h("span", { class: "thumb" }, icon(ofType(asset.content_type)));
    const cell = (name, ...children) => h("div", { role: "cell", class: name }, children);
    return h("div", { role: "row", class: "row", "aria-rowindex": String(index + 2), data: { path: asset.path } },
      cell("path", picture, h("button", { type: "button", class: "open", dir: "auto", onclick: () => this.open(asset.path) }, asset.path)),
      cell("visibility", h("span", { class: `badge ${asset.visibility}` }, t(`visibility.${asset.visibility}`))),
      cell("type", asset.content_type.split(";")[0]),
      cell("size", size(asset.size)),
      cell("time", h("time", { datetime: new Date(asset.created_at * 1000).toISOString(), title: exact(asset.created_at) }, when(asset.created_at))),
      cell("more", url ? copyButton(url, t("button.copyurl")) : h("span", { class: "muted small" }, t("bundled"))));
  }

  async open(path) {
    const { Detail } = await import("./detail.js");
    if (this.side) this.side.close();
    this.side = new Detail(this, path);
  }

  find(path) {
    return this.assets.find((asset) => asset.path === path);
  }
}

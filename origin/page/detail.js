// One asset: what it looks like, where it is, who may have it, what it was before.

import * as api from "./api.js";
import { place, state } from "./app.js";
import { confirm } from "./dialog.js";
import { h, replace, toast } from "./dom.js";
import { exact, liveness, number, size, when } from "./format.js";
import { ofType } from "./icons.js";
import { t } from "./i18n.js";
import { signed } from "./sign.js";
import { begin, copyButton, findings, told } from "./uploads.js";

const TEXT_SIZE_MAX = 64 << 10;
const VISIBILITIES = ["public", "protected", "private"];

export class Detail {
  constructor(view, path) {
    this.view = view;
    this.path = path;
    this.back = document.activeElement;
    this.body = h("div", { class: "dialog-body", tabindex: "0" });
    this.said = h("p", { class: "said", role: "status" });
    const close = h("button", { type: "button", onclick: () => this.close() }, t("button.close"));
    this.dialog = h("dialog", { class: "side", "aria-labelledby": "detail-title" }, h("h2", { id: "detail-title", dir: "auto" }, path), this.said, this.body, h("div", { class: "actions" }, close));
    this.dialog.addEventListener("close", () => this.close());
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.refresh();
  }

  close() {
    if (!this.dialog.isConnected) return;
    this.dialog.remove();
    this.view.side = null;
    const row = [...document.querySelectorAll("[data-path]")].find((one) => one.dataset.path === this.path);
    if (row) row.querySelector(".open").focus();
  }

  refresh() {
    const asset = this.view.find(this.path);
    if (!asset) return this.close();
    if (this.shown === asset.version_sid) return undefined;
    this.shown = asset.version_sid;
    const url = asset.visibility === "private" ? null : this.view.publicUrl + asset.url_path;
    const preview = `/console/preview/${asset.version_sid}`;
    const replacement = h("input", { type: "file", class: "unseen", tabindex: "-1", "aria-label": t("button.replace"), onchange: () => this.replace(replacement) });
    const radios = h("fieldset", { class: "choice" }, h("legend", {}, t("column.visibility")), VISIBILITIES.map((one) => h("label", {},
      h("input", { type: "radio", name: "visibility", value: one, checked: one === asset.visibility, onchange: () => this.visibility(asset, one) }),
      h("span", {}, h("strong", {}, t(`visibility.${one}`)), " ", h("span", { class: "muted" }, t(`visibility.${one}.help`))))));
    this.history = h("div", { class: "history" });
    replace(this.body,
      this.preview(asset, preview),
      url ? h("p", { class: "url" }, h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, url), copyButton(url, t("button.copyurl"))) : h("p", {}, t("detail.private")),
      h("dl", { class: "facts" },
        h("dt", {}, t("column.type")), h("dd", {}, asset.content_type),
        h("dt", {}, t("column.size")), h("dd", {}, `${size(asset.size)} (${number(asset.size)})`),
        h("dt", {}, "BLAKE3"), h("dd", { class: "hash" }, asset.hash),
        h("dt", {}, t("column.time")), h("dd", {}, exact(asset.created_at))),
      radios,
      asset.visibility === "protected" ? this.signer(url) : null,
      h("div", { class: "actions spread" },
        h("a", { class: "button", href: `${preview}?download=1`, download: "" }, t("button.download")),
        asset.visibility === "private" ? h("button", { type: "button", onclick: () => this.bundle() }, t("button.bundle")) : null,
        h("button", { type: "button", onclick: () => replacement.click() }, t("button.replace")), replacement,
        h("button", { type: "button", class: "danger", onclick: () => this.remove(asset) }, t("button.delete"))),
      h("h3", {}, t("detail.history")), this.history);
    this.past(asset).catch((error) => replace(this.history, error.message));
    return undefined;
  }

  preview(asset, url) {
    const type = asset.content_type.split(";")[0];
    if (/^image\/(png|jpeg|gif|webp|avif|bmp)$/.test(type)) return h("img", { class: "preview", src: url, alt: t("detail.preview"), onerror: (event) => event.target.replaceWith(h("p", { class: "preview none" }, t("detail.nopreview"))) });
    const family = ofType(asset.content_type);
    if (family === "audio") return h("audio", { class: "preview", src: url, controls: true, preload: "metadata" });
    if (family === "video") return h("video", { class: "preview", src: url, controls: true, preload: "metadata" });
    if (family === "text" || type === "image/svg+xml") {
      const text = h("pre", { class: "preview", tabindex: "0", dir: "auto" }, "…");
      fetch(url, { headers: asset.size ? { range: `bytes=0-${TEXT_SIZE_MAX - 1}` } : {} })
        .then(async (response) => {
          if (response.status === 401) await api.signedOut();
          else if (response.ok) return response.text();
          throw new Error(t("detail.nopreview"));
        })
        .then((said) => replace(text, said, asset.size > TEXT_SIZE_MAX ? `\n${t("detail.cut")}` : ""))
        .catch((error) => replace(text, error.message));
      return text;
    }
    return h("p", { class: "preview none" }, t("detail.nopreview"));
  }

  async past(asset) {
    const { versions } = await api.get(api.query("/console/history", { ...place(), path: this.path }));
    replace(this.history, h("ul", {}, versions.map((version) => h("li", {},
      h("span", {}, h("time", { datetime: new Date(version.created_at * 1000).toISOString(), title: exact(version.created_at) }, when(version.created_at)), ` · ${size(version.size)} · ${t(`visibility.${version.visibility}`)}`),
      version.version_sid === asset.version_sid ? h("span", { class: "badge public" }, t("detail.live")) : [
        h("a", { href: `/console/preview/${version.version_sid}?download=1`, download: "" }, t("button.download")),
        h("button", { type: "button", onclick: () => this.bring(version) }, t("detail.bring"))]))));
  }

  // What is in a version is said before everybody can see it; null where somebody would rather not.
  async warned(version, visibility) {
    const { warnings } = await api.call("POST", "/console/look", { json: { ...place(), versions: [version], visibility } });
    if (!warnings[version]) return [];
    const goes = await confirm(t("warn.title"), [h("p", {}, t("warn.lead")), h("div", { class: "warnings" }, findings(warnings[version])), h("p", { class: "muted" }, t("warn.note"))], t("warn.all"));
    if (goes) return told(version, warnings).warnings;
    await api.call("POST", "/console/decline", { json: { declined: [told(version, warnings)] } });
    return null;
  }

  async bring(version) {
    try {
      const warnings = await this.warned(version.version_sid, version.visibility);
      if (warnings) await this.change({ versions: [version.version_sid], accepted: warnings.length ? [{ version_sid: version.version_sid, warnings }] : [] }, t("detail.back"));
    } catch (error) {
      replace(this.said, error.message);
    }
  }

  async change(what, text) {
    const deployed = await api.call("POST", "/console/publish", { json: { ...place(), ...what } });
    await this.changed(deployed, text);
  }

  async changed(deployed, text) {
    replace(this.said, text);
    api.live(deployed, (receipts, isOver) => { if (isOver) replace(this.said, `${text} ${liveness(receipts)}`); });
    await this.view.refresh();
  }

  async visibility(asset, next) {
    if (next === "public" && !(await confirm(t("nowpublic.title"), h("p", {}, t("standing.public")), t("nowpublic.yes"), asset.visibility === "private"))) {
      this.shown = null;
      return this.refresh();
    }
    try {
      const warnings = next === "private" ? [] : await this.warned(asset.version_sid, next);
      if (!warnings) {
        this.shown = null;
        return this.refresh();
      }
      const deployed = await api.call("POST", "/console/visibility", { json: { ...place(), paths: [this.path], visibility: next, warnings } });
      await this.changed(deployed, t("detail.changed"));
    } catch (error) {
      replace(this.said, error.message);
      this.shown = null;
      this.refresh();
    }
    return undefined;
  }

  async replace(input) {
    const [file] = input.files;
    if (!file) return;
    const asset = this.view.find(this.path);
    this.close();
    await begin([{ file, path: asset.path, visibility: asset.visibility, size: file.size }], [], this.view.context());
  }

  async remove(asset) {
    const deployed = await api.call("POST", "/console/publish", { json: { ...place(), removed: [this.path] } });
    const { view, path } = this;
    const here = place();
    this.close();
    toast(t("deleted", { path }), { label: t("button.undo"), run: async () => {
      const again = await api.call("POST", "/console/publish", { json: { ...here, versions: [asset.version_sid] } });
      toast(t("undone", { path }));
      await view.refresh();
      return again;
    } });
    await view.refresh();
    return deployed;
  }

  signer(url) {
    const key = h("input", { type: "file", id: "sign-key", accept: ".pem" });
    const span = h("select", { id: "sign-span" }, [["3600", "hour"], ["86400", "day"], ["604800", "week"]].map(([seconds, name]) => h("option", { value: seconds }, t(`sign.${name}`))));
    const result = h("p", { class: "url", role: "status" });
    const make = async () => {
      if (!key.files.length) return replace(result, t("sign.nokey"));
      try {
        const link = await signed(url, Math.floor(Date.now() / 1000) + Number(span.value), await key.files[0].text());
        replace(result, h("a", { href: link, target: "_blank", rel: "noopener noreferrer" }, link), copyButton(link));
      } catch (error) {
        replace(result, h("span", { class: "problem" }, t("sign.failed", { why: error.message })));
      }
      return undefined;
    };
    return h("fieldset", { class: "sign" }, h("legend", {}, t("sign.title")), h("p", { class: "muted" }, t("sign.help")),
      h("label", { for: "sign-key" }, t("sign.key")), key, h("label", { for: "sign-span" }, t("sign.span")), span,
      h("button", { type: "button", onclick: make }, t("sign.button")), result);
  }

  async bundle() {
    const { service, environment } = state;
    const response = await api.raw("GET", `/console/v1/Services/${service.sid}/Builds/${environment.build_sid}/Bundle`);
    const blob = await response.blob();
    const url = URL.createObjectURL(blob);
    const link = h("a", { href: url, download: `${environment.build_sid}.tar` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
  }
}

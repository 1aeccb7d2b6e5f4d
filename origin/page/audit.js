// Who did what to what, when and from where.

import { table } from "./access.js";
import * as api from "./api.js";
import { h, replace } from "./dom.js";
import { exact } from "./format.js";
import { t } from "./i18n.js";

export async function show(main) {
  const rows = [];
  const box = h("div", { class: "stack" });
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.audit"))), h("p", { class: "muted" }, t("audit.help")), box);
  await more("/AuditLog?PageSize=50");

  async function more(path) {
    const { entries, meta } = await api.rest("GET", path);
    rows.push(...entries.map((entry) => h("tr", {}, h("td", {}, exact(entry.date_created)), h("td", {}, t(`audit.${entry.action}`)), h("td", {}, h("code", {}, entry.subject_sid), entry.detail ? h("div", { class: "muted", dir: "auto" }, entry.detail) : null), h("td", {}, h("code", {}, entry.credential)), h("td", {}, entry.address))));
    const next = api.nextPage(meta);
    replace(box, table([t("audit.when"), t("audit.action"), t("audit.subject"), t("audit.credential"), t("audit.address")], rows),
      next ? h("p", {}, h("button", { type: "button", onclick: () => more(next) }, t("audit.more"))) : null);
  }
}

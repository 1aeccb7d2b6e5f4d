// How much the account holds, and how much it may.

import * as api from "./api.js";
import { state } from "./app.js";
import { h, replace } from "./dom.js";
import { number, size } from "./format.js";
import { t } from "./i18n.js";

export async function show(main) {
  const [account, service] = await Promise.all([api.rest("GET", "/Usage"), api.rest("GET", `/Services/${state.service.sid}/Usage`)]);
  const figure = (name, value) => h("div", { class: "figure" }, h("strong", {}, value), h("span", {}, name));
  const meter = (name, value, max) => h("div", { class: "meter" }, h("span", {}, name), h("progress", { max: String(max), value, "aria-label": name }), h("span", { class: "muted" }, t("usage.of", { value: number(value), max: number(max) })));
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.usage"))),
    h("div", { class: "figures" }, figure(t("usage.stored"), size(account.stored_bytes)), figure(t("usage.versions"), number(account.asset_versions)), figure(t("usage.services"), number(account.services)), figure(t("usage.keys"), number(account.api_keys))),
    h("h2", { dir: "auto" }, state.service.unique_name),
    service.environments.map((one) => h("section", {}, h("h3", { dir: "auto" }, one.unique_name),
      meter(t("usage.served"), one.served_count, service.served_count_max), meter(t("usage.private"), one.private_count, service.private_count_max))),
    h("p", { class: "muted" }, t("usage.sizes", { served: size(service.served_size_max), hidden: size(service.private_size_max) })),
    h("p", { class: "muted" }, t("usage.raise")));
}

// Domains of an environment: its own, and those that the account brings, each proven by a record in the DNS.

import * as api from "./api.js";
import { state } from "./app.js";
import { confirm } from "./dialog.js";
import { h, replace } from "./dom.js";
import { t } from "./i18n.js";
import { copyButton } from "./uploads.js";

export async function show(main) {
  const base = `/Services/${state.service.sid}/Environments/${state.environment.sid}/Domains`;
  const list = h("div", {});
  const said = h("p", { class: "said", role: "status" });
  const name = h("input", { id: "domain", placeholder: "music.example.com", required: true, spellcheck: "false", autocapitalize: "off", inputmode: "url" });
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.domains"))),
    h("p", { class: "url" }, h("a", { href: state.environment.public_url, target: "_blank", rel: "noopener noreferrer" }, state.environment.public_url), copyButton(state.environment.public_url)), said);
  let domains;
  try {
    ({ domains } = await api.rest("GET", base));
  } catch (error) {
    if (error.status !== 404) throw error;
    main.append(h("p", { class: "muted" }, t("error.missing")));
    return;
  }
  main.append(h("form", { class: "toolbar", onsubmit: (event) => { event.preventDefault(); run(async () => { await api.rest("POST", base, { DomainName: name.value.trim() }); name.value = ""; }); } },
    h("label", { for: "domain" }, t("domains.name")), name, h("button", { class: "primary", type: "submit" }, t("domains.add"))), list);
  draw(domains);

  function draw(rows) {
    replace(list, rows.length ? rows.map((one) => h("section", { class: "card" },
      h("h2", {}, one.domain_name, " ", h("span", { class: `badge ${one.status === "live" ? "public" : "protected"}` }, t(`domains.${one.status}`))),
      one.status === "live" ? h("p", { class: "url" }, h("a", { href: one.public_url, target: "_blank", rel: "noopener noreferrer" }, one.public_url), copyButton(one.public_url)) : [
        h("p", {}, t("domains.help")),
        h("dl", { class: "facts" }, h("dt", {}, t("domains.record")), h("dd", {}, h("code", {}, one.record.name), copyButton(one.record.name)), h("dt", {}, t("column.type")), h("dd", {}, one.record.type), h("dt", {}, t("domains.value")), h("dd", {}, h("code", {}, one.record.value), copyButton(one.record.value)))],
      h("div", { class: "actions" },
        one.status === "live" ? null : h("button", { type: "button", class: "primary", onclick: () => run(() => api.rest("POST", `${base}/${one.sid}/Verify`, {})) }, t("domains.verify")),
        h("button", { type: "button", class: "danger", onclick: () => remove(one) }, t("button.delete"))))) : h("p", { class: "muted" }, t("domains.none")));
  }

  async function run(work) {
    replace(said);
    try {
      await work();
      draw((await api.rest("GET", base)).domains);
    } catch (error) {
      replace(said, error.message);
    }
  }

  async function remove(one) {
    if (await confirm(t("button.delete"), h("p", {}, t("domains.delete.ask", { name: one.domain_name })), t("button.delete"), true)) await run(() => api.rest("DELETE", `${base}/${one.sid}`));
  }
}

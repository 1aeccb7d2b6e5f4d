// What the account proves itself with: API keys, and auth tokens of which two may be valid at once.

import * as api from "./api.js";
import { state } from "./app.js";
import { confirm, say } from "./dialog.js";
import { h, replace } from "./dom.js";
import { when } from "./format.js";
import { t } from "./i18n.js";
import { copyButton } from "./uploads.js";

export async function show(main) {
  const keys = h("div", {});
  const tokens = h("div", { class: "stack" });
  const said = h("p", { class: "said", role: "status" });
  const name = h("input", { id: "key-name", maxlength: "255", placeholder: t("keys.name") });
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.access"))), h("p", { class: "muted" }, t("access.you", { name: state.session.credential })), said,
    h("h2", {}, t("keys.title")),
    h("form", { class: "toolbar", onsubmit: (event) => { event.preventDefault(); run(() => makeKey()); } }, h("label", { class: "unseen", for: "key-name" }, t("keys.name")), name, h("button", { class: "primary", type: "submit" }, t("keys.make"))),
    keys, h("h2", {}, t("tokens.title")), h("p", { class: "muted" }, t("tokens.help")), tokens);
  await refresh();

  async function run(work) {
    replace(said);
    try {
      await work();
      await refresh();
    } catch (error) {
      replace(said, error.message);
    }
  }

  async function refresh() {
    const [ofKeys, ofTokens] = await Promise.all([api.rest("GET", "/Keys?PageSize=100"), api.rest("GET", "/AuthTokens")]);
    const rows = ofKeys.keys.map((key) => h("tr", {}, h("td", { dir: "auto" }, key.friendly_name || "–"), h("td", {}, h("code", {}, key.sid)), h("td", {}, when(key.date_created)),
      h("td", { class: "end" }, key.sid === state.session.credential ? h("span", { class: "muted" }, t("keys.this")) : h("button", { type: "button", class: "danger", onclick: () => revoke(key) }, t("button.revoke")))));
    replace(keys, rows.length ? table([t("keys.name"), "SID", t("column.made"), ""], rows) : h("p", { class: "muted" }, t("keys.none")));
    const two = ofTokens.auth_tokens.length > 1;
    replace(tokens, table([t("tokens.role"), t("column.made")], ofTokens.auth_tokens.map((token) => h("tr", {}, h("td", {}, t(`tokens.${token.role}`)), h("td", {}, when(token.date_created))))),
      h("div", { class: "actions spread" }, two
        ? [h("button", { type: "button", class: "primary", onclick: () => sure(t("tokens.promote"), t("tokens.promote.ask"), () => api.rest("POST", "/AuthTokens/Promote", {})) }, t("tokens.promote")),
          h("button", { type: "button", class: "danger", onclick: () => sure(t("tokens.drop"), t("tokens.drop.ask"), () => api.rest("DELETE", "/AuthTokens/Secondary")) }, t("tokens.drop"))]
        : h("button", { type: "button", onclick: () => run(async () => told((await api.rest("POST", "/AuthTokens/Secondary", {})).secondary_auth_token)) }, t("tokens.make"))));
  }

  async function sure(title, text, work) {
    if (await confirm(title, h("p", {}, text), title, true)) await run(work);
  }

  async function makeKey() {
    const key = await api.rest("POST", "/Keys", { FriendlyName: name.value });
    name.value = "";
    await told(key.secret, key.sid);
  }

  const told = (secret, sid) => say(t("secret.title"), [h("p", {}, t("secret.help")), sid ? h("p", { class: "url" }, h("code", {}, sid), copyButton(sid)) : null, h("p", { class: "url" }, h("code", {}, secret), copyButton(secret))]);
  const revoke = (key) => sure(t("button.revoke"), t("keys.revoke.ask", { name: key.friendly_name || key.sid }), () => api.rest("DELETE", `/Keys/${key.sid}`));
}

export function table(heads, rows) {
  return h("div", { class: "tablebox", tabindex: "0" }, h("table", {}, h("thead", {}, h("tr", {}, heads.map((head) => (head ? h("th", { scope: "col" }, head) : h("td", {}))))), h("tbody", {}, rows)));
}

// Signing in: at the start, and over the page when a session ends while something is under way.

import * as api from "./api.js";
import { h, replace } from "./dom.js";
import { LANGUAGES, choose, language, t } from "./i18n.js";

function form(done, problem) {
  const said = h("p", { class: "problem", role: "alert" }, problem || "");
  const sid = h("input", { id: "sid", name: "username", autocomplete: "username", required: true, spellcheck: "false", autocapitalize: "off" });
  const secret = h("input", { id: "secret", name: "password", type: "password", autocomplete: "current-password", required: true });
  const button = h("button", { class: "primary wide", type: "submit" }, t("signin.button"));
  const element = h("form", { onsubmit: async (event) => {
    event.preventDefault();
    button.disabled = true;
    replace(said);
    try {
      await api.begin({ sid: sid.value.trim(), secret: secret.value.trim() });
      await done();
    } catch (error) {
      replace(said, error.status === 401 ? t("signin.wrong") : error.status === 429 ? t("signin.many") : error.message);
      secret.select();
    } finally {
      button.disabled = false;
    }
  } },
  h("label", { for: "sid" }, t("signin.sid")), sid,
  h("label", { for: "secret" }, t("signin.secret")), secret,
  said, button,
  h("p", { class: "muted" }, t("signin.help")));
  return element;
}

export function signInForm(done, problem) {
  const languages = h("p", { class: "languages" }, Object.entries(LANGUAGES).map(([tag, name]) =>
    h("button", { type: "button", class: "quiet", lang: tag, "aria-pressed": String(tag === language), onclick: () => choose(tag) }, name)));
  return h("main", { class: "signin" },
    h("img", { src: "/console/page/icon.svg", alt: "", width: "56", height: "56" }),
    h("h1", {}, t("title")), h("p", { class: "lead" }, t("lead")),
    form(done, problem), languages);
}

// Ends when somebody has signed in; nothing of the page is lost meanwhile.
export function overlay() {
  return new Promise((resolve) => {
    const dialog = h("dialog", { class: "over", "aria-labelledby": "over-title" }, h("h2", { id: "over-title" }, t("signin.over")), h("p", {}, t("signin.over.help")));
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.append(form(async () => { dialog.close(); dialog.remove(); resolve(); }));
    document.body.append(dialog);
    dialog.showModal();
  });
}

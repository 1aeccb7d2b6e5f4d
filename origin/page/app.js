// The frame of the page: who is signed in, where one is, and which view is shown.

import * as api from "./api.js";
import { h, replace, toast } from "./dom.js";
import { icon } from "./icons.js";
import { LANGUAGES, choose, language, load, t } from "./i18n.js";
import { signInForm, overlay } from "./signin.js";

// Assets come with the page; the other views when they are first wanted.
const VIEWS = {
  assets: () => import("./assets.js"),
  deployments: () => import("./deployments.js"),
  access: () => import("./access.js"),
  usage: () => import("./usage.js"),
  domains: () => import("./domains.js"),
  audit: () => import("./audit.js"),
  edges: () => import("./edges.js"),
};

export const state = { session: null, services: [], service: null, environment: null };
export const place = () => ({ service: state.service.sid, environment: state.environment.sid });

const root = document.getElementById("app");
let leave = null;
let main;

function theme(next) {
  if (next) localStorage.setItem("skerry.theme", next);
  const chosen = localStorage.getItem("skerry.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}

function isDark() {
  const chosen = localStorage.getItem("skerry.theme");
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

async function start() {
  theme();
  await Promise.all([load(), api.shareSecret()]);
  document.title = t("title");
  const link = new URLSearchParams(location.hash.slice(1)).get("link");
  if (link) history.replaceState(null, "", "/");
  api.onSignedOut(() => overlay());
  let problem = null;
  if (link) await api.begin({ link }).catch((error) => { problem = error; });
  const session = await api.isSignedIn().catch(() => null);
  if (session) return open(session);
  replace(root, signInForm(async () => open(await api.get("/console/session")), problem && (problem.status === 401 ? t("signin.link") : problem.message)));
}

async function open(session) {
  state.session = session;
  state.services = (await api.get("/console/services")).services;
  const wanted = sessionStorage.getItem("skerry.environment");
  state.service = state.services.find((service) => service.environments.some((one) => one.sid === wanted)) || state.services[0] || null;
  const environments = state.service ? state.service.environments : [];
  state.environment = environments.find((one) => one.sid === wanted) || environments[0] || null;
  frame();
  show();
}

// After something changed what services or environments there are.
export async function reload() {
  await open(state.session);
}

function frame() {
  const views = Object.keys(VIEWS).filter((name) => name !== "edges" || state.session.is_operator);
  main = h("main", { id: "main", tabindex: "-1" });
  const skip = h("a", { class: "skip", href: "#main", onclick: (event) => { event.preventDefault(); main.focus(); } }, t("skip"));
  const nav = h("nav", { "aria-label": t("nav.label") }, views.map((name) =>
    h("a", { href: `#/${name}`, data: { view: name } }, icon(name), h("span", {}, t(`nav.${name}`)))));
  const languages = h("select", { "aria-label": t("language"), onchange: (event) => choose(event.target.value) },
    Object.entries(LANGUAGES).map(([tag, name]) => h("option", { value: tag, selected: tag === language, lang: tag }, name)));
  const toTheme = h("button", { class: "quiet square", type: "button", "aria-label": t("theme"), title: t("theme"), onclick: () => theme(isDark() ? "light" : "dark") }, icon("theme"));
  const out = h("button", { class: "quiet square", type: "button", "aria-label": t("signout"), title: t("signout"), onclick: async () => { await api.end(); location.replace("/"); } }, icon("out"));
  replace(root, skip,
    h("header", { class: "top" }, h("a", { class: "brand", href: "#/assets" }, h("img", { src: "/console/page/icon.svg", alt: "", width: "28", height: "28" }), h("span", {}, "Skerry")), places(), h("div", { class: "tools" }, languages, toTheme, out)),
    h("div", { class: "columns" }, nav, main));
}

function places() {
  const options = state.services.flatMap((service) => service.environments.map((environment) => {
    const name = state.services.length > 1 || service.environments.length > 1 ? `${service.unique_name} / ${environment.unique_name}` : environment.unique_name;
    return h("option", { value: environment.sid, selected: state.environment && environment.sid === state.environment.sid }, name);
  }));
  if (!options.length) return h("span", { class: "muted" }, t("place.none"));
  return h("label", { class: "place" }, h("span", { class: "unseen" }, t("place")), h("select", { onchange: (event) => {
    sessionStorage.setItem("skerry.environment", event.target.value);
    state.service = state.services.find((service) => service.environments.some((one) => one.sid === event.target.value));
    state.environment = state.service.environments.find((one) => one.sid === event.target.value);
    show();
  } }, options));
}

async function show() {
  if (!main) return;
  const wanted = location.hash.replace(/^#\//, "").split("/")[0];
  const name = wanted in VIEWS ? wanted : "assets";
  for (const link of root.querySelectorAll("nav a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${t(`nav.${name}`)} – ${t("title")}`;
  if (leave) leave();
  leave = null;
  // A view that comes late, because another was wanted meanwhile, draws where nobody looks.
  const page = h("div", { class: "view" });
  replace(main, page);
  try {
    const view = await VIEWS[name]();
    if (!state.environment && ["assets", "deployments", "domains", "usage"].includes(name)) {
      replace(page, h("h1", {}, t(`nav.${name}`)), h("p", { class: "empty" }, t("place.none.help")));
      return;
    }
    const left = (await view.show(page)) || null;
    if (page.isConnected) leave = left;
    else if (left) left();
  } catch (error) {
    replace(page, h("h1", {}, t(`nav.${name}`)), h("p", { class: "problem", role: "alert" }, error.status === 404 ? t("error.missing") : error.message),
      h("p", {}, h("button", { type: "button", onclick: show }, t("button.retry"))));
  }
}

addEventListener("hashchange", show);
addEventListener("unhandledrejection", (event) => {
  if (event.reason instanceof api.ApiError) {
    event.preventDefault();
    toast(event.reason.message);
  }
});
start();

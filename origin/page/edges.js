// The edges of the cluster, for an operator: who is connected, how far each is, and what it says of itself.

import { table } from "./access.js";
import * as api from "./api.js";
import { h, replace } from "./dom.js";
import { number, percent, size, span, when } from "./format.js";
import { t } from "./i18n.js";

const INTERVAL = 3000;

export async function show(main) {
  const box = h("div", { class: "stack" });
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.edges"))), box);
  const refresh = async () => {
    const { edges, revision } = await api.get("/console/edges");
    const status = (edge) => (!edge.is_connected ? (edge.counts ? "away" : "left") : edge.is_current ? "current" : "behind");
    replace(box, h("p", { class: "muted" }, t("edges.revision", { revision: number(revision) })),
      edges.length ? table([t("edges.name"), t("edges.status"), t("edges.shows"), t("edges.lag"), t("edges.requests"), t("edges.connections"), t("edges.memory"), t("edges.disk"), t("edges.program"), t("edges.enrolled")], edges.map((edge) => h("tr", {},
        h("td", { dir: "auto" }, edge.name, h("div", { class: "muted" }, edge.edge_id)),
        h("td", {}, h("span", { class: `badge ${status(edge) === "current" ? "public" : "protected"}` }, t(`edges.${status(edge)}`))),
        h("td", {}, number(edge.revision)), h("td", {}, number(Math.max(0, revision - edge.revision))), ...figures(edge.figures), h("td", {}, edge.program || "–", edge.figures ? h("div", { class: "muted" }, t("edges.up", { span: span(edge.figures.uptime_seconds) })) : null), h("td", {}, when(edge.enrolled_at))))) : h("p", { class: "empty" }, t("edges.none")));
  };
  await refresh();
  const timer = setInterval(() => { if (!document.hidden) refresh().catch(() => {}); }, INTERVAL);
  return () => clearInterval(timer);
}

// Nothing is known of an edge that did not connect since the origin started.
function figures(said) {
  if (!said) return ["–", "–", "–", "–"].map((none) => h("td", {}, none));
  const hits = said.hit_ratio === null ? null : h("div", { class: "muted" }, t("edges.hits", { ratio: percent(said.hit_ratio) }));
  return [h("td", {}, number(said.requests), hits), h("td", {}, number(said.connections)), h("td", {}, size(said.memory_bytes)), h("td", {}, size(said.disk_bytes))];
}

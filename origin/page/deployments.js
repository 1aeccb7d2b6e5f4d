// What was live when: deployments, what differs between two builds, going back, and taking a build to another environment.

import * as api from "./api.js";
import { place, state } from "./app.js";
import { confirm } from "./dialog.js";
import { h, replace, toast } from "./dom.js";
import { exact, liveness, number, shows, when } from "./format.js";
import { t } from "./i18n.js";

export async function show(main) {
  const said = h("p", { class: "said", role: "status" });
  const list = h("div", { class: "stack" });
  const difference = h("section", { class: "difference", "aria-live": "polite" });
  replace(main, h("div", { class: "title" }, h("h1", {}, t("nav.deployments"))), said, list, difference);
  await refresh();

  async function refresh() {
    const { deployments } = await api.get(api.query("/console/deployments", place()));
    if (!deployments.length) return replace(list, h("p", { class: "empty" }, t("deployments.none")));
    const others = state.service.environments.filter((one) => one.sid !== state.environment.sid);
    const builds = [...new Map(deployments.filter((one) => one.build_sid).map((one) => [one.build_sid, one])).values()];
    const options = (chosen) => builds.map((one, index) => h("option", { value: one.build_sid, selected: index === chosen }, `${exact(one.created_at)} · ${short(one.build_sid)}`));
    const from = h("select", { id: "from" }, options(Math.min(1, builds.length - 1)));
    const to = h("select", { id: "to" }, options(0));
    const first = deployments[0];
    replace(list,
      builds.length > 1 ? h("div", { class: "toolbar" },
        h("button", { type: "button", class: "primary", onclick: () => deploy({ build: "" }, t("deployments.rolledback")) }, t("deployments.rollback")),
        h("span", { class: "gap" }),
        h("label", { for: "from" }, t("deployments.from")), from, h("label", { for: "to" }, t("deployments.to")), to,
        h("button", { type: "button", onclick: () => compare(from.value, to.value) }, t("deployments.compare"))) : null,
      h("ol", { class: "timeline" }, deployments.map((one) => h("li", { class: one === first ? "now" : "" },
        h("div", {}, h("time", { datetime: new Date(one.created_at * 1000).toISOString(), title: exact(one.created_at) }, when(one.created_at)),
          one === first ? h("span", { class: "badge public" }, t("detail.live")) : null),
        h("div", { class: "muted" }, one.build_sid ? h("code", {}, short(one.build_sid)) : t("deployments.off"), ` · ${t("deployments.revision", { revision: number(one.revision) })}`),
        h("details", {}, h("summary", {}, liveness(one.edges)), h("ul", {}, one.edges.map((edge) => h("li", {}, `${edge.name}: `, shows(edge))))),
        h("div", { class: "actions" },
          one.build_sid && one.build_sid !== first.build_sid ? h("button", { type: "button", onclick: () => deploy({ build: one.build_sid }, t("deployments.deployed")) }, t("deployments.again")) : null,
          one.build_sid && others.length ? promote(one, others) : null)))));
    return undefined;
  }

  function promote(one, others) {
    return h("select", { "aria-label": t("deployments.promote"), onchange: async (event) => {
      const target = others.find((other) => other.sid === event.target.value);
      event.target.value = "";
      if (target && (await confirm(t("deployments.promote"), h("p", {}, t("deployments.promote.ask", { name: target.unique_name })), t("deployments.promote.yes")))) {
        await deploy({ build: one.build_sid, environment: target.sid }, t("deployments.promoted", { name: target.unique_name }));
      }
    } }, h("option", { value: "" }, t("deployments.promote")), others.map((other) => h("option", { value: other.sid }, other.unique_name)));
  }

  async function deploy(what, text) {
    replace(said, t("deployments.working"));
    try {
      const deployed = await api.call("POST", "/console/deploy", { json: { ...place(), ...what } });
      replace(said, text);
      await api.live(deployed, (receipts, isOver) => { if (isOver) replace(said, `${text} ${liveness(receipts)}`); });
      await refresh();
    } catch (error) {
      replace(said, error.message);
      toast(error.message);
    }
  }

  async function compare(from, to) {
    const fetched = async (build) => (await api.rest("GET", `/Services/${state.service.sid}/Builds/${build}`)).asset_versions;
    const [before, after] = await Promise.all([fetched(from), fetched(to)]);
    const old = new Map(before.map((one) => [one.path, one]));
    const now = new Map(after.map((one) => [one.path, one]));
    const groups = {
      added: after.filter((one) => !old.has(one.path)),
      changed: after.filter((one) => old.has(one.path) && old.get(one.path).sid !== one.sid),
      removed: before.filter((one) => !now.has(one.path)),
    };
    const total = groups.added.length + groups.changed.length + groups.removed.length;
    replace(difference, h("h2", {}, t("difference.title")), total ? Object.entries(groups).filter(([, items]) => items.length).map(([name, items]) => [
      h("h3", {}, t(`difference.${name}`, { count: number(items.length) })),
      h("ul", { class: `paths ${name}` }, items.slice(0, 500).map((one) => h("li", { dir: "auto" }, one.path, " ", h("span", { class: "muted" }, t(`visibility.${one.visibility}`))))),
    ]) : h("p", {}, t("difference.none")));
  }
}

const short = (sid) => `${sid.slice(0, 10)}…`;

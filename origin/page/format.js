// Numbers, sizes and times as people of the page's language write them.

import { language, t } from "./i18n.js";

export const number = (value) => new Intl.NumberFormat(language).format(value);

export function size(bytes) {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 ? 0 : 1;
  return new Intl.NumberFormat(language, { style: "unit", unit: units[unit], unitDisplay: unit === 0 ? "long" : "short", maximumFractionDigits: digits }).format(value);
}

export function when(value) {
  const date = typeof value === "number" ? new Date(value * 1000) : new Date(value);
  const seconds = (date - Date.now()) / 1000;
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  if (Math.abs(seconds) < 60) return t("time.now");
  if (Math.abs(seconds) < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (Math.abs(seconds) < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  if (Math.abs(seconds) < 7 * 86400) return relative.format(Math.round(seconds / 86400), "day");
  return new Intl.DateTimeFormat(language, { dateStyle: "medium" }).format(date);
}

export const exact = (value) =>
  new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" }).format(typeof value === "number" ? new Date(value * 1000) : new Date(value));

// "live on 3 of 3 edges, 41 ms"
export function liveness(receipts) {
  if (!receipts.length) return t("live.none");
  const live = receipts.filter((receipt) => receipt.is_live);
  const total = receipts[receipts.length - 1].edge_count;
  const times = live.map((receipt) => receipt.milliseconds).filter((time) => time !== null);
  const values = { live: live.length, total, time: times.length ? Math.max(...times) : "" };
  const others = ["refusing", "may_serve_older"].map((state) => [state, receipts.filter((receipt) => receipt.state === state).length]);
  return [times.length ? t("live.time", values) : t("live.count", values), ...others.filter(([, count]) => count).map(([state, count]) => t(`live.${state}`, { count: number(count) }))].join(" · ");
}

// What one edge shows of a revision.
export function shows(receipt) {
  if (receipt.state === "live") return receipt.milliseconds === null ? t("edge.live") : t("edge.time", { time: number(receipt.milliseconds) });
  return t(receipt.state === "refusing" ? "edge.refusing" : "edge.behind");
}

// Seconds as days and hours, or hours and minutes.
export function span(seconds) {
  const [days, hours, minutes] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60];
  const unit = (value, name) => new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  return days ? `${unit(days, "day")} ${unit(hours, "hour")}` : hours ? `${unit(hours, "hour")} ${unit(minutes, "minute")}` : unit(minutes, "minute");
}

export const percent = (ratio) => new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 1 }).format(ratio);

// Icons: strokes on a grid of 24.

const PATHS = {
  plus: "M12 5v14M5 12h14",
  search: "M11 4a7 7 0 1 0 0 14a7 7 0 0 0 0-14M20 20l-4-4",
  copy: "M9 9h10v11H9zM5 15V4h10",
  check: "M5 13l4 4L19 7",
  close: "M6 6l12 12M18 6L6 18",
  retry: "M4 12a8 8 0 1 1 2.500 5.800M4 20v-5h5",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  download: "M12 4v11M7 11l5 5l5-5M5 20h14",
  image: "M4 5h16v14H4zM4 16l5-5l4 4l3-3l4 4M15 9h.01",
  audio: "M9 18V6l10-2v12M9 18a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0M19 16a2.500 2.500 0 1 1-5 0a2.500 2.500 0 0 1 5 0",
  video: "M4 6h11v12H4zM15 10l5-3v10l-5-3",
  text: "M6 3h8l4 4v14H6zM9 12h6M9 16h6M9 8h2",
  file: "M6 3h8l4 4v14H6zM14 3v4h4",
  assets: "M4 7h6l2 2h8v10H4z",
  deployments: "M12 4v16M6 10l6-6l6 6M5 20h14",
  access: "M15 4a5 5 0 1 0-3.500 8.600L4 20v0h4v-2h2v-2h2l1-1.400A5 5 0 0 0 15 4M16 8h.01",
  usage: "M5 20V10M12 20V4M19 20v-7",
  domains: "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18M3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
  audit: "M5 4h14v16H5zM9 9h6M9 13h6M9 17h3",
  edges: "M12 4a2 2 0 1 0 0 4a2 2 0 0 0 0-4M5 16a2 2 0 1 0 0 4a2 2 0 0 0 0-4M19 16a2 2 0 1 0 0 4a2 2 0 0 0 0-4M12 8v4M12 12l-6 4M12 12l6 4",
  warn: "M12 4l9 16H3zM12 10v4M12 17h.01",
  out: "M10 4H5v16h5M14 8l4 4l-4 4M18 12H9",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
};
const NAMESPACE = "http://www.w3.org/2000/svg";

export function icon(name) {
  const svg = document.createElementNS(NAMESPACE, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(NAMESPACE, "path");
  path.setAttribute("d", PATHS[name] || PATHS.file);
  svg.append(path);
  return svg;
}

export function ofType(type) {
  const family = type.split("/")[0];
  if (["image", "audio", "video", "text"].includes(family)) return family;
  return /json|xml|yaml|toml|javascript/.test(type) ? "text" : "file";
}

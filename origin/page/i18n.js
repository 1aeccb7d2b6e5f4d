// The language of the page: the browser's, unless somebody switched. Every text is in one catalogue for each language.

export const LANGUAGES = { en: "English", ja: "日本語" };
let texts = {};
export let language = "en";

export async function load() {
  const chosen = localStorage.getItem("skerry.language");
  const first = (navigator.languages || [navigator.language]).map((tag) => tag.slice(0, 2)).find((tag) => tag in LANGUAGES);
  language = chosen in LANGUAGES ? chosen : first || "en";
  texts = await (await fetch(`/console/page/${language}.json`)).json();
  document.documentElement.lang = language;
}

export function choose(next) {
  localStorage.setItem("skerry.language", next);
  location.reload();
}

export function t(key, values = {}) {
  const text = texts[key] || key;
  return text.replace(/\{(\w+)\}/g, (hole, name) => (name in values ? values[name] : hole));
}

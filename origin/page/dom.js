// Elements from values. Text is only ever text: nothing here makes markup of a string.

export function h(tag, properties, ...children) {
  const element = document.createElement(tag);
  set(element, properties || {});
  add(element, children);
  return element;
}

export function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "value" || name === "checked" || name === "indeterminate") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
}

export function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

export function replace(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

// Something that is said once to everybody, screen readers included.
let region;
export function toast(text, action) {
  if (!region) {
    region = h("div", { class: "toasts", role: "status", "aria-live": "polite" });
    document.body.append(region);
  }
  const item = h("div", { class: "toast" }, h("span", {}, text));
  const gone = () => item.remove();
  if (action) item.append(h("button", { class: "quiet", onclick: () => { gone(); action.run(); } }, action.label));
  item.append(h("button", { class: "quiet", "aria-label": "×", onclick: gone }, "×"));
  region.append(item);
  setTimeout(gone, action ? 20000 : 7000);
}

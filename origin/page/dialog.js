// Questions: the browser's own modal dialogs, which keep the focus and close with Escape.

import { h } from "./dom.js";
import { t } from "./i18n.js";

let count = 0;

// Ends with the value of the button that was pressed, or null.
export function ask(title, content, buttons) {
  count += 1;
  const id = `dialog-${count}`;
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": id });
    const close = (value) => {
      dialog.close();
      dialog.remove();
      resolve(value);
    };
    dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(null); });
    dialog.append(
      h("h2", { id }, title),
      h("div", { class: "dialog-body", tabindex: "0" }, content),
      h("div", { class: "actions" }, buttons.map((button) =>
        h("button", { class: button.class || "", type: "button", data: button.first ? { first: "" } : {}, onclick: () => close(button.value) }, button.label))),
    );
    document.body.append(dialog);
    dialog.showModal();
    const first = dialog.querySelector("[data-first]") || dialog.querySelector("input, .actions button:last-child");
    if (first) first.focus();
  });
}

export const say = (title, content) => ask(title, content, [{ label: t("button.close"), value: null, class: "primary" }]);

export const confirm = (title, content, label, danger) =>
  ask(title, content, [{ label: t("button.cancel"), value: false }, { label, value: true, class: danger ? "danger" : "primary" }]);

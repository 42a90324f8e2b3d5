// The window on top of the chat. It is drawn anew only when the app changed it, so what is being typed stays.
import { el } from "./dom.js";
import { blocks } from "./blocks.js";

const dialog = document.getElementById("modal");
let drawn = "";
let filled = new Map();

function draw(view, use, act) {
  const close = () => act("close", { view: view.id });
  const submit = async (event) => {
    event.preventDefault();
    document.activeElement?.blur();
    await act("submit", { view: view.id, filled: [...filled.values()] });
  };
  const form = el("form", { method: "dialog", onsubmit: submit, novalidate: true },
    el("header", {}, el("h2", {}, view.title.text), el("button", { type: "button", class: "x", "aria-label": "Close this window", onclick: close }, "✕")),
    el("div", { class: "blocks" }, ...blocks(view.blocks, use)),
    el("footer", {},
      el("button", { type: "button", class: "button", onclick: close }, view.close?.text ?? "Close"),
      view.submit ? el("button", { class: "button primary" }, view.submit.text) : null));
  dialog.replaceChildren(form);
  dialog.oncancel = (event) => { event.preventDefault(); close(); };
}

export function showModal(view, useOf, act) {
  if (!view) {
    drawn = "";
    if (dialog.open) dialog.close();
    return;
  }
  const now = JSON.stringify([view.id, view.hash, view.errors]);
  if (now === drawn) return;
  if (!drawn.startsWith(JSON.stringify([view.id]).slice(0, -1))) filled = new Map();
  const use = useOf(filled);
  draw(view, use, act);
  drawn = now;
  if (!dialog.open) dialog.showModal();
}

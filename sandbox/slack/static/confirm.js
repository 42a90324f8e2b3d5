// The question before a button that asks one.
import { el } from "./dom.js";
import { textOf } from "./mrkdwn.js";

const dialog = document.getElementById("confirm");

export function confirmed(question, names) {
  return new Promise((resolve) => {
    const answer = (yes) => () => { dialog.close(); resolve(yes); };
    const kind = question.style === "danger" ? "button danger" : "button primary";
    dialog.replaceChildren(el("form", { method: "dialog" },
      el("header", {}, el("h2", {}, question.title.text)),
      el("div", { class: "blocks" }, el("div", {}, textOf(question.text, names))),
      el("footer", {},
        el("button", { type: "button", class: "button", onclick: answer(false) }, question.deny.text),
        el("button", { type: "button", class: kind, onclick: answer(true) }, question.confirm.text))));
    dialog.oncancel = answer(false);
    dialog.showModal();
  });
}

// The elements that hold a value. In a window's input block they keep it until Submit; elsewhere a choice is sent at once.
import { el } from "./dom.js";
import { textOf } from "./mrkdwn.js";

const TYPED = {
  plain_text_input: "text", email_text_input: "email", url_text_input: "url", number_input: "number",
  datepicker: "date", timepicker: "time", datetimepicker: "datetime-local",
};
const DIRECTORY = /^(multi_)?(users|channels|conversations)_select$/;

export const isControl = (item) => item.type in TYPED || /_select$|^checkboxes$|^radio_buttons$/.test(item.type);

const stateOf = (item, block, use) => use.values?.[block.block_id]?.[item.action_id] ?? {};

function changed(item, block, use, given) {
  use.filled?.set(`${block.block_id}\n${item.action_id}`, { block_id: block.block_id, action_id: item.action_id, given });
  if (block.type !== "input" || block.dispatch_action) use.select(block, item, given);
}

function typed(item, block, use) {
  const state = stateOf(item, block, use);
  const now = state.value ?? state.selected_date ?? state.selected_time ?? "";
  const read = (event) => {
    const text = event.target.value;
    changed(item, block, use, item.type === "datetimepicker" && text ? String(Date.parse(text) / 1000) : text);
  };
  const shared = { id: use.id, placeholder: item.placeholder?.text, maxlength: item.max_length, value: now, onchange: read };
  if (item.multiline) return el("textarea", { ...shared, rows: 4 });
  const limits = { min: item.min_value, max: item.max_value, step: item.is_decimal_allowed ? "any" : null };
  return el("input", { ...shared, ...limits, type: TYPED[item.type] });
}

function optionsOf(item, use) {
  const kind = DIRECTORY.exec(item.type)?.[2];
  const entry = (text, value) => ({ text: { type: "plain_text", text }, value });
  if (kind === "users") return Object.entries(use.people).map(([id, name]) => entry(name, id));
  if (kind) return use.channels.map((each) => entry("#" + each.name, each.id));
  return item.options ?? (item.option_groups ?? []).flatMap((group) => group.options);
}

function chosenValues(state) {
  const plain = state.selected_user ?? state.selected_channel ?? state.selected_conversation;
  const several = state.selected_users ?? state.selected_channels ?? state.selected_conversations;
  const options = state.selected_options ?? (state.selected_option ? [state.selected_option] : []);
  return plain ? [plain] : several ?? options.map((each) => each.value);
}

function menu(item, block, use) {
  const several = item.type.startsWith("multi_");
  const chosen = chosenValues(stateOf(item, block, use));
  const list = el("select", { id: use.id, multiple: several, "aria-label": item.placeholder?.text, onchange: (event) => {
    const values = [...event.target.selectedOptions].map((each) => each.value).filter(Boolean);
    changed(item, block, use, several ? values : values[0] ?? null);
  } });
  if (!several) list.append(el("option", { value: "" }, item.placeholder?.text ?? "Choose…"));
  const entry = (each) => el("option", { value: each.value, selected: chosen.includes(each.value) }, textOf(each.text, use.names));
  if (item.option_groups) {
    list.append(...item.option_groups.map((group) => el("optgroup", { label: group.label.text }, ...group.options.map(entry))));
  } else list.append(...optionsOf(item, use).map(entry));
  return list;
}

function choices(item, block, use) {
  const several = item.type === "checkboxes";
  const chosen = chosenValues(stateOf(item, block, use));
  const box = el("div", { class: "choices" });
  const read = () => {
    const values = [...box.querySelectorAll("input:checked")].map((each) => each.value);
    changed(item, block, use, several ? values : values[0]);
  };
  box.append(...item.options.map((each) => el("label", {},
    el("input", { type: several ? "checkbox" : "radio", name: `c-${block.block_id}`, value: each.value, checked: chosen.includes(each.value), onchange: read }),
    el("span", {}, textOf(each.text, use.names), each.description ? el("span", { class: "soft" }, " — ", textOf(each.description, use.names)) : null))));
  return box;
}

function search(item, block, use) {
  const state = stateOf(item, block, use);
  const picked = (state.selected_options ?? [state.selected_option]).filter(Boolean);
  const list = el("ul", { class: "found", role: "listbox", hidden: true });
  const least = item.min_query_length ?? 3;
  let timer = null;
  const open = (shown) => {
    list.hidden = !shown;
    field.setAttribute("aria-expanded", String(shown));
  };
  const pick = (option) => {
    field.value = option.text.text;
    open(false);
    const several = item.type.startsWith("multi_");
    changed(item, block, use, several ? [...picked.map((each) => each.value), option.value] : option.value);
  };
  const entry = (option) => el("li", {}, el("button", { type: "button", role: "option", onclick: () => pick(option) },
    el("strong", {}, option.text.text), option.description ? el("span", { class: "soft" }, " " + option.description.text) : null));
  const ask = async () => {
    const options = await use.suggest(block, item, field.value);
    const groups = Array.isArray(options) ? options : [];
    list.replaceChildren(...(groups.length ? groups.map(entry) : [el("li", { class: "soft" }, "Nothing found.")]));
    open(true);
  };
  const field = el("input", {
    id: use.id, type: "search", role: "combobox", "aria-expanded": "false", autocomplete: "off",
    placeholder: item.placeholder?.text ?? "Type to search…", value: picked.map((each) => each.text.text).join(", "),
    oninput: () => { clearTimeout(timer); open(false); if (field.value.length >= least) timer = setTimeout(ask, 200); },
    onfocus: () => { if (!least && list.hidden) ask(); },
    onkeydown: (event) => { if (event.key === "Escape") open(false); if (event.key === "ArrowDown") list.querySelector("button")?.focus(); },
  });
  const left = (event) => event.currentTarget.contains(event.relatedTarget) || open(false);
  return el("div", { class: "search", onfocusout: left }, field, list);
}

export function control(item, block, use) {
  if (item.type in TYPED) return typed(item, block, use);
  if (item.type.endsWith("external_select")) return search(item, block, use);
  if (item.type === "checkboxes" || item.type === "radio_buttons") return choices(item, block, use);
  return menu(item, block, use);
}

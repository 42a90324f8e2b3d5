// Block Kit as DOM: `use` tells what to do when somebody uses an element.
import { el } from "./dom.js";
import { mrkdwn, textOf } from "./mrkdwn.js";
import { control, isControl } from "./inputs.js";

function button(element, block, use) {
  const kind = element.style ? `button ${element.style}` : "button";
  const press = () => use.press(block, element);
  return el("button", { type: "button", class: kind, onclick: press, "aria-label": element.accessibility_label }, textOf(element.text, use.names));
}

function overflow(element, block, use) {
  const menu = el("select", { class: "overflow", "aria-label": "More", onchange: (event) => {
    const chosen = element.options[event.target.selectedIndex - 1];
    event.target.selectedIndex = 0;
    if (chosen.url) window.open(chosen.url, "_blank", "noopener");
    use.select(block, element, chosen.value);
  } });
  menu.append(el("option", {}, "⋯"), ...element.options.map((each) => el("option", {}, textOf(each.text, use.names))));
  return menu;
}

function element(item, block, use) {
  if (item.type === "button") return button(item, block, use);
  if (item.type === "image") return el("img", { src: item.image_url, alt: item.alt_text, class: "thumb" });
  if (item.type === "overflow") return overflow(item, block, use);
  if (item.type === "mrkdwn" || item.type === "plain_text") return textOf(item, use.names);
  if (isControl(item)) return control(item, block, use);
  return el("em", {}, `(${item.type})`);
}

function richText(parts, use) {
  return parts.map((part) => {
    if (part.type === "text") return part.style?.bold ? el("strong", {}, part.text) : part.text;
    if (part.type === "link") return el("a", { href: part.url, target: "_blank", rel: "noopener" }, part.text ?? part.url);
    if (part.type === "user") return "@" + (use.names[part.user_id] ?? part.user_id);
    const tag = { rich_text_list: "ul", rich_text_preformatted: "pre", rich_text_quote: "blockquote" }[part.type] ?? "div";
    const children = part.elements.map((each) => (tag === "ul" ? el("li", {}, ...richText([each], use)) : richText([each], use)[0]));
    return el(tag, {}, ...children);
  });
}

const RENDER = {
  divider: () => el("hr"),
  header: (block, use) => el("h3", {}, textOf(block.text, use.names)),
  image: (block) => el("figure", {}, block.title ? el("figcaption", {}, block.title.text) : null, el("img", { src: block.image_url, alt: block.alt_text })),
  context: (block, use) => el("div", { class: "context" }, ...block.elements.map((each) => el("span", {}, element(each, block, use)))),
  actions: (block, use) => el("div", { class: "actions" }, ...block.elements.map((each) => element(each, block, use))),
  markdown: (block, use) => mrkdwn(block.text, use.names),
  rich_text: (block, use) => el("div", {}, ...richText(block.elements, use)),
  section: (block, use) => el("div", { class: "section" },
    el("div", { class: "body" },
      block.text ? el("div", {}, textOf(block.text, use.names)) : null,
      block.fields ? el("div", { class: "fields" }, ...block.fields.map((each) => el("div", {}, textOf(each, use.names)))) : null),
    block.accessory ? element(block.accessory, block, use) : null),
  input: (block, use) => {
    const id = `i-${block.block_id}`;
    const complaint = use.errors?.[block.block_id];
    const group = ["checkboxes", "radio_buttons"].includes(block.element.type);
    const label = [textOf(block.label, use.names), block.optional ? el("span", { class: "soft" }, " (optional)") : null];
    return el(group ? "fieldset" : "div", { class: complaint ? "input wrong" : "input" },
      group ? el("legend", {}, ...label.filter(Boolean)) : el("label", { for: id }, ...label.filter(Boolean)),
      control(block.element, block, { ...use, id }),
      block.hint ? el("p", { class: "soft" }, block.hint.text) : null,
      complaint ? el("p", { class: "complaint", role: "alert" }, "⚠ " + complaint) : null);
  },
};

export function blocks(list, use) {
  return list.map((block) => el("div", { class: "block" }, (RENDER[block.type] ?? (() => el("em", {}, block.type)))(block, use)));
}

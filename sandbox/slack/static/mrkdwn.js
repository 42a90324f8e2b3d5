// Slack's mrkdwn as DOM nodes.
import { el } from "./dom.js";

const EMOJI = {
  white_check_mark: "✅", warning: "⚠️", x: "❌", moneybag: "💰", email: "📧", hourglass: "⌛", tada: "🎉",
  mag: "🔍", bell: "🔔", soccer: "⚽", clipboard: "📋", link: "🔗", information_source: "ℹ️", wave: "👋",
  hourglass_flowing_sand: "⏳", no_entry: "⛔", calendar: "📅", chart_with_upwards_trend: "📈", envelope: "✉️",
  large_green_circle: "🟢", large_yellow_circle: "🟡", red_circle: "🔴", bust_in_silhouette: "👤", pencil2: "✏️",
};
const MARKS = { "*": "strong", _: "em", "~": "s" };
const TOKEN = new RegExp(
  [
    "`([^`\\n]+)`",
    "<([^<>]+)>",
    ":([a-z0-9_+-]+):",
    "(?<![\\w*_~])([*_~])(?=\\S)(.*?\\S)\\4(?![\\w*_~])",
  ].join("|"),
);

export const unescape = (text) => text.replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&");
const emoji = (text) => text.replace(/:([a-z0-9_+-]+):/g, (all, name) => EMOJI[name] ?? all);

function control(body, names) {
  const [target, label] = body.split(/\|(.*)/s);
  if (target.startsWith("@")) return el("span", { class: "mention" }, "@" + (names[target.slice(1)] ?? target.slice(1)));
  if (target.startsWith("#")) return el("span", { class: "mention" }, "#" + (label ?? names[target.slice(1)] ?? target.slice(1)));
  if (target.startsWith("!date^")) return dated(target, label);
  if (target.startsWith("!")) return el("span", { class: "mention" }, "@" + target.slice(1));
  if (!/^(https?|mailto|tel):/.test(target)) return `<${unescape(body)}>`;
  return link(unescape(target), unescape(label ?? target.replace(/^mailto:/, "")));
}

function dated(target, fallback) {
  const [, seconds, format] = target.split("^");
  const when = new Date(Number(seconds) * 1000);
  const day = when.toLocaleDateString(undefined, { dateStyle: "medium" });
  const time = when.toLocaleTimeString(undefined, { timeStyle: "short" });
  const text = format.replace(/\{date[a-z_]*\}/g, day).replace(/\{time[a-z_]*\}/g, time);
  return el("time", { datetime: when.toISOString(), title: fallback }, text);
}

function link(href, label) {
  return el("a", { href, target: "_blank", rel: "noopener noreferrer" }, label);
}

function inline(text, names) {
  const nodes = [];
  let rest = text;
  for (let match = TOKEN.exec(rest); match; match = TOKEN.exec(rest)) {
    if (match.index) nodes.push(unescape(rest.slice(0, match.index)));
    const [all, code, body, name, mark, marked] = match;
    if (code) nodes.push(el("code", {}, unescape(code)));
    else if (body) nodes.push(control(body, names));
    else if (name) nodes.push(EMOJI[name] ?? all);
    else nodes.push(el(MARKS[mark], {}, ...inline(marked, names)));
    rest = rest.slice(match.index + all.length);
  }
  if (rest) nodes.push(unescape(rest));
  return nodes;
}

function lines(text, names, out) {
  let quote = null;
  text.split("\n").forEach((line, number) => {
    const quoted = /^(&gt;|>) ?/.exec(line);
    if (quoted) {
      quote ??= out.appendChild(el("blockquote"));
      quote.append(...inline(line.slice(quoted[0].length), names), el("br"));
      return;
    }
    if (number && !quote) out.append(el("br"));
    quote = null;
    out.append(...inline(line, names));
  });
}

export function mrkdwn(text, names) {
  const out = el("span", { class: "mrkdwn" });
  for (const part of text.split(/(```[\s\S]+?```)/)) {
    if (part.startsWith("```") && part.length > 6) out.append(el("pre", {}, unescape(part.slice(3, -3).trim())));
    else if (part) lines(part.replace(/^\n/, ""), names, out);
  }
  return out;
}

export function textOf(object, names) {
  if (!object) return "";
  return object.type === "mrkdwn" ? mrkdwn(object.text, names) : emoji(object.text);
}

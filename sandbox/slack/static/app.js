// The chat page: polls what one person sees, and sends what they do.
import { el } from "./dom.js";
import { mrkdwn } from "./mrkdwn.js";
import { blocks } from "./blocks.js";
import { showModal } from "./modal.js";
import { confirmed } from "./confirm.js";

const $ = (id) => document.getElementById(id);
const root = new URL(document.querySelector("script[src]").src.replace(/static\/app\.js$/, ""));
let seen = null;
let place = location.hash.slice(1) || (sessionStorage.getItem("place") ?? "");
let user = sessionStorage.getItem("user") ?? "";

function toast(words) {
  $("toast").textContent = words;
  $("toast").hidden = !words;
  if (words) setTimeout(() => { if ($("toast").textContent === words) $("toast").hidden = true; }, 7000);
}

async function act(kind, what) {
  const response = await fetch(new URL("ui/act", root), {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ kind, user: seen.user, ...what }),
  });
  const answer = response.ok ? await response.json() : { error: `HTTP ${response.status}` };
  if (answer.error) toast(`That did not work: ${answer.error}`);
  await refresh();
  return answer;
}

const people = () => Object.fromEntries(seen.people.map((each) => [each.id, each.name]));
// What an id in a text stands for; ids of people and of channels never meet.
const names = () => ({ ...people(), ...Object.fromEntries(seen.channels.map((each) => [each.id, each.name])) });

function useOf(where, values, more = {}) {
  return {
    people: people(), names: names(), channels: seen.channels.filter((each) => !each.direct), values, ...more,
    press: async (block, item) => {
      if (item.confirm && !(await confirmed(item.confirm, names()))) return;
      if (item.url) window.open(item.url, "_blank", "noopener");
      await act("press", { ...where, block_id: block.block_id, action_id: item.action_id });
    },
    select: async (block, item, given) => {
      if (item.confirm && !(await confirmed(item.confirm, names()))) return;
      await act("select", { ...where, block_id: block.block_id, action_id: item.action_id, given });
    },
    suggest: async (block, item, query) =>
      (await act("suggest", { ...where, block_id: block.block_id, action_id: item.action_id, query })).options,
  };
}

function face(id, name) {
  const letters = name.split(/\s+/).map((word) => word[0]).filter((sign) => /\p{L}/u.test(sign)).slice(0, 2).join("").toUpperCase();
  const hue = [...id].reduce((sum, letter) => sum + letter.charCodeAt(0) * 7, 0) % 360;
  const shown = el("span", { class: "face", "aria-hidden": "true" }, letters);
  shown.style.setProperty("--hue", hue);
  return shown;
}

function messageNode(message) {
  const name = people()[message.user] ?? message.user;
  const where = { channel: message.channel, ts: message.ts };
  const clock = new Date(Number(message.ts) * 1000).toLocaleTimeString(undefined, { timeStyle: "short" });
  const body = message.blocks.length ? blocks(message.blocks, useOf(where, message.values)) : [el("div", { class: "block" }, mrkdwn(message.text, names()))];
  const shortcuts = message.ephemeral ? [] : seen.shortcuts.map((each) =>
    el("button", { type: "button", class: "shortcut", title: each.description, onclick: () => act("shortcut", { ...where, callback_id: each.callback_id }) }, each.name));
  return el("article", { class: ["message", message.ephemeral && "ephemeral", message.thread && "reply"].filter(Boolean).join(" "), "data-ts": message.ts },
    face(message.user, name),
    el("div", { class: "content" },
      message.ephemeral ? el("p", { class: "only" }, "Only visible to you") : null,
      el("p", { class: "by" }, el("strong", {}, name), message.user === seen.app ? el("span", { class: "badge" }, "APP") : null, el("time", {}, clock), ...shortcuts),
      ...body,
      ...message.files.map((each) => el("a", { class: "file", href: new URL(`files/${each.id}`, root) }, "📎 " + each.name)),
      message.edited ? el("span", { class: "soft" }, "(edited)") : null));
}

function showTimeline() {
  const timeline = $("timeline");
  const atEnd = timeline.scrollHeight - timeline.scrollTop - timeline.clientHeight < 80;
  const wanted = place === "home" ? [] : seen.messages.filter((each) => each.channel === place);
  const old = new Map([...timeline.children].map((node) => [node.dataset.key, node]));
  const nodes = wanted.map((each) => {
    const key = JSON.stringify(each);
    const node = old.get(key) ?? messageNode(each);
    node.dataset.key = key;
    return node;
  });
  if (place === "home") nodes.push(homeNode(old));
  const same = nodes.length === timeline.children.length && nodes.every((node, number) => node === timeline.children[number]);
  if (!same) timeline.replaceChildren(...nodes);
  if (!nodes.length) timeline.append(el("p", { class: "soft empty" }, "Nothing here yet. Type a command below."));
  if (!same && (atEnd || nodes.length < 3)) timeline.scrollTop = timeline.scrollHeight;
}

function homeNode(old) {
  const key = `home ${seen.user} ${seen.home?.hash}`;
  if (old.has(key)) return old.get(key);
  const node = el("div", { class: "home" });
  node.dataset.key = key;
  if (seen.home) node.append(...blocks(seen.home.blocks, useOf({ view: seen.home.id }, seen.home.state.values)));
  else node.append(el("p", { class: "soft" }, "The app has not published this tab yet."));
  return node;
}

function showChannels() {
  const entry = (id, label) => el("button", { type: "button", "aria-current": id === place ? "page" : null, onclick: () => go(id) }, label);
  $("channels").replaceChildren(
    ...seen.channels.map((each) => entry(each.id, each.direct ? "✉ Messages with the app" : "# " + each.name + (each.private ? " · private" : ""))),
    entry("home", "⌂ App home"));
  const here = seen.channels.find((each) => each.id === place);
  document.querySelector("#heading h1").textContent = place === "home" ? "App home" : here?.direct ? "Messages with the app" : "# " + here?.name;
  $("composer").hidden = place === "home";
}

function showPeople() {
  $("who").replaceChildren(...seen.people.filter((each) => !each.is_bot).map((each) => el("option", { value: each.id, selected: each.id === seen.user }, each.name)));
}

function showProblems() {
  const box = $("problems");
  box.hidden = !seen.problems.length;
  box.querySelector("summary").textContent = `⚠ Slack would complain (${seen.problems.length})`;
  box.querySelector("ul").replaceChildren(...seen.problems.map((each) => el("li", {}, each)));
}

function show(state) {
  seen = state;
  user = seen.user;
  if (place !== "home" && !seen.channels.some((each) => each.id === place)) place = seen.channels[0].id;
  showPeople();
  showChannels();
  showTimeline();
  showProblems();
  showModal(seen.modal, (filled) => seen.modal && useOf({ view: seen.modal.id }, seen.modal.state.values, { filled, errors: seen.modal.errors }), act);
}

async function go(id) {
  place = id;
  sessionStorage.setItem("place", id);
  $("timeline").replaceChildren();
  show(seen);
  if (id === "home") await act("home", {});
}

let asking = null;
export function refresh() {
  asking ??= ask().finally(() => { asking = null; });
  return asking;
}

async function ask() {
  const address = new URL("ui/state", root);
  address.search = new URLSearchParams({ user, since: seen ? `${seen.user}/${seen.version}` : "" });
  try {
    const response = await fetch(address);
    if (response.status === 200) show(await response.json());
  } catch {
    toast("The stand-in does not answer. Is the demo still running?");
  }
}

function hints() {
  const typed = $("typed").value;
  const fitting = typed.startsWith("/") && !typed.includes(" ") ? seen.commands.filter((each) => each.command.startsWith(typed)) : [];
  $("hints").hidden = !fitting.length;
  $("hints").replaceChildren(...fitting.map((each) => el("li", {}, el("button", { type: "button", onclick: () => {
    $("typed").value = each.command + " ";
    $("hints").hidden = true;
    $("typed").focus();
  } }, el("strong", {}, each.command), ` ${each.usage_hint ?? ""} `, el("span", { class: "soft" }, each.description)))));
}

$("typed").addEventListener("input", hints);
$("who").addEventListener("change", async (event) => {
  user = event.target.value;
  sessionStorage.setItem("user", user);
  $("timeline").replaceChildren();
  await refresh();
});
$("composer").addEventListener("submit", async (event) => {
  event.preventDefault();
  const typed = $("typed").value.trim();
  if (!typed) return;
  $("typed").value = "";
  $("hints").hidden = true;
  toast("");
  if (!typed.startsWith("/")) return void (await act("say", { channel: place, text: typed }));
  const [, command, text] = /^(\S+)\s*([\s\S]*)$/.exec(typed);
  await act("command", { channel: place, command, text });
});
await refresh();
setInterval(refresh, 700);

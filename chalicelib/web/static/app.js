// What every page has: times that stay true, themes, keys, in-place forms, lists that keep themselves current.
import { keepCurrent } from "./live.js";

const root = document.documentElement;
root.classList.add("js");

// ---- times: `3 min ago` in the reader's own zone ----
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
const absolute = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

export function relative(milliseconds) {
  const seconds = Math.abs(milliseconds) / 1000;
  for (const [size, unit] of UNITS) {
    if (seconds < size) continue;
    const count = Math.floor(seconds / size);
    return milliseconds > 0 ? `in ${count} ${unit}` : `${count} ${unit} ago`;
  }
  return "now";
}

export function tellTimes(within = document) {
  for (const time of within.querySelectorAll("time[datetime]:not([data-fixed])")) {
    const instant = Date.parse(time.dateTime);
    const text = relative(instant - Date.now());
    if (time.textContent !== text) time.textContent = text;
    if (!time.dataset.told) {
      time.dataset.told = "1";
      time.title = absolute.format(instant);
    }
  }
}
tellTimes();
setInterval(tellTimes, 1000);

// Filters that say nothing stay out of the address.
document.addEventListener("htmx:configRequest", (event) => {
  const parameters = event.detail.parameters;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});
document.addEventListener("htmx:afterSwap", (event) => tellTimes(event.target));

// A choice that filters the page sends its form.
document.addEventListener("change", (event) => event.target.matches("[data-submit]") && event.target.form.requestSubmit());
addEventListener("submit", (event) => {
  if (event.target.id !== "filters" || event.target.hasAttribute("hx-get")) return;
  for (const field of event.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => document.querySelectorAll("#filters :disabled").forEach((field) => (field.disabled = false)));

// ---- theme ----
const dark = () =>
  (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
document.querySelector("[data-theme-toggle]")?.addEventListener("click", () => {
  root.dataset.theme = dark() ? "light" : "dark";
  document.cookie = `nightshift_theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
});

// ---- toasts ----
export function toast(text, href = "", bad = false) {
  const box = document.createElement("div");
  box.className = bad ? "toast bad" : "toast";
  box.append(text);
  if (href) {
    const link = document.createElement("a");
    link.href = href;
    link.textContent = "Watch it";
    box.append(" ", link);
  }
  document.getElementById("toasts").append(box);
  setTimeout(() => box.remove(), bad ? 9000 : 6000);
}

// ---- start, pause and resume without leaving the list ----
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("[data-inplace]")) return;
  event.preventDefault();
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } });
    const said = await answer.json();
    if (!answer.ok) toast(said.detail || "That did not work.", "", true);
    else if (said.run_id) toast("Started.", `${root.dataset.root}admin/run/${said.run_id}`);
    else toast(said.enabled ? "Resumed." : "Paused.");
  } catch {
    toast("The server did not answer.", "", true);
  } finally {
    button.disabled = false;
  }
  document.dispatchEvent(new Event("nightshift:changed"));
});

const list = document.querySelector("[data-live]");
if (list) keepCurrent(list, tellTimes);

// ---- keyboard ----
const help = document.getElementById("help");
document.querySelector("[data-help]")?.addEventListener("click", () => help.showModal());
let before = "";
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("#q") && ["Enter", "ArrowDown"].includes(event.key)) {
    event.preventDefault(); // from the search into its results
    return step(1);
  }
  if (event.target.closest("input, select, textarea, dialog, .xterm")) return;
  const act = KEYS[before + event.key] ?? KEYS[event.key];
  before = event.key === "g" ? "g" : "";
  if (act) {
    event.preventDefault();
    act();
  }
});
const go = (path) => () => location.assign(root.dataset.root + path);
const KEYS = {
  "/": () => document.querySelector("input[type=search]")?.focus(),
  "?": () => help.showModal(),
  gt: go("admin/task"),
  gr: go("admin/runs"),
  gd: go("admin/schedule"),
  gs: go("admin/stats"),
  "[": () => document.querySelector("main a[rel=prev]")?.click(),
  "]": () => document.querySelector("main a[rel=next]")?.click(),
  j: () => step(1),
  k: () => step(-1),
  s: () => document.querySelector("#start input:not([type=hidden]), #start select, #start textarea, #start button")?.focus(),
};

function step(by) {
  const rows = [...document.querySelectorAll("tr[data-row]")];
  const now = rows.findIndex((row) => row.classList.contains("chosen"));
  const next = rows[Math.min(Math.max(now + by, 0), rows.length - 1)];
  if (!next) return;
  rows[now]?.classList.remove("chosen");
  next.classList.add("chosen");
  next.querySelector("a.title")?.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

// A refused form: begin at what is wrong.
(document.querySelector("[aria-invalid=true]") ?? document.getElementById("trouble"))?.focus();

// One run's page: its terminal, what it says while it works, and what one does with it afterwards.
import { tellTimes, toast } from "./app.js";
import { Gantt } from "./gantt.js";
import { castOf, replay } from "./replay.js";
import { RunStream } from "./stream.js";
import { Output } from "./terminal.js";

const box = document.getElementById("console");
let summary = document.getElementById("summary");
const find = (name) => box.querySelector(`[data-${name}]`);
const WORDS = { connecting: "connecting", live: "live", polling: "polling", lost: "connection lost", finished: "finished" };

box.classList.add("ready");
const output = new Output(find("terminal"));
const gantt = new Gantt();
let lines = 0;
let wanted = Number((location.hash.match(/^#L(\d+)$/) ?? [])[1] ?? 0);
let refreshing = null;

const stream = new RunStream(
  { id: box.dataset.run, run: box.dataset.runUrl, log: box.dataset.logUrl, websocket: box.dataset.websocket },
  take,
  tellState,
);
stream.start();

function take(events) {
  const said = events.filter((event) => event.type === "line");
  for (const event of said) event.n = ++lines;
  if (said.length) output.add(said);
  find("lines").textContent = `${lines.toLocaleString()} line${lines === 1 ? "" : "s"}`;
  if (wanted && lines >= wanted) {
    const line = wanted;
    wanted = 0;
    output.terminal.write("", () => output.show(line));
  }
  for (const event of events) {
    if (event.type === "progress") showProgress(event);
    if (event.type === "step") gantt.take(event);
  }
  const last = events.at(-1);
  const known = summary.querySelector("[data-status]").dataset.status;
  if (last.type === "done" ? known !== last.status : events.some((e) => e.type === "status" && e.status !== known)) refresh();
  else if (!stream.done) gantt.draw(summary);
  if (last.type === "done") finished();
}

// ---- the summary comes from the server, whenever the status changes ----
async function refresh() {
  refreshing ??= (async () => {
    await new Promise((resolve) => setTimeout(resolve, 60));
    try {
      const answer = await fetch(box.dataset.pageUrl, { headers: { "X-Fragment": "parts", Accept: "text/html" } });
      if (!answer.ok) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const id of ["summary", "details"]) exchange(document.getElementById(id), fresh.getElementById(id));
      summary = document.getElementById("summary");
      tellTimes(document.getElementById("main"));
      if (!stream.done) gantt.draw(summary);
      const status = summary.querySelector("[data-status]").dataset.status;
      document.title = document.title.replace(/, \w+ ·/, `, ${status} ·`);
    } catch {
      setTimeout(refresh, 3000);
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

// Whoever has come to a button by keyboard stays on it.
function exchange(old, fresh) {
  const name = (element) => `${element.tagName} ${element.getAttribute("href") ?? element.textContent.trim()}`;
  const focused = old.contains(document.activeElement) && name(document.activeElement);
  old.replaceWith(fresh);
  if (focused) [...fresh.querySelectorAll("a, button, summary, [tabindex]")].find((e) => name(e) === focused)?.focus({ preventScroll: true });
}

function showProgress(event) {
  const bar = summary.querySelector("[data-progress-box]");
  if (!bar) return;
  bar.hidden = false;
  bar.querySelector("[data-progress]").value = event.fraction;
  bar.querySelector("[data-percent]").textContent = `${Math.round(event.fraction * 100)} %`;
  bar.querySelector("[data-progress-text]").textContent = event.message ?? "";
}

function tellState(state) {
  const light = document.querySelector("[data-connection]");
  light.className = `live needs-js ${state === "live" ? "" : state === "finished" || state === "connecting" ? "off" : state}`;
  light.querySelector("[data-connection-text]").textContent = WORDS[state];
}

function clock() {
  const head = summary.querySelector("[data-status]");
  const shown = summary.querySelector("[data-clock]");
  if (!head || !shown || head.dataset.finished) return;
  const seconds = Math.max(0, Math.floor((Date.now() - Date.parse(head.dataset.started || head.dataset.created)) / 1000));
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  shown.textContent = (parts[0] ? [parts[0], ...parts.slice(1).map(two)] : [parts[1], two(parts[2])]).join(":");
}
const two = (number) => String(number).padStart(2, "0");
clock();
setInterval(clock, 1000);

document.addEventListener("submit", async (event) => {
  if (!event.target.querySelector("[data-stop]")) return;
  event.preventDefault();
  const button = event.submitter;
  button.disabled = true;
  button.lastChild.textContent = " Stopping";
  const answer = await fetch(event.target.action, { method: "POST", headers: { Accept: "application/json" } });
  if (!answer.ok) toast((await answer.json()).detail, "", true);
});

// ---- the toolbar ----
const pressed = (button, on) => button.setAttribute("aria-pressed", String(on));
output.onScroll = (end) => pressed(find("follow"), end);
find("follow").onclick = () => {
  output.follow(!output.following);
  pressed(find("follow"), output.following);
};
find("times").onclick = () => {
  output.times = !output.times;
  pressed(find("times"), output.times);
  output.redraw();
};
find("find").addEventListener("input", (event) => output.find(event.target.value));
find("find").addEventListener("keydown", (event) => event.key === "Enter" && output.find(event.target.value, event.shiftKey));
find("permalink").onclick = async () => {
  const line = output.topLine();
  history.replaceState(null, "", `#L${line}`);
  await copy(location.href, `A link to line ${line} is copied.`);
};
find("copy").onclick = () => copy(output.selectionOrAll(), "Copied.");
addEventListener("hashchange", () => {
  const line = Number((location.hash.match(/^#L(\d+)$/) ?? [])[1] ?? 0);
  if (line) output.show(line);
});

async function copy(text, words) {
  try {
    await navigator.clipboard.writeText(text);
    toast(words);
  } catch {
    toast("The browser does not allow copying here.", "", true);
  }
}

box.addEventListener("click", (event) => {
  const kind = event.target.closest("[data-save]")?.dataset.save;
  if (!kind) return;
  const text = kind === "cast" ? castOf(output.events, output.terminal, document.title) : output.text(kind === "ansi");
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = `${box.dataset.task}-${box.dataset.run}.${kind === "ansi" ? "ansi.txt" : kind}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  event.target.closest("details").open = false;
});

// ---- afterwards ----
let stopReplay = null;
function finished() {
  output.shrink();
  if (lines > 1) find("replay").hidden = find("replay-box").hidden = false;
}
find("replay").onclick = () => {
  const events = stopReplay ? stopReplay() : null;
  stopReplay = null;
  pressed(find("replay"), false);
  if (events) return;
  pressed(find("replay"), true);
  stopReplay = replay(output, Number(find("speed").value), () => ((stopReplay = null), pressed(find("replay"), false)));
};

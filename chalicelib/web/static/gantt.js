// The steps of a running run as a timeline; a finished one's comes drawn from the server.
const SVG = "http://www.w3.org/2000/svg";
const MOST = 100; // steps within steps
const ICON = { running: "running", completed: "completed", failed: "failed", stopped: "stopped", skipped: "skipped" };

export class Gantt {
  constructor() {
    this.steps = [];
  }

  // A step event; the first step of a later attempt begins a new timeline.
  take(event) {
    const at = Date.parse(event.at);
    if (event.status === "running" && event.index === 0 && !event.depth) this.steps = [];
    const step = this.steps.findLast((other) => other.name === event.name);
    if (event.status === "running" && step) Object.assign(step, { status: "running", to: null, duration: undefined });
    else if (event.status === "running") this.steps.push({ name: event.name, depth: event.depth ?? 0, status: "running", from: at, to: null });
    else if (step) Object.assign(step, { status: event.status, to: at, duration: event.duration });
  }

  draw(within) {
    const card = within.querySelector("[data-steps]");
    if (!card || !this.steps.length) return;
    const begin = this.steps[0].from;
    const whole = Math.max(...this.steps.map((step) => step.to ?? Date.now())) - begin || 1;
    card.hidden = false;
    // Of a loop over thousands only what is at work, what failed and the newest are drawn.
    const late = this.steps.length - MOST;
    const shown = this.steps.filter((step, place) => !step.depth || place >= late || step.status !== "completed");
    const list = card.querySelector("ol");
    list.classList.toggle("scrolled", shown.length > 24);
    list.replaceChildren(...shown.map((step) => row(step, begin, whole)));
  }
}

function row(step, begin, whole) {
  const item = document.createElement("li");
  if (step.depth) item.className = `deep-${Math.min(step.depth, 4)}`;
  const name = document.createElement("span");
  name.className = "gantt-name";
  const state = document.createElement("span");
  state.className = `status ${step.status}`;
  state.append(drawn("svg", { class: "icon", "aria-hidden": "true" }, drawn("use", { href: `#i-${ICON[step.status] ?? "task"}` })));
  if (step.depth) name.title = step.name;
  name.append(state, ` ${step.depth ? step.name.split("/").slice(-2).join("/") : step.name}`);
  const x = Math.round((1000 * (step.from - begin)) / whole);
  const width = Math.max(4, Math.round((1000 * ((step.to ?? Date.now()) - step.from)) / whole));
  const line = drawn(
    "svg",
    { viewBox: "0 0 1000 10", preserveAspectRatio: "none", "aria-hidden": "true" },
    drawn("rect", { class: step.status, x, y: 0, width, height: 10 }),
  );
  const took = document.createElement("span");
  took.className = "num";
  took.textContent = step.duration ?? "…";
  item.append(name, line, took);
  return item;
}

function drawn(name, attributes, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

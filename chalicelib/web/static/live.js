// A list that keeps itself current: the page is asked for its list again, and only rows that differ are exchanged,
// so that focus, hover and what is being read stay where they are.
const BUSY_MS = 2000;
const CALM_MS = 6000;
const MOST_MS = 60000;

export function keepCurrent(list, tellTimes) {
  const state = document.querySelector("[data-live-state]");
  let wait = CALM_MS;
  let timer = 0;
  let ended = list.dataset.live === "tasks"; // the strips are due: at first, and when a run has ended
  const strips = new Map(); // as last seen, by key: for rows that a search brings back

  function keepStrips() {
    for (const row of list.querySelectorAll("tr[data-key]")) {
      const cell = row.querySelector("[data-keep]");
      if (cell?.firstElementChild) strips.set(row.dataset.key, cell.cloneNode(true));
      else if (cell && strips.has(row.dataset.key)) cell.replaceWith(strips.get(row.dataset.key).cloneNode(true));
    }
  }

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const part = list.dataset.live === "tasks" && !ended ? "rows" : "list";
      const asked = location.href;
      const answer = await fetch(asked, { headers: { "X-Fragment": part, Accept: "text/html" } });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (location.href === asked) {
        ended = exchange(list, fresh.body, part === "rows") && part === "rows";
        keepStrips();
        tellTimes(list);
      }
      state?.classList.remove("lost");
      wait = list.querySelector(".running, .queued") ? BUSY_MS : CALM_MS;
      if (ended) wait = 50;
    } catch {
      state?.classList.add("lost");
      wait = Math.min(wait * 2, MOST_MS);
    }
    timer = setTimeout(refresh, wait);
  }

  document.addEventListener("visibilitychange", refresh);
  document.addEventListener("nightshift:changed", () => setTimeout(refresh, 150));
  let place = null;
  document.addEventListener("htmx:beforeSwap", () => (place = placeIn(list)));
  document.addEventListener("htmx:afterSwap", () => {
    keepStrips();
    backTo(place, list);
  });
  timer = setTimeout(refresh, ended ? 30 : list.querySelector(".running, .queued") ? BUSY_MS : CALM_MS);
}

// Which row has the focus, and going back to it, or to the first, when the rows are others.
function placeIn(list) {
  const row = list.contains(document.activeElement) && document.activeElement.closest("tr[data-key]");
  return row ? row.dataset.key : null;
}

function backTo(key, list) {
  if (key === null) return;
  const rows = [...list.querySelectorAll("tr[data-row]")];
  const row = rows.find((other) => other.dataset.key === key) ?? rows[0];
  row?.classList.add("chosen");
  row?.querySelector("a.title")?.focus({ preventScroll: true });
}

// Whether a task's count of runs has changed. `partial`: cells marked data-keep are empty in what came.
function exchange(list, fresh, partial) {
  const keys = (within) => [...within.querySelectorAll("[data-key]")].map((row) => row.dataset.key).join("\n");
  if (keys(list) !== keys(fresh)) {
    const kept = partial ? new Map([...list.querySelectorAll("tr[data-key]")].map((row) => [row.dataset.key, row.querySelector("[data-keep]")])) : null;
    for (const row of kept ? fresh.querySelectorAll("tr[data-key]") : []) {
      const cell = kept.get(row.dataset.key);
      if (cell) row.querySelector("[data-keep]")?.replaceWith(cell);
    }
    const place = placeIn(list);
    list.replaceChildren(...fresh.childNodes);
    backTo(place, list);
    return partial;
  }
  let changed = false;
  const now = new Map([...list.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of fresh.querySelectorAll("[data-key]")) {
    const old = now.get(row.dataset.key);
    if (look(old, partial) === look(row, partial)) continue;
    changed ||= old.dataset.runs !== row.dataset.runs;
    if (partial) {
      const cell = old.querySelector("[data-keep]");
      if (cell) row.querySelector("[data-keep]").replaceWith(cell);
    }
    row.classList.toggle("chosen", old.classList.contains("chosen"));
    const focused = old.contains(document.activeElement) ? [...old.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
    old.replaceWith(row);
    if (focused >= 0) row.querySelectorAll("a, button")[focused]?.focus({ preventScroll: true });
  }
  return changed;
}

// A row as it reads, without what changes by itself (times) or is not there (kept cells).
function look(row, partial) {
  const copy = row.cloneNode(true);
  copy.classList.remove("chosen");
  for (const time of copy.querySelectorAll("time")) time.replaceChildren(time.dateTime), time.removeAttribute("title"), delete time.dataset.told;
  if (partial) copy.querySelector("[data-keep]")?.replaceChildren();
  return `${copy.className} ${copy.innerHTML}`;
}

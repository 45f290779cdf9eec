// A list that keeps itself current: the page is asked for its list again, and only rows that differ are exchanged,
// so that focus, hover and what is being read stay where they are.
const BUSY_MS = 2000;
const CALM_MS = 6000;
const MOST_MS = 60000;

export function keepCurrent(list, tellTimes) {
  const state = document.querySelector("[data-live-state]");
  let wait = CALM_MS;
  let timer = 0;

  async function refresh() {
    clearTimeout(timer);
    if (document.hidden) return;
    try {
      const asked = location.href;
      const answer = await fetch(asked, { headers: { "X-Fragment": "list", Accept: "text/html" } });
      if (answer.status === 401) return location.reload();
      if (!answer.ok) throw new Error(String(answer.status));
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (location.href === asked) {
        exchange(list, fresh.body);
        tellTimes(list);
      }
      state?.classList.remove("lost");
      wait = list.querySelector(".running, .queued") ? BUSY_MS : CALM_MS;
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
  document.addEventListener("htmx:afterSwap", () => backTo(place, list));
  timer = setTimeout(refresh, list.querySelector(".running, .queued") ? BUSY_MS : CALM_MS);
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

function exchange(list, fresh) {
  const keys = (within) => [...within.querySelectorAll("[data-key]")].map((row) => row.dataset.key).join("\n");
  if (keys(list) !== keys(fresh)) {
    const place = placeIn(list);
    list.replaceChildren(...fresh.childNodes);
    return backTo(place, list);
  }
  const now = new Map([...list.querySelectorAll("[data-key]")].map((row) => [row.dataset.key, row]));
  for (const row of fresh.querySelectorAll("[data-key]")) {
    const old = now.get(row.dataset.key);
    if (look(old) === look(row)) continue;
    row.classList.toggle("chosen", old.classList.contains("chosen"));
    const focused = old.contains(document.activeElement) ? [...old.querySelectorAll("a, button")].indexOf(document.activeElement) : -1;
    old.replaceWith(row);
    if (focused >= 0) row.querySelectorAll("a, button")[focused]?.focus({ preventScroll: true });
  }
}

// A row as it reads, without what changes by itself: times.
function look(row) {
  const copy = row.cloneNode(true);
  copy.classList.remove("chosen");
  for (const time of copy.querySelectorAll("time")) time.replaceChildren(time.dateTime), time.removeAttribute("title"), delete time.dataset.told;
  return `${copy.className} ${copy.innerHTML}`;
}

// A finished run once more, at its own pace; and as an asciicast for other players.
const LONGEST_MS = 2000; // a pause is not made longer than that

// Plays the output's lines; gives a function that ends it at once, with everything drawn.
export function replay(output, speed, onEnd) {
  const events = [...output.events];
  let at = 0;
  let timer = 0;
  const end = () => {
    clearTimeout(timer);
    output.add(events.slice(at));
    at = events.length;
    onEnd();
    return events;
  };
  const step = () => {
    const batch = [events[at++]];
    while (at < events.length && gap(events[at - 1], events[at]) / speed < 8) batch.push(events[at++]);
    output.add(batch);
    if (at >= events.length) return onEnd();
    timer = setTimeout(step, Math.min(gap(events[at - 1], events[at]), LONGEST_MS) / speed);
  };
  output.clear();
  output.follow(true);
  step();
  return end;
}

const gap = (one, next) => Math.max(0, Date.parse(next.at) - Date.parse(one.at));

// Version 2 of the asciicast format.
export function castOf(events, terminal, title) {
  const began = events.length ? Date.parse(events[0].at) : 0;
  const head = { version: 2, width: terminal.cols, height: terminal.rows, timestamp: Math.floor(began / 1000), title };
  const rows = events.map((event) => JSON.stringify([(Date.parse(event.at) - began) / 1000, "o", `${event.text}\r\n`]));
  return [JSON.stringify(head), ...rows].join("\n") + "\n";
}

// The terminal: a run's lines in xterm.js, numbered, under a policy that allows no inline style.
import { Terminal } from "./xterm.mjs";
import { FitAddon } from "./addon-fit.mjs";
import { SearchAddon } from "./addon-search.mjs";

const KEPT = 8000; // lines that are drawn at a time: a hundred thousand would cost hundreds of MB. Scrolling past them draws others.
const BEFORE = 300; // lines drawn above the one that is wanted
const THEME = {
  background: "#14161c", foreground: "#d9dce3", cursor: "#14161c", selectionBackground: "#3a4668",
  black: "#6b7280", red: "#ff8a84", green: "#7fd39b", yellow: "#e8c06a", blue: "#8fb4ff", magenta: "#d6a4ff", cyan: "#78d3dd", white: "#d9dce3",
  brightBlack: "#9aa1ae", brightRed: "#ffaba5", brightGreen: "#a3e5b8", brightYellow: "#f3d68b", brightBlue: "#b3ccff", brightMagenta: "#e5c6ff", brightCyan: "#a5e6ec", brightWhite: "#ffffff",
};
const GREY = "\x1b[38;5;246m";
const RESET = "\x1b[0m";
const LEVELS = { warning: "\x1b[33m", error: "\x1b[31m", critical: "\x1b[31m", debug: GREY };

// xterm.js writes <style> elements and style attributes, which `style-src 'self'` forbids. What it writes goes into
// constructed style sheets and the elements' style objects instead: the same rules, and the policy stays strict.
const make = document.createElement.bind(document);
document.createElement = (name, options) => {
  const element = make(name.toLowerCase() === "style" ? "meta" : name, options);
  if (name.toLowerCase() === "style") {
    const sheet = new CSSStyleSheet();
    document.adoptedStyleSheets.push(sheet);
    Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text), get: () => "" });
  }
  return element;
};
const setAttribute = Element.prototype.setAttribute;
Element.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else setAttribute.call(this, name, value);
};

export class Output {
  constructor(element) {
    this.element = element;
    this.events = []; // every line: {n, at, text, stream, level}
    this.drawn = 0; // how many of them are drawn, or lie before those that are
    this.fresh = true; // nothing is drawn yet
    this.times = false;
    this.following = true;
    this.onScroll = () => {};
    const family = getComputedStyle(document.documentElement).getPropertyValue("--mono");
    this.terminal = new Terminal({
      disableStdin: true, cursorBlink: false, cursorInactiveStyle: "none", convertEol: true, scrollback: KEPT, fontFamily: family,
      fontSize: 12.5, lineHeight: 1.25, theme: THEME, minimumContrastRatio: 4.5, screenReaderMode: false, tabStopWidth: 4,
    });
    this.fit = new FitAddon();
    this.search = new SearchAddon();
    this.terminal.loadAddon(this.fit);
    this.terminal.loadAddon(this.search);
    this.terminal.open(element);
    this.fit.fit();
    new ResizeObserver(() => this.fit.fit()).observe(element);
    this.terminal.textarea.setAttribute("aria-label", "Output of the run");
    this.terminal.textarea.readOnly = true;
    // Tab leaves the terminal, and Ctrl+C copies.
    this.terminal.attachCustomKeyEventHandler((event) => event.key !== "Tab" && !((event.ctrlKey || event.metaKey) && "cfa".includes(event.key)));
    element.addEventListener("wheel", () => requestAnimationFrame(() => this.#turn()), { passive: true });
    this.terminal.onScroll(() => this.#scrolled());
    for (const kind of ["pointerup", "keyup"]) element.addEventListener(kind, () => setTimeout(() => this.#turn(), 50));
  }

  add(events) {
    const atEnd = this.drawn === this.events.length;
    for (const event of events) this.events.push(event);
    if (atEnd) this.#write(this.events.length);
  }

  // Draw on, up to a number of lines.
  #write(end) {
    const buffer = this.terminal.buffer.active;
    let text = "";
    for (const event of this.events.slice(this.drawn, end)) {
      // The break stands before each line, so that no empty one follows the last.
      text += (this.fresh ? "" : "\r\n") + this.#row(event);
      this.fresh = false;
    }
    this.drawn = end;
    const place = buffer.viewportY;
    this.terminal.write(text, () => {
      if (this.following) this.terminal.scrollToBottom();
      else this.terminal.scrollToLine(place);
    });
  }

  // Draw other lines: those from an index on.
  #drawFrom(index) {
    this.terminal.reset();
    this.fresh = true;
    this.drawn = Math.max(0, index);
    this.drawing = true;
    this.#write(Math.min(this.events.length, this.drawn + KEPT));
    this.terminal.write("", () => (this.drawing = false));
  }

  #row(event) {
    const colour = event.stream === "stderr" ? "\x1b[38;5;217m" : event.stream === "log" ? LEVELS[event.level] ?? "\x1b[34m" : "";
    const at = this.times ? `${new Date(event.at).toLocaleTimeString(undefined, { hour12: false })}.${event.at.slice(20, 23)} ` : "";
    // Text may move the cursor within its line only: a carriage return or a clear must not eat what others said.
    const text = event.text.replace(/\r(?!$)|\x1b\[[0-9;?]*[A-HJKSTfhlnsu]|\x1b[c78DEM]|\x1b[\]P^_X][^\x07\x1b]*(\x07|\x1b\\)?/g, "").replace(/[\r\n]+$/, "");
    return `${RESET}${GREY}${String(event.n).padStart(5)} ${at}${RESET} ${colour}${text}${RESET}`;
  }

  // Draw anew what is shown (with or without timestamps).
  redraw() {
    const top = this.topLine();
    if (this.following) this.#drawFrom(this.events.length - KEPT);
    else this.#goTo(top, top - BEFORE);
  }

  // A finished run with few lines needs no tall window.
  shrink() {
    this.terminal.write("", () => {
      const buffer = this.terminal.buffer.active;
      const rows = Math.max(buffer.baseY + buffer.cursorY + 1, 3);
      const height = this.element.querySelector(".xterm-screen").clientHeight / this.terminal.rows;
      if (rows < this.terminal.rows) this.element.style.height = `${Math.ceil(height * (rows + 0.5)) + 12}px`;
    });
  }

  clear() {
    this.terminal.reset();
    this.fresh = true;
    this.events = [];
    this.drawn = 0;
  }

  follow(on) {
    this.following = on;
    if (on && this.drawn < this.events.length) this.#drawFrom(this.events.length - KEPT);
    if (on) this.terminal.scrollToBottom();
  }

  #scrolled() {
    const buffer = this.terminal.buffer.active;
    const end = buffer.viewportY >= buffer.baseY && this.drawn === this.events.length;
    if (this.drawing || end === this.following) return;
    this.following = end;
    this.onScroll(end);
  }

  // At either end of what is drawn, somebody wants to go on.
  #turn() {
    this.#scrolled();
    const buffer = this.terminal.buffer.active;
    const first = this.#numberAt(0);
    if (buffer.viewportY === 0 && first > 1) this.#goTo(first, first - KEPT / 2);
    else if (buffer.viewportY >= buffer.baseY && this.drawn < this.events.length) this.#goTo(this.topLine(), this.drawn - KEPT / 2);
  }

  find(text, back = false) {
    if (!text) return this.search.clearDecorations();
    this.follow(false);
    this.onScroll(false);
    if (back ? this.search.findPrevious(text) : this.search.findNext(text)) return;
    const other = this.events.find((event) => event.text.includes(text)); // among what is not drawn
    if (other) this.show(other.n);
  }

  // The number of the line at a row; wrapped rows belong to the line above.
  #numberAt(row) {
    const buffer = this.terminal.buffer.active;
    while (row > 0 && buffer.getLine(row)?.isWrapped) row -= 1;
    return parseInt(buffer.getLine(row)?.translateToString(true, 0, 8) ?? "", 10) || 0;
  }

  topLine() {
    return this.#numberAt(this.terminal.buffer.active.viewportY);
  }

  // Scroll to a line and mark it; what is not drawn is drawn first.
  show(number) {
    this.follow(false);
    this.onScroll(false);
    const there = number >= this.#numberAt(0) && number <= this.drawn;
    this.#goTo(number, there ? null : number - BEFORE, true);
  }

  #goTo(number, from = null, mark = false) {
    if (from !== null) this.#drawFrom(Math.floor(from));
    this.terminal.write("", () => {
      const row = this.#rowOf(number);
      this.terminal.scrollToLine(Math.max(0, mark ? row - 3 : row));
      if (mark) this.terminal.select(0, row, this.terminal.cols);
    });
  }

  // Rows are in order, so a line's is found by halving.
  #rowOf(number) {
    let low = 0;
    let high = this.terminal.buffer.active.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#numberAt(middle) || Infinity) < number) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  selectionOrAll() {
    return this.terminal.getSelection() || this.text();
  }

  text(colours = false) {
    const plain = (text) => text.replace(/\x1b(?:\[[0-9;:?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g, "");
    return this.events.map((event) => (colours ? event.text : plain(event.text)) + "\n").join("");
  }
}

// The player of a clip: a play head over the waveform and a spectrogram that is computed here, from the samples that are played.
// Nothing but "Ask about this selection" sends anything to Python. All words from outside become text, never HTML.

const GUTTER = 52, BELOW = 20, GAP = 6, WAVE = 56, SPECTROGRAM = 168; // CSS pixels
const MOST_COLUMNS = 900, MOST_FORMANT_FRAMES = 300;
const MIN_VIEW_S = 0.05, STEP_S = 0.1, DRAG_PX = 4;
const FORMANT_FLOOR_DB = 35; // frames quieter than the loudest by more have no formants drawn

/** How the pictures look: one choice for all players of a visit. */
const settings = { windowMs: 25, kind: "mel", rangeDb: 70, pitch: false, formants: false };
const players = new Set();
const mounted = new WeakMap();

export default function show({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".player");
  if (!mounted.has(root)) mounted.set(root, new Player(root));
  const player = mounted.get(root), use = player.update(data, (asked) => setTriggerValue("ask", asked));
  return () => player.close(use);
}

function make(tag, parent, { text = "", ...attributes } = {}) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  parent?.append(element);
  return element;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function clock(seconds, digits = 2) {
  if (seconds < 60) return seconds.toFixed(digits);
  const minutes = Math.floor(seconds / 60), rest = (seconds - 60 * minutes).toFixed(digits ? 1 : 0);
  return `${minutes}:${rest.padStart(digits ? 4 : 2, "0")}`;
}

class Player {
  constructor(root) {
    this.root = root;
    this.reset();
    this.uses = 0;
    this.data = {};
    this.build();
    new ResizeObserver(() => this.draw()).observe(this.stage);
  }

  reset() {
    this.url = null;
    this.samples = null;
    this.from = 0;
    this.to = 1;
    this.selection = null;
    this.columns = {};
    this.length = 1; // s, until it is known
  }

  // What stands on the page

  build() {
    const { root } = this;
    this.audio = make("audio", root, { preload: "auto" });
    this.stage = make("div", root, { class: "stage" });
    this.canvas = make("canvas", this.stage, { role: "img" });
    this.surface = make("div", this.stage, { class: "surface", role: "slider", tabindex: "0", "aria-valuemin": "0", "aria-describedby": "keys" });
    this.shade = make("div", this.surface, { class: "selection", hidden: "" });
    this.head = make("div", this.surface, { class: "head" });
    this.scroll = make("input", root, { type: "range", class: "scroll", min: "0", max: "1000", step: "1", "aria-label": "Part of the clip that is shown", hidden: "" });
    const bar = make("div", root, { class: "bar" });
    this.play = make("button", bar, { type: "button", class: "play", text: "Play" });
    this.time = make("span", bar, { class: "time" });
    this.zoomOut = make("button", bar, { type: "button", "aria-label": "Zoom out", text: "−" });
    this.zoomIn = make("button", bar, { type: "button", "aria-label": "Zoom in", text: "+" });
    const chosen = make("div", root, { class: "bar chosen" });
    this.words = make("span", chosen, { class: "words" });
    this.ask = make("button", chosen, { type: "button", class: "ask", text: "Ask about this selection", hidden: "" });
    this.clear = make("button", chosen, { type: "button", text: "Clear selection", hidden: "" });
    this.status = make("p", root, { class: "status", role: "status" });
    this.details = make("details", root);
    make("summary", this.details, { text: "Picture settings and keys" });
    this.form = make("div", this.details, { class: "form" });
    this.inputs = this.buildSettings();
    make("p", this.details, {
      id: "keys",
      text: "Keys: Space plays and pauses; the arrows move by 0.1 s, with Shift by 1 s; Home and End go to the ends; [ and ] begin and end a " +
        "selection at the play head; Escape clears it; + and − zoom, 0 shows the whole clip. Ctrl and the mouse wheel zoom too.",
    });
    this.listen();
  }

  buildSettings() {
    const slider = (words, name, unit, low, high, step) => {
      const label = make("label", this.form, { text: words }), input = make("input", label, { type: "range", min: low, max: high, step });
      const value = make("output", label);
      const set = () => { input.value = settings[name]; value.textContent = `${settings[name]} ${unit}`; };
      input.addEventListener("input", () => change(name, Number(input.value)));
      return set;
    };
    const box = (words, name) => {
      const label = make("label", this.form), input = make("input", label, { type: "checkbox" });
      make("span", label, { text: words });
      input.addEventListener("change", () => change(name, input.checked));
      return () => { input.checked = settings[name]; };
    };
    const choice = () => {
      const label = make("label", this.form, { text: "Frequency axis" }), select = make("select", label);
      for (const [value, text] of [["mel", "Mel"], ["linear", "Linear"]]) make("option", select, { value, text });
      select.addEventListener("change", () => change("kind", select.value));
      return () => { select.value = settings.kind; };
    };
    return [
      slider("Window", "windowMs", "ms", 5, 50, 1),
      slider("Range", "rangeDb", "dB", 30, 100, 5),
      choice(),
      box("Pitch (f0): a line", "pitch"),
      box("Formants: dots", "formants"),
    ];
  }

  listen() {
    const { audio, surface } = this;
    this.play.addEventListener("click", () => this.toggle());
    this.zoomIn.addEventListener("click", () => this.zoom(0.5));
    this.zoomOut.addEventListener("click", () => this.zoom(2));
    this.clear.addEventListener("click", () => { this.select(null); surface.focus(); });
    this.ask.addEventListener("click", () => this.send());
    this.scroll.addEventListener("input", () => {
      const width = this.to - this.from;
      this.view((Number(this.scroll.value) / 1000) * (this.duration - width), width);
    });
    for (const name of ["play", "pause", "timeupdate", "seeked", "ended"]) audio.addEventListener(name, () => this.place());
    audio.addEventListener("timeupdate", () => this.repeat()); // in a tab that is not seen, no frame is drawn
    audio.addEventListener("play", () => {
      for (const other of players) if (other !== this) other.audio.pause();
      this.tick();
    });
    audio.addEventListener("ended", () => { if (this.selection) { this.seek(this.selection.from); this.start(); } });
    audio.addEventListener("error", () => { if (this.url) this.fail("This browser cannot play this file."); });
    surface.addEventListener("pointerdown", (event) => this.grab(event));
    surface.addEventListener("pointermove", (event) => this.drag(event));
    surface.addEventListener("pointerup", (event) => this.release(event));
    surface.addEventListener("pointercancel", () => { this.grip = null; });
    surface.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  // What Python gives

  /** Show this clip; of the one that is shown already, nothing is fetched again. Return the number of this use, for close. */
  update(data, send) {
    this.data = data;
    this.sendAsk = send;
    this.root.classList.toggle("plain", !data.pictures);
    this.stage.style.height = `${this.height()}px`;
    this.canvas.setAttribute("aria-label", data.description);
    this.surface.setAttribute("aria-label", `Position in ${data.label}`);
    this.details.hidden = !data.pictures;
    players.add(this);
    for (const set of this.inputs) set();
    if (data.url !== this.url) this.load(data);
    this.describe();
    this.draw();
    return ++this.uses;
  }

  async load(data) {
    this.drop();
    this.url = data.url;
    this.to = this.duration;
    this.selection = data.selection ? { from: data.selection[0], to: data.selection[1] } : null;
    this.root.dataset.state = "loading";
    delete this.root.dataset.drawn;
    this.status.textContent = "";
    if (data.envelope) {
      this.audio.preload = "metadata";
      this.audio.src = data.url;
      this.ready();
      return;
    }
    const url = data.url;
    try {
      const answer = await fetch(url);
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const bytes = await answer.arrayBuffer();
      if (this.url !== url) return;
      this.object = URL.createObjectURL(new Blob([bytes], { type: data.mime }));
      this.audio.src = this.object;
      const sound = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(bytes);
      if (this.url !== url) return;
      this.samples = mono(sound, data.channel);
      this.length = sound.duration;
      if (data.duration_s === null) this.to = this.duration;
      this.describe();
      this.ready();
    } catch (error) {
      if (this.url === url) this.fail(this.object ? "This browser can play this file, but draws no pictures of it." : "The sound could not be fetched. Reload the page.");
    }
  }

  ready() {
    this.root.dataset.state = "ready";
    if (this.data.autoplay) this.start();
    this.draw();
  }

  fail(sentence) {
    this.root.dataset.state = "failed";
    this.status.textContent = sentence;
    this.status.classList.add("shown");
  }

  /** Let go of the clip that is shown. */
  drop() {
    this.audio.pause();
    this.audio.removeAttribute("src");
    if (this.object) URL.revokeObjectURL(this.object);
    this.object = null;
    this.status.classList.remove("shown");
    this.reset();
  }

  /** End the use with this number: where no later one began, the player has left the page. */
  close(use) {
    if (use !== this.uses) return;
    players.delete(this);
    this.drop();
  }

  get duration() { return this.data.duration_s ?? this.length; }

  height() { return this.data.pictures ? WAVE + GAP + SPECTROGRAM + BELOW : WAVE; }

  gutter() { return this.data.pictures ? GUTTER : 0; }

  // Hearing

  start() { this.audio.play().catch(() => {}); } // a browser may want a click first

  toggle() {
    if (!this.audio.paused) { this.audio.pause(); return; }
    const { selection } = this, now = this.audio.currentTime;
    if (selection && (now < selection.from || now >= selection.to - 0.01)) this.seek(selection.from);
    else if (now >= this.duration - 0.02) this.seek(0);
    this.start();
  }

  seek(time) {
    this.audio.currentTime = clamp(time, 0, this.duration);
    this.place();
  }

  /** Follow the sound from frame to frame, until it pauses. */
  tick() {
    if (this.ticking || this.audio.paused) return;
    this.ticking = true;
    this.repeat();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) this.place();
    requestAnimationFrame(() => {
      this.ticking = false;
      this.tick();
    });
  }

  repeat() {
    const { audio, selection } = this;
    if (selection && !audio.paused && audio.currentTime >= selection.to) audio.currentTime = selection.from;
  }

  /** Move the play head to where the sound is. */
  place() {
    const now = Math.min(this.audio.currentTime, this.duration);
    if (!this.audio.paused && (now < this.from || now > this.to)) this.view(now, this.to - this.from);
    const share = (now - this.from) / (this.to - this.from);
    this.head.hidden = share < 0 || share > 1;
    this.head.style.left = `${100 * share}%`;
    const words = `${clock(now)} / ${clock(this.duration)} s`;
    if (this.time.textContent !== words) this.time.textContent = words;
    this.play.textContent = this.audio.paused ? "Play" : "Pause";
    this.surface.setAttribute("aria-valuenow", now.toFixed(2));
    this.surface.setAttribute("aria-valuetext", `${clock(now)} of ${clock(this.duration)} seconds`);
  }

  // Choosing

  select(selection) {
    const [from, to] = [selection?.from ?? 0, selection?.to ?? 0].map((time) => Math.round(100 * time) / 100);
    this.selection = to > from ? { from, to: Math.min(to, this.duration) } : null;
    this.describe();
    this.status.textContent = this.selection ? `Selected ${clock(from)} to ${clock(to)} seconds` : "Nothing is selected";
  }

  /** Draw the selection and its words. */
  describe() {
    const { selection, data } = this;
    this.surface.setAttribute("aria-valuemax", String(this.duration));
    this.shade.hidden = !selection;
    this.clear.hidden = !selection;
    this.ask.hidden = !selection || !data.can_ask;
    if (selection) {
      const width = this.to - this.from, length = selection.to - selection.from;
      const start = clamp((selection.from - this.from) / width, 0, 1), stop = clamp((selection.to - this.from) / width, 0, 1);
      this.shade.style.left = `${100 * start}%`;
      this.shade.style.width = `${100 * (stop - start)}%`;
      const fits = length >= data.min_s && length <= data.max_s;
      this.ask.disabled = !fits;
      this.words.textContent = `${clock(selection.from)} to ${clock(selection.to)} s` +
        (data.can_ask && !fits ? `; the models answer for ${data.min_s} to ${data.max_s} s` : ", repeats");
    } else {
      const hint = data.can_ask ? "Drag to select a part, then ask about it." : "Click to seek, drag to select.";
      this.words.textContent = data.pictures ? hint : "";
    }
    this.scroll.hidden = this.to - this.from >= this.duration - 1e-6;
    this.scroll.value = Math.round((1000 * this.from) / Math.max(this.duration - (this.to - this.from), 1e-6));
    this.zoomOut.disabled = this.scroll.hidden;
    this.zoomOut.hidden = this.zoomIn.hidden = !data.pictures;
    this.place();
  }

  send() {
    const { selection } = this;
    if (!selection || this.ask.disabled) return;
    this.status.textContent = "Asked. The answers for the selection stand below, under “What the models predict”.";
    this.sendAsk({ clip: this.data.clip, start_s: selection.from, end_s: selection.to });
  }

  at(event) {
    const box = this.surface.getBoundingClientRect();
    return clamp(this.from + ((event.clientX - box.left) / box.width) * (this.to - this.from), 0, this.duration);
  }

  grab(event) {
    if (event.button) return;
    this.grip = { x: event.clientX, time: this.at(event), moved: false };
    this.surface.setPointerCapture(event.pointerId);
  }

  drag(event) {
    const { grip } = this;
    if (!grip || (!grip.moved && Math.abs(event.clientX - grip.x) < DRAG_PX)) return;
    grip.moved = true;
    const time = this.at(event);
    this.select({ from: Math.min(grip.time, time), to: Math.max(grip.time, time) });
  }

  release(event) {
    const { grip, selection } = this;
    this.grip = null;
    if (!grip) return;
    if (grip.moved) {
      if (selection) this.seek(selection.from);
      return;
    }
    if (selection && (grip.time < selection.from || grip.time > selection.to)) this.select(null);
    this.seek(grip.time);
  }

  key(event) {
    const keys = {
      "[": () => this.setEnd("from"), "]": () => this.setEnd("to"), Escape: () => this.selection && this.select(null),
      "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.view(0, this.duration),
      " ": () => this.toggle(), Home: () => this.move(0), End: () => this.move(this.duration),
      ArrowLeft: () => this.move(this.audio.currentTime - (event.shiftKey ? 1 : STEP_S)),
      ArrowRight: () => this.move(this.audio.currentTime + (event.shiftKey ? 1 : STEP_S)),
    };
    keys.ArrowDown = keys.ArrowLeft;
    keys.ArrowUp = keys.ArrowRight;
    // Buttons, sliders and the summary have keys of their own.
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey || event.composedPath()[0] !== this.surface) return;
    event.preventDefault();
    event.stopPropagation();
    keys[event.key]();
  }

  move(time) {
    const to = clamp(time, 0, this.duration);
    if (to < this.from || to > this.to) this.view(to - (this.to - this.from) / 2, this.to - this.from);
    this.seek(to);
  }

  /** Let a selection begin ("from") or end ("to") at the play head; without one, it goes to that end of the clip. */
  setEnd(end) {
    const chosen = { from: 0, to: this.duration, ...this.selection, [end]: this.audio.currentTime };
    if (chosen.from >= chosen.to) chosen[end === "from" ? "to" : "from"] = end === "from" ? this.duration : 0;
    this.select(chosen);
  }

  // Looking closer

  /** Show so many seconds from here on, within the clip. */
  view(from, width) {
    const seconds = clamp(width, Math.min(MIN_VIEW_S, this.duration), this.duration);
    this.from = clamp(from, 0, this.duration - seconds);
    this.to = this.from + seconds;
    this.describe();
    this.draw();
  }

  zoom(factor, around = clamp(this.audio.currentTime, this.from, this.to)) {
    const width = this.to - this.from, wanted = clamp(width * factor, Math.min(MIN_VIEW_S, this.duration), this.duration);
    this.view(around - ((around - this.from) * wanted) / width, wanted);
  }

  wheel(event) {
    if (event.ctrlKey) this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.at(event));
    else if (event.deltaX && !this.scroll.hidden) this.view(this.from + (event.deltaX / this.surface.clientWidth) * (this.to - this.from), this.to - this.from);
    else return; // the page scrolls
    event.preventDefault();
  }

  // Drawing

  draw() {
    if (this.frame) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.paint();
    });
  }

  paint() {
    const width = this.stage.clientWidth, height = this.height(), left = this.gutter(), inner = width - left;
    if (inner < 20) return; // in a tab that is closed
    const dense = Math.min(window.devicePixelRatio || 1, 2);
    this.canvas.width = Math.round(width * dense);
    this.canvas.height = Math.round(height * dense);
    this.surface.style.left = `${left}px`;
    this.surface.style.height = `${this.data.pictures ? height - BELOW : height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(dense, dense);
    const style = getComputedStyle(this.root);
    const ink = style.color, { colours } = this.data;
    pen.font = `12px ${style.fontFamily}`;
    this.paintWave(pen, left, inner);
    if (this.data.pictures) {
      this.paintSpectrogram(pen, left, WAVE + GAP, inner);
      this.paintAxes(pen, left, inner, ink);
    }
    pen.fillStyle = colours.unused;
    for (const [start, stop] of this.data.unused ?? []) {
      const a = clamp(this.x(start, inner), 0, inner), b = clamp(this.x(stop, inner), 0, inner);
      pen.fillRect(left + a, 0, b - a, this.data.pictures ? height - BELOW : height);
    }
    if (this.samples || this.data.envelope) this.root.dataset.drawn = this.data.clip;
  }

  x(time, inner) { return ((time - this.from) / (this.to - this.from)) * inner; }

  paintWave(pen, left, inner) {
    const n = Math.round(inner), { colours } = this.data;
    let pairs = [];
    if (this.samples) pairs = envelope(this.samples, this.from, this.to, n);
    else if (this.data.envelope) {
      const all = this.data.envelope, per = all.length / this.duration;
      pairs = Array.from({ length: n }, (_, k) => all[clamp(Math.floor((this.from + ((this.to - this.from) * k) / n) * per), 0, all.length - 1)]);
    }
    let peak = 0.01;
    if (this.peakOf !== (this.samples ?? this.data.envelope)) {
      this.peakOf = this.samples ?? this.data.envelope;
      this.peak = null;
    }
    this.peak ??= (this.samples ? envelope(this.samples, 0, this.duration, 1000) : this.data.envelope ?? []).reduce(
      (most, [low, high]) => Math.max(most, -low, high), peak);
    peak = this.peak;
    pen.fillStyle = colours.line;
    pairs.forEach(([low, high], k) => {
      const top = (WAVE / 2) * (1 - high / peak), bottom = (WAVE / 2) * (1 - low / peak);
      pen.fillRect(left + k, top, 1, Math.max(bottom - top, 1));
    });
  }

  paintSpectrogram(pen, left, top, inner) {
    const { samples } = this, { windowMs, kind, rangeDb } = settings;
    if (!samples) {
      pen.fillStyle = getComputedStyle(this.root).color;
      if (this.data.envelope) pen.fillText("Longer than two minutes: the waveform alone is drawn.", left + 8, top + 20);
      return;
    }
    const n = Math.min(Math.round(inner), MOST_COLUMNS), key = [this.url, this.from, this.to, n, windowMs, kind].join(" ");
    if (this.columns.key !== key) {
      const times = Array.from({ length: n }, (_, k) => this.from + ((this.to - this.from) * (k + 0.5)) / n);
      this.columns = { key, found: levels(samples, times, { windowMs, kind, nRows: SPECTROGRAM }) };
    }
    const { found } = this.columns, loudest = this.loudest(windowMs, kind);
    const picture = new ImageData(n, SPECTROGRAM), ramp = this.ramp();
    found.forEach((column, k) => {
      for (let row = 0; row < SPECTROGRAM; row++) {
        const shade = 4 * Math.round(255 * clamp(1 - (loudest - column[row]) / rangeDb, 0, 1)), place = 4 * (row * n + k);
        for (let channel = 0; channel < 4; channel++) picture.data[place + channel] = ramp[shade + channel];
      }
    });
    const board = new OffscreenCanvas(n, SPECTROGRAM);
    board.getContext("2d").putImageData(picture, 0, 0);
    pen.drawImage(board, left, top, inner, SPECTROGRAM);
    pen.save();
    pen.beginPath();
    pen.rect(left, top, inner, SPECTROGRAM);
    pen.clip();
    const y = (hz) => top + SPECTROGRAM * (1 - axis(kind).share(hz));
    if (settings.formants) this.paintFormants(pen, left, inner, y);
    if (settings.pitch) this.paintPitch(pen, left, inner, y);
    pen.restore();
  }

  /** The level of the loudest place of the whole clip in dB, by these settings. */
  loudest(windowMs, kind) {
    const key = [this.url, windowMs, kind].join(" ");
    if (this.top?.key !== key) {
      const whole = this.from === 0 && this.to === this.duration;
      const times = Array.from({ length: 400 }, (_, k) => (this.duration * (k + 0.5)) / 400);
      const found = whole ? this.columns.found : levels(this.samples, times, { windowMs, kind, nRows: SPECTROGRAM });
      this.top = { key, level: found.reduce((most, column) => column.reduce((a, b) => Math.max(a, b), most), -100) };
    }
    return this.top.level;
  }

  /** 256 colours, four bytes each, from those that Python names. */
  ramp() {
    if (!this.shades) {
      const stops = this.data.colours.heat;
      this.shades = Uint8ClampedArray.from({ length: 1024 }, (_, place) => {
        const at = (Math.floor(place / 4) / 255) * (stops.length - 1), k = Math.min(Math.floor(at), stops.length - 2), channel = place % 4;
        return channel === 3 ? 255 : stops[k][channel] + (at - k) * (stops[k + 1][channel] - stops[k][channel]);
      });
    }
    return this.shades;
  }

  paintPitch(pen, left, inner, y) {
    const { f0_hz: track, hop_s: hop } = this.data;
    if (!track) return;
    pen.lineCap = "round";
    for (const [width, colour] of [[4, "#000000"], [2, "#ffffff"]]) {
      pen.lineWidth = width;
      pen.strokeStyle = colour;
      pen.beginPath();
      let drawing = false;
      track.forEach((hz, k) => {
        if (hz === null) { drawing = false; return; }
        const x = left + this.x(k * hop, inner);
        if (drawing) pen.lineTo(x, y(hz));
        else { pen.moveTo(x - 0.5, y(hz)); pen.lineTo(x, y(hz)); }
        drawing = true;
      });
      pen.stroke();
    }
  }

  paintFormants(pen, left, inner, y) {
    const n = Math.min(MOST_FORMANT_FRAMES, Math.ceil((this.to - this.from) / 0.01));
    const times = Array.from({ length: n }, (_, k) => this.from + ((this.to - this.from) * (k + 0.5)) / n).filter((time) => this.isVoiced(time));
    pen.fillStyle = this.data.colours.formant;
    pen.strokeStyle = "#000000";
    pen.lineWidth = 1;
    formants(this.samples, times).forEach((found, k) => {
      for (const hz of found) {
        pen.beginPath();
        pen.arc(left + this.x(times[k], inner), y(hz), 2.5, 0, 2 * Math.PI);
        pen.fill();
        pen.stroke();
      }
    });
  }

  /** Whether there is a voice: by the pitch where Python gives it, else by the level. */
  isVoiced(time) {
    const { f0_hz: track, hop_s: hop } = this.data;
    if (track) return (track[clamp(Math.round(time / hop), 0, track.length - 1)] ?? null) !== null;
    const [[low, high]] = envelope(this.samples, time - 0.0125, time + 0.0125, 1);
    return 20 * Math.log10(Math.max(high, -low, 1e-6) / this.peak) > -FORMANT_FLOOR_DB;
  }

  paintAxes(pen, left, inner, ink) {
    const top = WAVE + GAP, { kind } = settings, scale = axis(kind);
    pen.fillStyle = ink;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const hz of kind === "mel" ? [250, 500, 1000, 2000, 4000] : [1000, 2000, 4000, 6000]) {
      const y = top + SPECTROGRAM * (1 - scale.share(hz));
      pen.fillText(hz < 1000 ? `${hz} Hz` : `${hz / 1000} kHz`, left - 7, y);
      pen.fillRect(left - 5, y, 4, 1);
    }
    const span = this.to - this.from, rough = (span * 70) / inner;
    const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600].find((each) => each >= rough) ?? 1200;
    const digits = step < 0.01 ? 3 : step < 0.1 ? 2 : step < 1 ? 1 : 0;
    pen.textAlign = "center";
    pen.textBaseline = "bottom";
    for (let time = Math.ceil(this.from / step) * step; time <= this.to + 1e-9; time += step) {
      const x = this.x(time, inner);
      pen.fillRect(left + x, top + SPECTROGRAM, 1, 4);
      if (x > inner - 16 || x < 8) continue;
      pen.fillText(`${clock(time, digits)} s`, left + x, this.height());
    }
  }
}

/** The samples of the channel that the models hear: one of them, their difference, or the mean of all. */
function mono(sound, channel) {
  const all = Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
  if (all.length === 1) return all[0];
  const number = { left: 0, right: 1 }[channel] ?? Number(channel) - 1;
  if (all[number]) return all[number];
  const last = channel === "difference" ? -1 : 1;
  const weights = all.map((_, k) => (k ? last : 1) / all.length);
  return Float32Array.from(all[0], (_, place) => all.reduce((sum, each, k) => sum + weights[k] * each[place], 0));
}

/** Set how pictures look in all players that are shown. */
function change(name, value) {
  settings[name] = value;
  for (const player of players) {
    for (const set of player.inputs) set();
    player.draw();
  }
}

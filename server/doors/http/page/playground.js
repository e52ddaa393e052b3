// SPDX-License-Identifier: Apache-2.0
// The recall playground: a cue, drawn, hidden in part or noisy; what the memory makes of it, step
// by step.

import { below, get, post } from "./api.js";
import { Trace } from "./charts.js";
import { debounce, el, number } from "./dom.js";
import { drawVector, gaussian, isPicture, kMostCells, scaleOf, side } from "./image.js";

const kFirstOptions = ["BETA", "SEP", "STEPS", "MODE", "ALPHA", "N"];
const kMostStates = 24; // between the cue and the last, that are asked for one by one

/** Which steps of so many are looked at: the first, the last, and evenly spread ones between. */
function stepsShown(steps, mostBetween) {
  const parts = Math.min(steps, mostBetween + 1);
  return Array.from({ length: parts + 1 }, (_, i) => (parts === 0 ? 0 : Math.round((i * steps) / parts)));
}

/** "0-391,400-783": the coordinates that are not hidden. */
function maskOf(hidden) {
  const ranges = [];
  for (let i = 0; i < hidden.length; ++i) {
    if (hidden[i]) continue;
    const begin = i;
    while (i + 1 < hidden.length && !hidden[i + 1]) ++i;
    ranges.push(`${begin}-${i}`);
  }
  return ranges.join(",");
}

export class Playground {
  #section;
  #followed; // called with the states and the step that is looked at
  #collection = null;
  #primitive = null;
  #original = [];
  #cue = [];
  #hidden = [];
  #scale = { most: 1, isSigned: false };
  #states = [];
  #steps = []; // of each state
  #recall = null;
  #attractor = null; // {id, vector}
  #turn = 0;
  #tool = "hide";
  #player = 0;
  #thumbs = new Map();
  #parts = {};
  #trace = null;
  #soon = debounce(120, () => this.run());

  constructor(section, { followed }) {
    this.#section = section;
    this.#followed = followed;
    document.addEventListener("theme", () => this.#draw());
  }

  /** Shows the playground of a collection that recalls; `id` is its first cue. */
  async reset(collection, primitive, id) {
    ++this.#turn;
    this.#soon.cancel();
    this.#stop();
    this.#collection = collection;
    this.#primitive = primitive;
    this.#thumbs = new Map();
    this.#recall = this.#attractor = null;
    this.#states = this.#steps = [];
    this.#original = this.#cue = this.#hidden = [];
    this.#section.hidden = !collection.recalls || collection.count === 0 || collection.dim > kMostCells;
    if (this.#section.hidden) return;
    this.#build();
    if (id !== undefined) await this.take(id, { hide: isPicture(collection.dim) });
  }

  /** Takes what is stored under an id as the cue. */
  async take(id, { hide = false } = {}) {
    const turn = ++this.#turn;
    this.#soon.cancel();
    try {
      const { vector } = await get(below(this.#collection.name, "vectors", id));
      if (turn !== this.#turn) return;
      this.#original = vector;
      this.#scale = scaleOf(vector);
      this.#parts.id.value = id;
      this.#restore();
      if (hide) this.#hideHalf();
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
      return;
    }
    await this.run();
  }

  #build() {
    const button = (text, work) => el("button", { type: "button", onclick: work }, text);
    const tool = (name, text, help) =>
      el(
        "label",
        { class: "tool", title: help },
        el("input", { type: "radio", name: "tool", value: name, ...(name === this.#tool && { checked: true }), onchange: () => (this.#tool = name) }),
        text,
      );
    const canvas = (name, label) => el("canvas", { class: "picture", role: "img", "aria-label": label, "data-part": name });
    const figure = (caption, ...inside) => el("figure", {}, ...inside, el("figcaption", {}, caption));
    const parts = (this.#parts = {
      id: el("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": "Id of the cue", class: "short" }),
      brush: el("input", { type: "range", min: 1, max: 9, value: 4, "aria-label": "Size of the brush" }),
      noise: el("input", { type: "range", min: 0, max: 100, value: 30, "aria-label": "Noise, in percent of the greatest number" }),
      cue: canvas("cue", "The cue; draw on it with the mouse"),
      state: canvas("state", "The state"),
      attractor: canvas("attractor", "The item that the state is nearest to"),
      attractorName: el("span", {}, "Attractor"),
      stateName: el("span", {}, "State"),
      step: el("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Step", class: "grow", oninput: () => this.#look(Number(parts.step.value)) }),
      play: el("button", { type: "button", "data-part": "play", onclick: () => this.#play() }, "Play"),
      facts: el("dl", { class: "facts" }),
      weights: el("ol", { class: "weights" }),
      trace: el("div", { class: "chart" }),
      error: el("p", { class: "error", role: "alert", hidden: true }),
      options: el("div", { class: "options" }),
    });
    this.#buildOptions();
    this.#section.replaceChildren(
      el("div", { class: "row spread" }, el("h2", { id: "recall-title" }, "Recall"), el("span", { class: "quiet" }, this.#primitive.summary)),
      el(
        "form",
        {
          class: "row tools",
          onsubmit: (event) => {
            event.preventDefault();
            this.take(parts.id.value.trim());
          },
        },
        parts.id,
        el("button", { type: "submit" }, "Take"),
        el("span", { class: "gap" }),
        el("fieldset", { class: "row segmented" }, el("legend", { class: "hidden" }, "Brush"), tool("hide", "Hide", "Cover: the memory must not look there"), tool("draw", "Draw", "Ink"), tool("erase", "Erase", "Paper")),
        el("label", { class: "row" }, "Size", parts.brush),
        el("span", { class: "gap" }),
        button("Hide half", () => this.#edit(() => this.#hideHalf())),
        button("Add noise", () => this.#edit(() => this.#addNoise())),
        parts.noise,
        button("Reset", () => this.#edit(() => this.#restore())),
      ),
      parts.error,
      el("div", { class: "bench" }, figure("Cue", parts.cue), figure(parts.stateName, parts.state), figure(parts.attractorName, parts.attractor), el("div", { class: "share" }, el("h3", {}, "Weights"), parts.weights, parts.facts)),
      el("div", { class: "row" }, parts.play, parts.step),
      el(
        "div",
        { class: "account" },
        el("div", {}, el("h3", {}, "Options"), parts.options),
        el("div", {}, el("h3", {}, "Energy"), parts.trace),
      ),
    );
    this.#trace = new Trace(parts.trace, {
      label: "Energy of the state after each step",
      series: [{ name: "energy", colour: "a", fill: true }],
      format: number,
      xTitle: "step",
    });
    parts.cue.addEventListener("pointerdown", (event) => {
      parts.cue.setPointerCapture(event.pointerId);
      this.#paint(event);
    });
    parts.cue.addEventListener("pointermove", (event) => event.buttons === 1 && this.#paint(event));
  }

  #buildOptions() {
    const known = this.#primitive.recall_options;
    const rank = (option) => (kFirstOptions.indexOf(option.name) + kFirstOptions.length + 1) % (kFirstOptions.length + 1);
    // Visible cells are held fast where the metric lets them be: then there is a path to watch.
    const isClamping = (option) => option.name === "MODE" && option.range.includes("clamp") && this.#collection.metric !== "cosine";
    const field = (option) => {
      const choices = option.type === "choice" ? option.range.split("|") : null;
      const properties = { name: option.name, onchange: () => this.#soon() };
      const input = choices
        ? el("select", properties, el("option", { value: "" }, "as made"), ...choices.map((each) => el("option", { value: each, selected: isClamping(option) && each === "clamp" }, each)))
        : el("input", { type: "text", inputmode: "decimal", placeholder: "as made", autocomplete: "off", ...properties });
      return el("label", { title: `${option.help} (${option.range})` }, el("span", {}, option.name.toLowerCase()), input);
    };
    const [first, rest] = [[], []];
    for (const option of known) (kFirstOptions.includes(option.name) ? first : rest).push(option);
    first.sort((a, b) => rank(a) - rank(b));
    this.#parts.options.replaceChildren(
      ...first.map(field),
      rest.length === 0 ? "" : el("details", {}, el("summary", {}, "More"), el("div", { class: "options" }, ...rest.map(field))),
    );
  }

  #options() {
    const given = {};
    for (const input of this.#parts.options.querySelectorAll("input, select")) {
      const text = input.value.trim();
      if (text !== "") given[input.name] = text;
    }
    return given;
  }

  #edit(work) {
    if (this.#cue.length === 0) return;
    work();
    this.#draw();
    this.#soon();
  }

  #restore() {
    this.#cue = [...this.#original];
    this.#hidden = new Array(this.#original.length).fill(false);
  }

  #hideHalf() {
    const half = Math.floor(this.#cue.length / 2);
    this.#hidden = this.#hidden.map((_, i) => i >= half);
  }

  #addNoise() {
    const deviation = (Number(this.#parts.noise.value) / 100) * this.#scale.most;
    this.#cue = this.#cue.map((value) => value + deviation * gaussian());
  }

  #paint(event) {
    if (this.#cue.length === 0) return;
    const cells = side(this.#cue.length);
    const box = this.#parts.cue.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * cells;
    const y = ((event.clientY - box.top) / box.height) * cells;
    const radius = Number(this.#parts.brush.value) / 2;
    for (let row = Math.floor(y - radius); row <= y + radius; ++row) {
      for (let column = Math.floor(x - radius); column <= x + radius; ++column) {
        const i = row * cells + column;
        const isNear = (row + 0.5 - y) ** 2 + (column + 0.5 - x) ** 2 <= radius ** 2;
        if (!isNear || row < 0 || column < 0 || column >= cells || i >= this.#cue.length) continue;
        if (this.#tool === "hide") {
          this.#hidden[i] = true;
        } else {
          this.#hidden[i] = false;
          this.#cue[i] = this.#tool === "draw" ? this.#scale.most : 0;
        }
      }
    }
    this.#draw();
    this.#soon();
  }

  #fail(error) {
    this.#parts.error.textContent = error.message;
    this.#parts.error.hidden = false;
  }

  /** Recalls by the cue as it is. */
  async run() {
    if (this.#cue.length === 0) return;
    const turn = ++this.#turn;
    this.#stop();
    const { name } = this.#collection;
    const options = this.#options();
    const isHidden = this.#hidden.some(Boolean);
    const ask = (steps) =>
      post(below(name, "recall"), {
        vector: this.#cue,
        top: 8,
        ...(isHidden && { mask: maskOf(this.#hidden) }),
        options: steps === undefined ? options : { ...options, STEPS: String(steps) },
      });
    try {
      const recall = await ask();
      if (turn !== this.#turn) return;
      const hasSteps = this.#primitive.recall_options.some((option) => option.name === "STEPS");
      const steps = stepsShown(recall.steps, hasSteps ? kMostStates : 0);
      const between = await Promise.all(steps.slice(1, -1).map(ask));
      if (turn !== this.#turn) return;
      const attractor = recall.attractor === null ? null : await this.#vectorOf(recall.attractor);
      if (turn !== this.#turn) return;
      const cue = isHidden ? this.#cue.map((value, i) => (this.#hidden[i] ? 0 : value)) : this.#cue;
      this.#recall = recall;
      this.#states = [cue, ...between.map(({ state }) => state), recall.state];
      this.#steps = recall.steps === 0 ? [0, 0] : steps;
      this.#attractor = attractor;
      this.#parts.error.hidden = true;
      this.#parts.step.max = this.#states.length - 1;
      this.#showRecall();
      this.#look(this.#states.length - 1);
    } catch (error) {
      if (turn === this.#turn) this.#fail(error);
    }
  }

  async #vectorOf(id) {
    const thumbs = this.#thumbs; // another collection has others
    if (!thumbs.has(id)) thumbs.set(id, (await get(below(this.#collection.name, "vectors", id))).vector);
    return thumbs.get(id);
  }

  /** Shows a state, by its place among those that are shown. */
  #look(place) {
    this.#parts.step.value = place;
    this.#draw();
    this.#trace.show(this.#recall?.energies ?? [], this.#steps[place]);
    this.#followed(this.#states, place);
    this.#section.dataset.step = this.#steps[place];
  }

  #play() {
    if (this.#player !== 0) return this.#stop();
    this.#parts.play.textContent = "Pause";
    let place = 0;
    this.#look(place);
    this.#player = setInterval(() => {
      if (++place >= this.#states.length) return this.#stop();
      this.#look(place);
    }, 450);
  }

  #stop() {
    clearInterval(this.#player);
    this.#player = 0;
    if (this.#parts.play) this.#parts.play.textContent = "Play";
  }

  #draw() {
    const { cue, state, attractor, step, stateName } = this.#parts;
    if (!cue || this.#cue.length === 0) return;
    drawVector(cue, this.#cue, this.#scale, this.#hidden);
    const at = Number(step.value);
    const shown = this.#states[at];
    if (shown) {
      // Under cosine a state has unit length, whatever the items have.
      const scale = this.#collection.metric === "cosine" ? scaleOf(shown) : this.#scale;
      drawVector(state, shown, { ...scale, isSigned: this.#scale.isSigned }, at === 0 ? this.#hidden : null);
      stateName.textContent = `State, step ${this.#steps[at]} of ${this.#recall.steps}`;
    }
    if (this.#attractor) drawVector(attractor, this.#attractor, { ...scaleOf(this.#attractor), isSigned: this.#scale.isSigned });
  }

  #showRecall() {
    const recall = this.#recall;
    const { facts, weights, attractorName } = this.#parts;
    attractorName.textContent = recall.attractor === null ? "No attractor" : `Attractor: ${recall.attractor}`;
    weights.replaceChildren(
      ...recall.support.map(({ id, weight }) => {
        const gauge = el("i", { class: "gauge" });
        gauge.style.setProperty("--share", weight);
        return el("li", {}, el("button", { type: "button", class: "link id", onclick: () => this.take(id) }, id), el("span", { class: "distance" }, number(weight), gauge));
      }),
    );
    const shown = {
      kind: recall.kind,
      "effective items": number(recall.neff),
      entropy: number(recall.entropy),
      beta: recall.beta > 0 ? number(recall.beta) : "none",
      converged: recall.converged ? "yes" : "no",
      novel: recall.novel === null ? "unknown" : recall.novel ? "yes" : "no",
      distance: number(recall.distance),
    };
    facts.replaceChildren(...Object.entries(shown).flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
    this.#section.dataset.attractor = recall.attractor ?? "";
    this.#section.dataset.energies = JSON.stringify(recall.energies);
  }
}

// SPDX-License-Identifier: Apache-2.0
// Strengths of a map's items as time goes on.

import { below, post } from "./api.js";
import { debounce, duration, el, number } from "./dom.js";

const kDay = 86_400_000;

/** How far ahead is worth looking, in milliseconds. */
function horizon(info) {
  if (info["half-life-ms"]) return 8 * Number(info["half-life-ms"]);
  if (info["stability-ms"]) return 20 * Number(info["stability-ms"]);
  return 365 * kDay;
}

export class Fading {
  #box;
  #map;
  #collection = null;
  #ids = [];
  #turn = 0;
  #slider = el("input", { type: "range", min: 0, max: 100, value: 0, class: "grow", "aria-label": "Time", oninput: () => this.#soon() });
  #label = el("output", {});
  #strongest = el("ol", { class: "weights" });
  #error = el("p", { class: "error", role: "alert", hidden: true });
  #soon = debounce(60, () => this.#show());

  constructor(section, map) {
    this.#map = map;
    this.#box = el(
      "div",
      { class: "fading", hidden: true },
      el("h3", {}, "Strengths"),
      el("div", { class: "row" }, el("span", { class: "quiet" }, "now"), this.#slider, this.#label),
      this.#error,
      this.#strongest,
    );
    section.append(this.#box);
  }

  reset(collection, ids) {
    ++this.#turn;
    this.#collection = collection;
    this.#ids = ids;
    this.#slider.value = 0;
    this.#box.hidden = !collection.info.decay || ids.length === 0;
    if (!this.#box.hidden) this.#show();
  }

  #offset() {
    const u = Number(this.#slider.value) / 100;
    return Math.round((horizon(this.#collection.info) * Math.expm1(3 * u)) / Math.expm1(3));
  }

  async #show() {
    const turn = ++this.#turn;
    const { name, info } = this.#collection;
    const offset = this.#offset();
    const start = info.clock === "logical" ? Number(info["last-write-ms"]) : Math.max(Date.now(), Number(info["last-write-ms"] ?? 0));
    const hasTime = info.clock !== undefined;
    this.#slider.disabled = !hasTime;
    this.#label.textContent = offset === 0 ? "now" : `in ${duration(offset)}`;
    try {
      const { strengths } = await post(below(name, "strengths"), { ids: this.#ids, ...(hasTime && { at: start + offset }) });
      if (turn !== this.#turn) return;
      this.#error.hidden = true;
      this.#map.fade(this.#relative(strengths));
      this.#list(strengths);
      this.#box.dataset.sum = strengths.reduce((sum, each) => sum + (each ?? 0), 0);
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#error.textContent = error.message;
      this.#error.hidden = false;
    }
  }

  #most = 0; // at the start

  /** Of the strongest at the start, so that all fade. */
  #relative(strengths) {
    if (this.#offset() === 0) this.#most = Math.max(...strengths.map((each) => each ?? 0), 1e-300);
    return strengths.map((each) => Math.min(1, (each ?? 0) / this.#most));
  }

  #list(strengths) {
    const order = strengths.map((_, i) => i).sort((a, b) => (strengths[b] ?? 0) - (strengths[a] ?? 0));
    this.#strongest.replaceChildren(
      ...order.slice(0, 6).map((i) => {
        const gauge = el("i", { class: "gauge" });
        gauge.style.setProperty("--share", Math.min(1, (strengths[i] ?? 0) / this.#most));
        return el("li", {}, el("span", { class: "id" }, this.#ids[i]), el("span", { class: "distance" }, number(strengths[i]), gauge));
      }),
    );
  }
}

// SPDX-License-Identifier: Apache-2.0
// A search by an id, a word or a vector, and what it found.

import { below, get, post } from "./api.js";
import { count, el, number, seconds } from "./dom.js";
import { drawVector, isPicture } from "./image.js";

const kMeasuredK = 10; // of the recalls that tuning measures, the one that is told

/** The numbers of "[1, 2, 3]" or "1 2 3"; null for other text. */
function readVector(text) {
  const inner = text.trim().replace(/^\[|\]$/g, "").trim();
  const parts = inner.split(/[\s,;]+/);
  if (parts.length < 2 && !text.trim().startsWith("[")) return null;
  const numbers = parts.map(Number);
  return numbers.every((value, i) => parts[i] !== "" && Number.isFinite(value)) ? numbers : null;
}

function readFilter(text) {
  if (text.trim() === "") return undefined;
  if (!text.trim().startsWith("{")) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new Error("The filter is no JSON.");
  }
}

/** The fewest candidates by which a tuning met that recall: {ef, recall}; null if none of them did. */
function leastEffort(tuning, wanted) {
  return Object.entries(tuning)
    .map(([name, recall]) => ({ ef: Number(new RegExp(`^recall-at-${kMeasuredK}-ef-(\\d+)$`).exec(name)?.[1]), recall }))
    .filter(({ ef, recall }) => ef > 0 && recall >= wanted)
    .sort((a, b) => a.ef - b.ef)[0] ?? null;
}

/** What came of a tuning, in a sentence. */
function tuningTold(tuning, wanted) {
  if (tuning["curve-items"] === undefined) {
    const found = tuning.beta === undefined ? "what was found" : `beta ${number(tuning.beta)}`;
    return `Recalls go by ${found} now. The recall of searches was not measured: that takes a graph of 1,000 items.`;
  }
  const asked = `Asked ${count(tuning["curve-sample"])} of ${count(tuning["curve-items"])} items`;
  const least = leastEffort(tuning, wanted);
  const seen = least ? `${least.ef} candidates find ${number(least.recall)}` : `no effort that was tried finds ${number(wanted)}`;
  return `${asked}: ${seen} of the ${kMeasuredK} nearest. Searches look for ${number(wanted)} now.`;
}

function metadataChips(metadata) {
  if (!metadata) return null;
  const text = (value) => (typeof value === "string" ? value : JSON.stringify(value));
  return el("span", { class: "chips" }, ...Object.entries(metadata).map(([name, value]) => el("span", { class: "chip" }, `${name} ${text(value)}`)));
}

export class Search {
  #found; // called with {id, vector, results}
  #recall; // called with an id: recall from it
  #collection = null;
  #turn = 0;
  #input = el("input", { type: "search", name: "query", autocomplete: "off", spellcheck: "false", required: true });
  #k = el("input", { type: "number", name: "k", min: 1, max: 100, value: 10, "aria-label": "How many" });
  #filter = el("input", { type: "text", name: "filter", autocomplete: "off", spellcheck: "false", placeholder: ".year > 1990", "aria-label": "Filter" });
  #wanted = el(
    "select",
    { name: "recall", "aria-label": "Wanted recall", onchange: () => this.#showWanted() },
    el("option", { value: "" }, "as made"),
    ...[0.9, 0.95, 0.99].map((each) => el("option", { value: each }, number(each))),
  );
  #tune = el("button", { type: "button", name: "tune", onclick: () => this.#runTuning() });
  #tuned = el("output", { class: "quiet" });
  #tuning = el("div", { class: "row tuning", hidden: true }, el("label", { class: "row" }, "Wanted recall", this.#wanted), this.#tune, this.#tuned);
  #suggestions = el("p", { class: "suggestions" });
  #status = el("p", { class: "quiet", role: "status" });
  #error = el("p", { class: "error", role: "alert", hidden: true });
  #list = el("ol", { class: "results" });

  constructor(section, { found, recall }) {
    this.#found = found;
    this.#recall = recall;
    const form = el(
      "form",
      {
        class: "search-form",
        onsubmit: (event) => {
          event.preventDefault();
          this.run();
        },
      },
      el("div", { class: "row" }, this.#input, this.#k, el("button", { type: "submit", class: "primary" }, "Search")),
      el("label", { class: "row filter" }, el("span", {}, "Filter"), this.#filter),
      this.#tuning,
    );
    const title = el("h2", { id: "search-title" }, "Search");
    section.replaceChildren(title, form, this.#suggestions, this.#error, this.#status, this.#list);
  }

  reset(collection) {
    this.#collection = collection;
    ++this.#turn;
    this.#input.value = "";
    this.#filter.value = "";
    this.#wanted.value = "";
    this.#tuned.textContent = "";
    this.#tune.disabled = false;
    this.#tuning.hidden = collection.isExact;
    this.#showWanted();
    this.#input.placeholder = "An id, a word, or a vector";
    this.#input.setAttribute("aria-label", `An id or a vector of ${collection.dim} numbers`);
    this.#suggestions.replaceChildren();
    this.#list.replaceChildren();
    this.#status.textContent = "";
    this.#error.hidden = true;
  }

  suggest(ids) {
    const buttons = ids.map((id) => el("button", { type: "button", class: "link", onclick: () => this.searchFor(id) }, id));
    this.#suggestions.replaceChildren("Try ", ...buttons);
  }

  /** The recall that the button tunes to. */
  #goal() {
    return Number(this.#wanted.value) || 0.95;
  }

  #showWanted() {
    this.#tune.textContent = `Tune to recall ${number(this.#goal())}`;
  }

  async #runTuning() {
    const collection = this.#collection;
    const wanted = this.#goal();
    this.#tune.disabled = true;
    this.#tuned.textContent = "Measuring …";
    let told;
    try {
      const tuning = await post(below(collection.name, "tune"), {});
      told = tuningTold(tuning, wanted);
      if (collection === this.#collection && tuning["curve-items"] !== undefined) this.#wanted.value = String(wanted);
    } catch (error) {
      told = error.message;
    }
    if (collection !== this.#collection) return;
    this.#tune.disabled = false;
    this.#tuned.textContent = told;
    this.#showWanted();
  }

  searchFor(id) {
    this.#input.value = id;
    return this.run();
  }

  async run() {
    const turn = ++this.#turn;
    const { name, dim } = this.#collection;
    const text = this.#input.value.trim();
    this.#error.hidden = true;
    try {
      let vector = readVector(text);
      let id = null;
      if (vector === null) {
        id = text;
        ({ vector } = await get(below(name, "vectors", text)));
        if (turn !== this.#turn) return;
      }
      const began = performance.now();
      const pictures = isPicture(dim);
      const body = { vector, k: Number(this.#k.value) || 10, filter: readFilter(this.#filter.value), include_vectors: true };
      if (this.#wanted.value) body.recall = Number(this.#wanted.value);
      const { results } = await post(below(name, "search"), body);
      if (turn !== this.#turn) return;
      this.#status.textContent = `${results.length} results in ${seconds((performance.now() - began) / 1000)}, as seen from here`;
      this.#show(results, id, pictures);
      this.#found({ id, vector, results });
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#error.textContent = error.message;
      this.#error.hidden = false;
      this.#status.textContent = "";
      this.#list.replaceChildren();
    }
  }

  #show(results, query, pictures) {
    const far = Math.max(...results.map(({ distance }) => Math.abs(distance)), 1e-30);
    this.#list.replaceChildren(
      ...results.map((result) => {
        const gauge = el("i", { class: "gauge" });
        gauge.style.setProperty("--share", Math.abs(result.distance) / far);
        const picture = pictures ? el("canvas", { class: "thumb", "aria-hidden": "true" }) : null;
        const recall = el("button", { type: "button", class: "link small", onclick: () => this.#recall(result.id) }, "recall");
        const row = el(
          "li",
          { class: result.id === query ? "self" : undefined, "data-id": result.id },
          picture,
          el("button", { type: "button", class: "link id", onclick: () => this.searchFor(result.id) }, result.id),
          metadataChips(result.metadata),
          this.#collection.recalls ? recall : null,
          el("span", { class: "distance" }, number(result.distance), gauge),
        );
        return row;
      }),
    );
    if (!pictures) return;
    this.#list.querySelectorAll("canvas").forEach((canvas, i) => drawVector(canvas, results[i].vector));
  }
}

// SPDX-License-Identifier: Apache-2.0
// A search by an id, a word or a vector, and what it found.

import { below, get, post } from "./api.js";
import { el, number, seconds } from "./dom.js";
import { drawVector, isPicture } from "./image.js";

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
    );
    const title = el("h2", { id: "search-title" }, "Search");
    section.replaceChildren(title, form, this.#suggestions, this.#error, this.#status, this.#list);
  }

  reset(collection) {
    this.#collection = collection;
    ++this.#turn;
    this.#input.value = "";
    this.#filter.value = "";
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
      }
      const began = performance.now();
      const pictures = isPicture(dim);
      const body = { vector, k: Number(this.#k.value) || 10, filter: readFilter(this.#filter.value), include_vectors: true };
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

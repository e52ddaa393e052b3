// SPDX-License-Identifier: Apache-2.0
// The numbers of a collection, and how they move.

import { MovingChart } from "./charts.js";
import { bytes, count, el, number, seconds } from "./dom.js";
import { difference, ofIndex, quantile, total } from "./metrics.js";

const kParts = [
  ["vectors", "Vectors", "a"],
  ["structure", "Index", "b"],
  ["bookkeeping", "Keys and slots", "c"],
  ["attributes", "Attributes", "d"],
  ["strengths", "Strengths", "e"],
];

function tile(title) {
  const value = el("strong", {}, "–");
  const note = el("span", { class: "quiet" });
  return { box: el("div", { class: "card tile" }, el("h3", {}, title), value, note), value, note };
}

/** Bytes by part: as metrics tell them, else as far as the collection itself does. */
function memoryParts(info, metrics) {
  if (metrics && Object.keys(metrics.memory).length > 0) return metrics.memory;
  return {
    vectors: info["vectors-bytes"] ?? 0,
    structure: info["index-bytes"] ?? 0,
    bookkeeping: info["bookkeeping-bytes"] ?? 0,
    attributes: (info["attributes-bytes"] ?? 0) + (info["attribute-columns-bytes"] ?? 0),
    strengths: info["strengths-bytes"] ?? 0,
  };
}

/** The measured recall with the k that most searches had. */
function measuredRecall(info) {
  const all = Object.keys(info)
    .map((name) => /^measured-recall-at-(\d+)$/.exec(name)?.[1])
    .filter(Boolean)
    .sort((a, b) => info[`measured-searches-at-${b}`] - info[`measured-searches-at-${a}`]);
  if (all.length === 0) return null;
  const [k] = all;
  return {
    k,
    recall: info[`measured-recall-at-${k}`],
    low: info[`measured-low-at-${k}`],
    high: info[`measured-high-at-${k}`],
    searches: info[`measured-searches-at-${k}`],
  };
}

export class Overview {
  #section;
  #before = null; // {now, metrics}
  #tiles = { items: tile("Items"), memory: tile("Memory"), latency: tile("Search latency"), recall: tile("Measured recall") };
  #bar = el("div", { class: "bar", role: "img" });
  #legend = el("ul", { class: "legend" });
  #charts;
  #cards; // of the charts: latency, recall, rate
  #quietSeconds = null; // the last percentiles, which stand until there are others

  constructor(section) {
    this.#section = section;
    const { items, memory, latency, recall } = this.#tiles;
    memory.box.append(this.#bar, this.#legend);
    const boxes = ["Latency of searches", "Recall of searches", "Searches and inserts"].map((title) => {
      const box = el("div", { class: "chart" });
      return { box, card: el("div", { class: "card" }, el("h3", {}, title), box), title };
    });
    this.#cards = boxes.map(({ card }) => card);
    section.replaceChildren(
      el("div", { class: "tiles" }, items.box, memory.box, latency.box, recall.box),
      el("div", { class: "charts" }, ...this.#cards),
    );
    const ratio = (value) => `${Number((value * 100).toPrecision(4))} %`;
    const rate = (value) => `${count(value)}/s`;
    this.#charts = {
      latency: new MovingChart(boxes[0].box, {
        label: "p50, p95 and p99 of the latency of searches over time",
        series: [
          { name: "p50", colour: "a" },
          { name: "p95", colour: "b" },
          { name: "p99", colour: "hot" },
        ],
        format: seconds,
        options: { min: 0 },
      }),
      recall: new MovingChart(boxes[1].box, {
        label: "Measured recall of searches over time, with its interval",
        series: [
          { name: "recall", colour: "a" },
          { name: "low", colour: "quiet" },
          { name: "high", colour: "quiet" },
        ],
        format: ratio,
        options: { suggestedMin: 0.9, max: 1 },
      }),
      rate: new MovingChart(boxes[2].box, {
        label: "Searches and inserts per second over time",
        series: [
          { name: "searches", colour: "a", fill: true },
          { name: "inserts", colour: "c", fill: true },
        ],
        format: rate,
        options: { min: 0, suggestedMax: 10 },
      }),
    };
  }

  reset() {
    this.#before = null;
    this.#quietSeconds = null;
    this.#tiles.latency.value.textContent = "–";
    for (const chart of Object.values(this.#charts)) chart.clear();
  }

  /** metrics: null where the server has none. */
  update(collection, families) {
    this.#section.hidden = false;
    const { info } = collection;
    const metrics = families && ofIndex(families, collection.name);
    this.#showItems(collection);
    this.#showMemory(info, metrics);
    this.#showLatency(metrics);
    this.#showRecall(info);
    this.#before = { now: performance.now(), metrics };
  }

  #showItems({ count: items, dim, metric, primitive }) {
    this.#tiles.items.value.textContent = count(items);
    this.#tiles.items.note.textContent = `${dim} dimensions, ${metric}, ${primitive}`;
  }

  #showMemory(info, metrics) {
    const parts = memoryParts(info, metrics);
    const sum = kParts.reduce((all, [part]) => all + (parts[part] ?? 0), 0);
    const { value, note } = this.#tiles.memory;
    value.textContent = bytes(sum);
    note.textContent = info.size > 0 ? `${bytes(Math.round(sum / info.size))} per item` : "";
    const shown = kParts.filter(([part]) => parts[part] > 0);
    this.#bar.replaceChildren(
      ...shown.map(([part, , tint]) => {
        const piece = el("i", { class: `tint-${tint}` });
        piece.style.flexGrow = parts[part] / sum;
        return piece;
      }),
    );
    const texts = shown.map(([part, name]) => `${name} ${bytes(parts[part])}`);
    this.#bar.setAttribute("aria-label", texts.join(", "));
    this.#legend.replaceChildren(...shown.map(([, , tint], i) => el("li", {}, el("i", { class: `tint-${tint}` }), texts[i])));
  }

  #showLatency(metrics) {
    const { value, note } = this.#tiles.latency;
    this.#cards[0].hidden = this.#cards[2].hidden = !metrics;
    if (!metrics) {
      note.textContent = "This server has no metrics.";
      return;
    }
    const before = this.#before?.metrics;
    const elapsed = before ? (performance.now() - this.#before.now) / 1000 : NaN;
    const counted = difference(metrics.searches, before?.searches);
    const quantiles = [0.5, 0.95, 0.99].map((share) => quantile(counted, share));
    if (total(counted) > 0) this.#quietSeconds = quantiles;
    const [p50, p95, p99] = this.#quietSeconds ?? [];
    value.textContent = seconds(p50);
    note.textContent = this.#quietSeconds ? `p95 ${seconds(p95)}, p99 ${seconds(p99)}` : "No searches yet";
    if (!before) return;
    this.#charts.latency.push(quantiles.map((each) => (Number.isNaN(each) ? null : each)));
    this.#charts.rate.push([total(counted) / elapsed, Math.max(0, metrics.inserts - before.inserts) / elapsed]);
  }

  #showRecall(info) {
    const { value, note } = this.#tiles.recall;
    const measured = measuredRecall(info);
    this.#cards[1].hidden = !measured;
    if (!measured) {
      const isExact = info.primitive === "flat";
      value.textContent = isExact ? "Exact" : "–";
      note.textContent = isExact ? "Searches look at every item." : "Not measured. VNEW ... MEASURE 0.01 does.";
      return;
    }
    value.textContent = `${number(measured.recall * 100)} %`;
    note.textContent = `at k = ${measured.k}, ${count(measured.searches)} searches`;
    this.#charts.recall.push([measured.recall, measured.low, measured.high]);
  }
}

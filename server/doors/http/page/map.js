// SPDX-License-Identifier: Apache-2.0
// A sample of a collection in the plane of its two principal axes.

import { below, get } from "./api.js";
import { colour, count, el, fitCanvas } from "./dom.js";
import { drawVector, isPicture } from "./image.js";

const kMargin = 34;
const kHues = ["a", "c", "hot", "b", "d", "e", "f", "g", "h", "i"];
const kMostGroups = 10;

function unit(vector) {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((value) => value / length) : vector;
}

/** The field of metadata that best tells a few groups apart: at least two values, at most ten. */
function groupingField(points) {
  const values = new Map();
  for (const { metadata } of points) {
    for (const [name, value] of Object.entries(metadata ?? {})) {
      if (typeof value === "object") continue;
      if (!values.has(name)) values.set(name, new Set());
      values.get(name).add(value);
    }
  }
  const fits = [...values].filter(([, set]) => set.size > 1 && set.size <= kMostGroups);
  fits.sort(([, a], [, b]) => b.size - a.size);
  return fits.length === 0 ? null : { name: fits[0][0], values: [...fits[0][1]].sort() };
}

export class ItemMap {
  #section;
  #pick; // called with the id of a point
  #canvas = el("canvas", { tabindex: -1, role: "img" });
  #tip = el("div", { class: "tip", hidden: true });
  #note = el("p", { class: "quiet" });
  #legend = el("ul", { class: "legend" });
  #error = el("p", { class: "error", role: "alert", hidden: true });
  #collection = null;
  #map = null;
  #groups = null;
  #strengths = null; // of the points, 0 to 1
  #query = null; // {id, at, neighbours: [{id, at, picture}]}
  #path = null; // places of a recall's states
  #step = 0;
  #turn = 0;
  #view = null;

  constructor(section, { pick }) {
    this.#section = section;
    this.#pick = pick;
    this.#canvas.addEventListener("pointermove", (event) => this.#hover(event));
    this.#canvas.addEventListener("pointerleave", () => (this.#tip.hidden = true));
    this.#canvas.addEventListener("click", (event) => {
      const point = this.#nearest(event);
      if (point) this.#pick(point.id);
    });
    const plot = el("div", { class: "plot" }, this.#canvas, this.#tip);
    section.replaceChildren(el("h2", { id: "map-title" }, "Map"), plot, this.#legend, this.#note, this.#error);
    new ResizeObserver(() => this.draw()).observe(plot);
    document.addEventListener("theme", () => this.draw());
  }

  get points() {
    return this.#map?.points ?? [];
  }

  /** Loads the map of a collection; returns its points, none if that failed, null if another was chosen meanwhile. */
  async load(collection) {
    const turn = ++this.#turn;
    this.#collection = collection;
    this.#map = this.#query = this.#path = this.#strengths = null;
    this.#error.hidden = true;
    this.#note.textContent = "";
    this.#legend.replaceChildren();
    this.draw();
    let map;
    try {
      map = await get(`${below(collection.name, "map")}?sample=1500`);
    } catch (error) {
      if (turn !== this.#turn) return null;
      this.#error.textContent = error.message;
      this.#error.hidden = false;
      return [];
    }
    if (turn !== this.#turn) return null;
    this.#map = map;
    this.#groups = groupingField(map.points);
    this.#note.textContent = `${count(map.points.length)} of ${count(collection.count)} items along the two axes on which they vary most`;
    this.#showLegend();
    this.draw();
    return map.points;
  }

  #showLegend() {
    this.#legend.replaceChildren(
      ...(this.#groups?.values ?? []).map((value, i) => el("li", {}, el("i", { class: `tint-${kHues[i % kHues.length]}` }), String(value))),
    );
  }

  /** Where a vector lies. */
  place(vector) {
    if (!this.#map || vector.length !== this.#map.axes[0].length) return null;
    const row = this.#collection.metric === "cosine" ? unit(vector) : vector;
    return this.#map.axes.map((axis, k) => axis.reduce((sum, value, i) => sum + value * row[i], -this.#map.origin[k]));
  }

  /** Lights the neighbours of a query. */
  light({ id, vector, results }) {
    const pictures = isPicture(this.#collection.dim);
    this.#path = null;
    this.#query = {
      id,
      at: this.place(vector),
      neighbours: results.map((result) => {
        const picture = pictures ? new OffscreenCanvas(28, 28) : null;
        if (picture) drawVector(picture, result.vector);
        return { id: result.id, at: this.place(result.vector), picture };
      }),
    };
    this.draw();
    this.#section.dataset.lit = this.#query.neighbours.filter(({ at }) => at).length;
  }

  /** Draws the path of a recall: its states, and which of them is looked at. */
  follow(states, step) {
    this.#query = null;
    this.#path = states.map((state) => this.place(state)).filter(Boolean);
    this.#step = step;
    this.draw();
  }

  /** Strengths of the points, 0 to 1, in their order. */
  fade(strengths) {
    this.#strengths = strengths;
    this.draw();
  }

  #fit(width, height) {
    const all = this.#map.points.map(({ x, y }) => [x, y]);
    const extra = [this.#query?.at, ...(this.#query?.neighbours.map(({ at }) => at) ?? []), ...(this.#path ?? [])];
    all.push(...extra.filter(Boolean));
    const bounds = [0, 1].map((k) => {
      const values = all.map((at) => at[k]);
      return [values.reduce((a, b) => Math.min(a, b), Infinity), values.reduce((a, b) => Math.max(a, b), -Infinity)];
    });
    const size = [width, height];
    const scale = bounds.map(([low, high], k) => (size[k] - 2 * kMargin) / (high - low || 1));
    return ([x, y]) => [kMargin + (x - bounds[0][0]) * scale[0], height - kMargin - (y - bounds[1][0]) * scale[1]];
  }

  draw() {
    const { context, width, height } = fitCanvas(this.#canvas);
    this.#view = null;
    if (!this.#map || this.#map.points.length === 0 || width === 0) return;
    const to = this.#fit(width, height);
    this.#view = { to };
    context.lineCap = context.lineJoin = "round";
    this.#drawPoints(context, to);
    this.#labels = [];
    if (this.#query?.at) this.#drawQuery(context, to);
    else if (!this.#path) this.#drawSomeNames(context, to, width);
    if (this.#path) this.#drawPath(context, to);
    const lit = this.#query ? `; lit: ${this.#query.neighbours.map(({ id }) => id).join(", ")}` : "";
    this.#canvas.setAttribute("aria-label", `Map of ${this.#map.points.length} items${lit}`);
  }

  #labels = [];

  #drawPoints(context, to) {
    const dim = this.#query || this.#path ? 0.3 : 0.62;
    const tints = kHues.map((name) => colour(name));
    const other = colour("quiet");
    this.#map.points.forEach((point, i) => {
      const [x, y] = to([point.x, point.y]);
      const strength = this.#strengths ? this.#strengths[i] : 1;
      const group = this.#groups ? this.#groups.values.indexOf(point.metadata?.[this.#groups.name]) : 0;
      context.globalAlpha = dim * (0.06 + 0.94 * strength);
      context.fillStyle = group < 0 ? other : tints[group % tints.length];
      context.beginPath();
      context.arc(x, y, 1.6 + 1.2 * Math.sqrt(strength), 0, 2 * Math.PI);
      context.fill();
    });
    context.globalAlpha = 1;
  }

  /** A label where none overlaps another; returns whether there was room. */
  #label(context, text, x, y, { bold = false, tint = "text" } = {}) {
    context.font = `${bold ? 600 : 400} 12px system-ui, sans-serif`;
    const width = context.measureText(text).width;
    const right = this.#canvas.clientWidth;
    for (const [dx, dy] of [[8, 4], [-8 - width, 4], [-width / 2, -9], [-width / 2, 18]]) {
      const box = [x + dx - 2, y + dy - 11, x + dx + width + 2, y + dy + 4];
      if (box[0] < 0 || box[2] > right) continue;
      if (this.#labels.some((other) => box[0] < other[2] && other[0] < box[2] && box[1] < other[3] && other[1] < box[3])) continue;
      this.#labels.push(box);
      context.lineWidth = 3;
      context.strokeStyle = colour("card");
      context.strokeText(text, x + dx, y + dy);
      context.fillStyle = colour(tint);
      context.fillText(text, x + dx, y + dy);
      return true;
    }
    return false;
  }

  #drawSomeNames(context, to, width) {
    if (isPicture(this.#collection.dim)) return;
    const { points } = this.#map;
    const wanted = width < 500 ? 14 : 36;
    const stride = Math.max(1, Math.floor(points.length / wanted));
    for (let i = 0; i < points.length; i += stride) {
      if (points[i].id.length > 18) continue;
      context.globalAlpha = this.#strengths ? Math.sqrt(this.#strengths[i]) : 1;
      this.#label(context, points[i].id, ...to([points[i].x, points[i].y]), { tint: "quiet" });
    }
    context.globalAlpha = 1;
  }

  #drawQuery(context, to) {
    const [qx, qy] = to(this.#query.at);
    const neighbours = this.#query.neighbours.filter(({ at, id }) => at && id !== this.#query.id);
    context.strokeStyle = colour("hot");
    context.lineWidth = 1.2;
    context.globalAlpha = 0.45;
    for (const { at } of neighbours) {
      const [x, y] = to(at);
      context.beginPath();
      context.moveTo(qx, qy);
      context.lineTo(x, y);
      context.stroke();
    }
    context.globalAlpha = 1;
    neighbours.forEach(({ at, picture }) => {
      const [x, y] = to(at);
      if (picture) {
        context.imageSmoothingEnabled = false;
        context.drawImage(picture, x - 13, y - 13, 26, 26);
        context.lineWidth = 1.5;
        context.strokeStyle = colour("hot");
        context.strokeRect(x - 13, y - 13, 26, 26);
        return;
      }
      this.#dot(context, x, y, 5, "hot");
    });
    this.#dot(context, qx, qy, 7, "b");
    this.#label(context, this.#query.id ?? "query", qx, qy, { bold: true });
    neighbours.forEach(({ at, id, picture }) => {
      if (!picture) this.#label(context, id, ...to(at));
    });
  }

  #drawPath(context, to) {
    const places = this.#path.map(to);
    context.strokeStyle = colour("b");
    context.lineWidth = 2.5;
    context.beginPath();
    places.forEach(([x, y], i) => (i === 0 ? context.moveTo(x, y) : context.lineTo(x, y)));
    context.stroke();
    places.forEach(([x, y], i) => this.#dot(context, x, y, i === this.#step ? 8 : 4, i === this.#step ? "hot" : "b"));
    if (places.length === 0) return;
    this.#label(context, "cue", ...places[0], { bold: true });
    if (places.length > 1) this.#label(context, "state", ...places.at(-1), { bold: true });
  }

  #dot(context, x, y, radius, tint) {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour(tint);
    context.fill();
    context.lineWidth = 2;
    context.strokeStyle = colour("card");
    context.stroke();
  }

  #nearest(event) {
    if (!this.#view) return null;
    const box = this.#canvas.getBoundingClientRect();
    const at = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    let least = 14 ** 2;
    const lit = (this.#query?.neighbours ?? []).filter(({ at: there }) => there).map(({ id, at: [x, y] }) => ({ id, x, y }));
    for (const point of [...lit, ...this.#map.points]) {
      const [x, y] = this.#view.to([point.x, point.y]);
      const far = (x - at[0]) ** 2 + (y - at[1]) ** 2;
      if (far < least) [best, least] = [{ id: point.id, x, y }, far];
    }
    return best;
  }

  #hover(event) {
    const point = this.#nearest(event);
    this.#tip.hidden = !point;
    this.#canvas.style.cursor = point ? "pointer" : "";
    if (!point) return;
    this.#tip.textContent = point.id;
    this.#tip.style.left = `${point.x}px`;
    this.#tip.style.top = `${point.y}px`;
  }
}

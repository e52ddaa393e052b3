// SPDX-License-Identifier: Apache-2.0
// Moving charts and traces, by Chart.js; without it, a sentence instead.

import { colour, el } from "./dom.js";

const kWindow = 90; // samples
const all = new Set();

function style(chart, series) {
  const { scales } = chart.options;
  for (const axis of Object.values(scales)) {
    axis.grid.color = colour("line");
    axis.ticks.color = colour("quiet");
    if (axis.title) axis.title.color = colour("quiet");
  }
  chart.options.plugins.legend.labels.color = colour("quiet");
  series.forEach((each, i) => {
    const line = chart.data.datasets[i];
    line.borderColor = colour(each.colour);
    line.pointBackgroundColor = colour(each.colour);
    line.backgroundColor = `${colour(each.colour)}26`;
  });
  chart.update("none");
}

document.addEventListener("theme", () => all.forEach(({ chart, series }) => style(chart, series)));

function make(box, { label, series, format, xTitle, options = {}, legend = true }) {
  if (typeof Chart === "undefined") {
    box.replaceChildren(el("p", { class: "quiet" }, "This build has no charts."));
    return null;
  }
  const canvas = el("canvas", { role: "img", "aria-label": label });
  box.replaceChildren(canvas);
  const y = {
    grid: { drawBorder: false },
    ticks: { maxTicksLimit: 5, callback: (value) => format(value) },
    ...options,
  };
  const x = { type: "linear", grid: { display: false, drawBorder: false }, ticks: { maxTicksLimit: 6, precision: 0, maxRotation: 0 } };
  if (xTitle) x.title = { display: true, text: xTitle };
  else x.ticks.callback = (value) => (value === 0 ? "now" : `${value} s`);
  const chart = new Chart(canvas, {
    type: "line",
    data: {
      datasets: series.map(({ name, fill }) => ({
        label: name,
        data: [],
        fill: fill ?? false,
        borderWidth: 2,
        pointRadius: 0,
        pointHitRadius: 12,
        tension: 0.2,
        spanGaps: true,
      })),
    },
    options: {
      animation: false,
      responsive: true,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: { x, y },
      plugins: {
        legend: { display: legend && series.length > 1, align: "end", labels: { boxWidth: 10, boxHeight: 2 } },
        tooltip: { callbacks: { title: () => "", label: (item) => `${item.dataset.label}: ${format(item.raw.y)}` } },
      },
    },
  });
  const kept = { chart, series };
  all.add(kept);
  style(chart, series);
  return kept;
}

/** A chart that moves: push() adds a value for each series, null where there is none. */
export class MovingChart {
  #kept;
  #rows = [];

  constructor(box, settings) {
    this.#kept = make(box, settings);
    this.clear();
  }

  push(values) {
    if (!this.#kept) return;
    const now = performance.now() / 1000;
    this.#rows.push({ now, values });
    if (this.#rows.length > kWindow) this.#rows.shift();
    const { chart } = this.#kept;
    chart.data.datasets.forEach((line, i) => {
      line.data = this.#rows.map((row) => ({ x: Math.round(row.now - now), y: row.values[i] }));
    });
    chart.resize();
    chart.options.scales.x.min = Math.min(-10, Math.round(this.#rows[0].now - now));
    chart.options.scales.x.max = 0;
    chart.update("none");
  }

  clear() {
    this.#rows = [];
    if (!this.#kept) return;
    const { chart } = this.#kept;
    for (const line of chart.data.datasets) line.data = [];
    Object.assign(chart.options.scales.x, { min: -10, max: 0 });
    chart.update("none");
  }
}

/** The round number of steps from one label to the next, so that there are few. */
export function labelStride(steps) {
  const kMostLabels = 6;
  for (let power = 1; ; power *= 10) {
    const stride = [1, 2, 5].map((each) => each * power).find((each) => steps <= each * kMostLabels);
    if (stride) return stride;
  }
}

/** A trace of numbers from 0 on, one of which is marked. */
export class Trace {
  #kept;

  constructor(box, settings) {
    this.#kept = make(box, { ...settings, legend: false });
    if (this.#kept) Object.assign(this.#kept.chart.data.datasets[0], { tension: 0, clip: 8 });
  }

  show(values, marked) {
    if (!this.#kept) return;
    const { chart } = this.#kept;
    chart.resize();
    const [line] = chart.data.datasets;
    line.data = values.map((y, x) => ({ x, y }));
    const steps = Math.max(1, values.length - 1);
    const stride = labelStride(steps);
    line.pointRadius = values.map((_, i) => (i === marked ? 6 : stride > 2 ? 1.5 : 3));
    chart.options.scales.x.max = steps;
    // Else the last step has a label, however near the one before is.
    Object.assign(chart.options.scales.x.ticks, { stepSize: stride, includeBounds: false });
    chart.update("none");
  }
}

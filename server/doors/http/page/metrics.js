// SPDX-License-Identifier: Apache-2.0
// The server's metrics, in the text format of Prometheus.

const kSample = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const kLabel = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;

const unescape = (text) => text.replace(/\\(.)/g, (_, c) => (c === "n" ? "\n" : c));
const toNumber = (text) => (text === "+Inf" ? Infinity : Number(text));

/** Samples by name: [{labels, value}]. */
export function parse(text) {
  const families = new Map();
  for (const line of text.split("\n")) {
    const found = line.startsWith("#") ? null : kSample.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] ?? "").matchAll(kLabel)) labels[name] = unescape(value);
    if (!families.has(found[1])) families.set(found[1], []);
    families.get(found[1]).push({ labels, value: toNumber(found[3]) });
  }
  return families;
}

const of = (families, name, index) => (families.get(name) ?? []).filter(({ labels }) => labels.index === index);

/** What the metrics say of one index. */
export function ofIndex(families, index) {
  const buckets = (name) =>
    of(families, `${name}_bucket`, index)
      .map(({ labels, value }) => ({ le: toNumber(labels.le), count: value }))
      .sort((a, b) => a.le - b.le);
  const byLabel = (name, label) =>
    Object.fromEntries(of(families, name, index).map(({ labels, value }) => [labels[label], value]));
  return {
    searches: buckets("engram_search_duration_seconds"),
    inserts: of(families, "engram_insert_duration_seconds_count", index)[0]?.value ?? 0,
    memory: byLabel("engram_index_memory_bytes", "part"),
    recall: byLabel("engram_index_recall_ratio", "k"),
    low: byLabel("engram_index_recall_low_ratio", "k"),
    high: byLabel("engram_index_recall_high_ratio", "k"),
  };
}

/** What was counted between two looks at the same buckets. */
export function difference(now, before) {
  const counted = (list, le) => list?.filter((bucket) => bucket.le <= le).at(-1)?.count ?? 0;
  return now.map(({ le, count }) => ({ le, count: Math.max(0, count - counted(before, le)) }));
}

export const total = (buckets) => buckets.at(-1)?.count ?? 0;

/** The quantile, by a line within its bucket; NaN if nothing was counted. */
export function quantile(buckets, share) {
  const wanted = share * total(buckets);
  if (!(wanted > 0)) return NaN;
  let below = { le: 0, count: 0 };
  for (const bucket of buckets) {
    if (bucket.count >= wanted) {
      if (!Number.isFinite(bucket.le)) return below.le;
      const part = (wanted - below.count) / (bucket.count - below.count);
      return below.le + part * (bucket.le - below.le);
    }
    below = bucket;
  }
  return below.le;
}

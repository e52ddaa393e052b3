// SPDX-License-Identifier: Apache-2.0
// The page: which collection is looked at, and what is asked how often.

import { ApiError, below, get, health, text } from "./api.js";
import { byId, count, el } from "./dom.js";
import { Fading } from "./fading.js";
import { ItemMap } from "./map.js";
import { parse } from "./metrics.js";
import { Overview } from "./overview.js";
import { Playground } from "./playground.js";
import { Search } from "./search.js";

const kPollMs = 1500;

let primitives = new Map();
let collections = [];
let isListed = false; // whether the server has told of them
let chosen = null; // the name; null until there is one, and when what was asked of it failed
let turn = 0; // counts choices: an answer that comes after the next one is dropped
let chosenCount = 0; // of its items, when it was chosen
let hasMetrics = true;
let isTroubled = false; // the problem that is shown is the server's state

function showProblem(sentence) {
  const box = byId("problem");
  box.hidden = !sentence;
  box.textContent = sentence ?? "";
}

/** Runs `work`; what it cannot do is shown. */
async function attempt(work) {
  try {
    await work();
  } catch (error) {
    showProblem(error.message);
  }
}

const overview = new Overview(byId("overview"));
const playground = new Playground(byId("recall"), { followed: (states, step) => isFollowed && map.follow(states, step) });
const search = new Search(byId("search"), {
  found: (found) => {
    isFollowed = false;
    map.light(found);
  },
  recall: (id) => {
    isFollowed = true;
    byId("recall").scrollIntoView({ behavior: "smooth" });
    attempt(() => playground.take(id));
  },
});
const map = new ItemMap(byId("map"), { pick: (id) => search.searchFor(id) });
const fading = new Fading(byId("map"), map);
let isFollowed = false; // whether the map shows the path of a recall

byId("recall").addEventListener("input", () => (isFollowed = true), true);
byId("recall").addEventListener("click", () => (isFollowed = true), true);
byId("recall").addEventListener("pointerdown", () => (isFollowed = true), true);

function showCollections() {
  const box = byId("collections");
  const focused = box.contains(document.activeElement);
  box.replaceChildren(
    ...collections.map((each) =>
      el(
        "button",
        {
          type: "button",
          role: "radio",
          class: "collection",
          "aria-checked": String(each.name === chosen),
          tabindex: each.name === chosen ? 0 : -1,
          onclick: () => attempt(() => choose(each.name)),
        },
        el("b", {}, each.name),
        el("span", {}, each.error ?? `${count(each.count)} · ${each.primitive}`),
      ),
    ),
  );
  if (focused) box.querySelector("[aria-checked=true]")?.focus();
  byId("welcome").hidden = collections.length > 0;
  byId("pair").hidden = collections.length === 0;
  if (collections.length === 0) byId("overview").hidden = byId("recall").hidden = true;
}

byId("collections").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (!step || collections.length === 0) return;
  event.preventDefault();
  const at = collections.findIndex(({ name }) => name === chosen);
  attempt(() => choose(collections[(at + step + collections.length) % collections.length].name));
});

async function describe(name) {
  const collection = await get(below(name));
  const primitive = primitives.get(collection.primitive);
  collection.recalls = primitive?.recalls ?? false;
  collection.isExact = primitive?.exact ?? true;
  return collection;
}

async function choose(name) {
  const mine = ++turn;
  try {
    await open(name, mine);
    if (mine === turn) showProblem(null);
  } catch (error) {
    if (mine !== turn) return;
    chosen = null;
    throw error;
  }
}

/** Shows a collection, as long as `mine` is the last choice. */
async function open(name, mine) {
  chosen = name;
  isFollowed = false;
  const address = new URL(location);
  address.searchParams.set("collection", name);
  history.replaceState(null, "", address);
  showCollections();
  const collection = await describe(name);
  if (mine !== turn) return;
  chosenCount = collection.count;
  overview.reset();
  search.reset(collection);
  const families = await readMetrics();
  if (mine !== turn) return;
  overview.update(collection, families);
  const points = await map.load(collection);
  if (points === null || mine !== turn) return;
  const spread = [0.15, 0.4, 0.6, 0.85].map((share) => points[Math.floor(share * points.length)]?.id).filter(Boolean);
  search.suggest([...new Set(spread)]);
  fading.reset(collection, points.map(({ id }) => id));
  byId("recall-link").hidden = !collection.recalls;
  await playground.reset(collection, primitives.get(collection.primitive), points[0]?.id);
  if (mine === turn) await poll();
}

async function readMetrics() {
  if (!hasMetrics) return null;
  try {
    return parse(await text("/metrics"));
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error;
    hasMetrics = false;
    return null;
  }
}

async function readPrimitives() {
  const all = (await get("/primitives")).primitives;
  primitives = new Map(all.map((primitive) => [primitive.name, primitive]));
}

async function poll() {
  if (primitives.size === 0) await readPrimitives();
  const listed = (await get("/collections")).collections;
  const changed = !isListed || JSON.stringify(listed) !== JSON.stringify(collections);
  collections = listed;
  isListed = true;
  if (changed) showCollections();
  if (!collections.some(({ name }) => name === chosen)) {
    chosen = null;
    ++turn;
    if (collections.length === 0) return;
    const wanted = new URL(location).searchParams.get("collection");
    return choose((collections.find(({ name }) => name === wanted) ?? collections[0]).name);
  }
  const [name, mine] = [chosen, turn];
  const [collection, families] = await Promise.all([describe(name), readMetrics()]);
  if (mine !== turn) return;
  if (chosenCount === 0 && collection.count > 0) return choose(name);
  overview.update(collection, families);
}

/** Shows how the server is; null: it is well. */
function showTrouble(state, sentence) {
  byId("server").dataset.state = state;
  if (sentence || isTroubled) showProblem(sentence);
  isTroubled = sentence !== null;
}

/** Why the server is not well, by its own words; null if it is. */
async function readHealth() {
  const { status, version, error } = await health();
  byId("server").textContent = `${version} · ${status}`;
  return status === "ok" ? null : `The server is ${status}${error ? `: ${error}` : "."}`;
}

async function keepPolling() {
  if (!document.hidden) {
    let trouble = null;
    try {
      trouble = await readHealth();
      await poll();
      showTrouble(trouble ? "waiting" : "ok", trouble);
    } catch (error) {
      // One that says 503 is there, and says itself why.
      showTrouble(error.status === 503 ? "waiting" : error.status > 0 ? "ok" : "lost", trouble ?? error.message);
    }
  }
  setTimeout(keepPolling, kPollMs);
}

byId("theme").addEventListener("click", () => document.dispatchEvent(new Event("switch-theme")));
addEventListener("unhandledrejection", (event) => showProblem(String(event.reason?.message ?? event.reason)));

keepPolling();

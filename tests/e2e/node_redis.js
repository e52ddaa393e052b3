// SPDX-License-Identifier: Apache-2.0
// node-redis's helpers of vector sets against a server: node_redis.js PACKAGE PORT PROTOCOL
"use strict";
const assert = require("node:assert/strict");

const [, , modules, port, protocol] = process.argv;
const { createClient } = require(`${modules}/redis`);

const near = (actual, expected, tolerance = 1e-6) =>
  assert.ok(Math.abs(actual - expected) <= tolerance, `${actual} is not ${expected}`);

async function addsAndAsks(client) {
  assert.equal(await client.vAdd("s", [1, 0, 0], "a", { QUANT: "NOQUANT", SETATTR: { year: 1980 } }), true);
  assert.equal(await client.vAdd("s", [0, 1, 0], "b", { QUANT: "NOQUANT", CAS: true, EF: 50, M: 16 }), true);
  assert.equal(await client.vAdd("s", [-1, 0, 0], "c", { QUANT: "NOQUANT" }), true);
  assert.equal(await client.vAdd("s", [-1, 0, 0], "c"), false);
  assert.equal(await client.vCard("s"), 3);
  assert.equal(await client.vDim("s"), 3);
  assert.deepEqual(await client.vSim("s", "a"), ["a", "b", "c"]);
  assert.deepEqual(await client.vSim("s", [0, 2, 0], { COUNT: 1, EF: 99, TRUTH: true, NOTHREAD: true }), ["b"]);
  assert.deepEqual(await client.vSim("s", "a", { EPSILON: 0.5 }), ["a", "b"]);
  assert.deepEqual({ ...(await client.vSimWithScores("s", "a")) }, { a: 1, b: 0.5, c: 0 });
  assert.deepEqual(await client.vEmb("s", "c"), [-1, 0, 0]);
  assert.deepEqual(await client.vRange("s", "[b", "+"), ["b", "c"]);
}

async function tellsWhatThereIs(client) {
  const info = await client.vInfo("s");
  assert.deepEqual(
    ["quant-type", "vector-dim", "size", "max-level", "attributes-count", "hnsw-m"].map((name) => info[name]),
    ["f32", 3, 3, 0, 1, 16],
  );
  assert.deepEqual(await client.vLinks("s", "a"), [["b", "c"]]);
  assert.deepEqual((await client.vLinksWithScores("s", "a")).map((level) => ({ ...level })), [{ b: 0.5, c: 0 }]);
  assert.ok(["a", "b", "c"].includes(await client.vRandMember("s")));
  assert.deepEqual((await client.vRandMember("s", 9)).sort(), ["a", "b", "c"]);
  assert.equal((await client.vRandMember("s", -9)).length, 9);
  // No helper of its own yet.
  assert.equal(Number(await client.sendCommand(["VISMEMBER", "s", "a"])), 1);
  assert.equal(Number(await client.sendCommand(["VISMEMBER", "s", "x"])), 0);
}

async function keepsAttributes(client) {
  assert.deepEqual(await client.vGetAttr("s", "a"), { year: 1980 });
  assert.equal(await client.vGetAttr("s", "b"), null);
  assert.equal(await client.vSetAttr("s", "b", { tags: ["x", "y"] }), true);
  assert.deepEqual(await client.vGetAttr("s", "b"), { tags: ["x", "y"] });
  assert.deepEqual(await client.vSim("s", "a", { FILTER: "'x' in .tags", "FILTER-EF": 100 }), ["b"]);
  assert.deepEqual({ ...(await client.vSimWithScores("s", "a", { FILTER: ".year > 1970" })) }, { a: 1 });
  assert.equal(await client.vSetAttr("s", "b", ""), true);
  assert.equal(await client.vGetAttr("s", "b"), null);
  assert.equal(await client.vSetAttr("s", "x", { year: 1 }), false);
}

async function quantizesAndReduces(client) {
  await client.vAdd("q", [3, -4], "e", { QUANT: "Q8" });
  const raw = await client.vEmbRaw("q", "e");
  assert.equal(raw.quantization, "int8");
  near(raw.l2Norm, 5, 0.05);
  near(raw.quantizationRange, 0.8, 0.01);
  const emb = await client.vEmb("q", "e");
  near(emb[0], 3, 0.02);
  near(emb[1], -4, 0.02);
  await client.vAdd("r", [1, 2, 3, 4, 5], "e", { REDUCE: 2 });
  assert.equal(await client.vDim("r"), 2);
  assert.equal((await client.vInfo("r"))["projection-input-dim"], 5);
  near((await client.vSimWithScores("r", [1, 2, 3, 4, 5])).e, 1, 1e-4);
}

async function reportsErrors(client) {
  await assert.rejects(client.vAdd("s", [1], "x"), /Vector dimension mismatch - got 1 but set has 3/);
  await assert.rejects(client.vSim("s", "x"), /element not found in set/);
  await assert.rejects(client.vDim("none"), /key does not exist/);
  assert.deepEqual(await client.vSim("none", "x"), []);
  assert.equal(await client.vCard("none"), 0);
}

async function removes(client) {
  assert.equal(await client.vRem("s", "x"), false);
  for (const element of ["a", "b", "c"]) assert.equal(await client.vRem("s", element), true);
  assert.equal(await client.exists("s"), 0);
}

async function main() {
  const client = createClient({ RESP: Number(protocol), socket: { host: "127.0.0.1", port: Number(port) } });
  client.on("error", (error) => console.error(error));
  await client.connect();
  try {
    for (const step of [addsAndAsks, tellsWhatThereIs, keepsAttributes, quantizesAndReduces, reportsErrors, removes]) {
      await step(client);
    }
  } finally {
    await client.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

// SPDX-License-Identifier: Apache-2.0
// Every operation of /openapi.json by the fetch of Node, done right and done wrong: http_fetch.js URL PASSWORD
import assert from "node:assert/strict";

const [base, password] = process.argv.slice(2);
const walked = new Set();
const refused = new Set();

function send(method, path, body, headers = {}) {
  const request = { method, headers: { Authorization: `Bearer ${password}`, ...headers } };
  if (body !== undefined) {
    request.headers["Content-Type"] ??= "application/json";
    request.body = typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  }
  return fetch(base + path, request);
}

/** The answer to what must succeed; notes that it was asked. */
async function ask(status, method, path, body, headers) {
  const response = await send(method, path, body, headers);
  const text = await response.text();
  assert.equal(response.status, status, `${method} ${path}: ${text.slice(0, 200)}`);
  walked.add(`${method} ${path.split("?")[0]}`);
  const isJson = (response.headers.get("content-type") ?? "").startsWith("application/json");
  return isJson ? JSON.parse(text) : text;
}

/** What must fail, with that status and a sentence in which `part` stands. */
async function refuse(status, part, method, path, body, headers) {
  const response = await send(method, path, body, headers);
  const answer = await response.json();
  assert.equal(response.status, status, `${method} ${path}: ${answer.error}`);
  assert.ok(answer.error.toLowerCase().includes(part.toLowerCase()), `${method} ${path}: ${answer.error}`);
  refused.add(`${method} ${path.split("?")[0]}`);
  return response;
}

async function vectors(prefix) {
  const items = ["a", "b", "c"].map((id, i) => ({ id, vector: [i, 1, 0], metadata: { i } }));
  await ask(201, "POST", `${prefix}/vectors`, items[0]);
  assert.deepEqual(await ask(201, "POST", `${prefix}/vectors/batch`, { vectors: items }), { stored: 3, created: 2 });
  const page = await ask(200, "GET", `${prefix}/vectors?limit=2&metadata=true&vectors=true`);
  assert.equal(page.vectors.length, 2);
  const rest = await ask(200, "GET", `${prefix}/vectors?limit=2&cursor=${encodeURIComponent(page.next)}`);
  assert.equal(rest.vectors.length, 1);
  assert.deepEqual((await ask(200, "GET", `${prefix}/vectors/b`)).vector, [1, 1, 0]);
  const found = await ask(200, "POST", `${prefix}/search`, { vector: [2, 1, 0], k: 2, filter: ".i < 2" });
  assert.deepEqual(found.results.map((one) => one.id), ["b", "a"]);
  const batch = await ask(200, "POST", `${prefix}/search/batch`, { vectors: [[0, 1, 0], [2, 1, 0]], k: 1 });
  assert.deepEqual(batch.results.map((one) => one[0].id), ["a", "c"]);
  await refuse(400, "vector", "POST", `${prefix}/vectors`, { id: "d", vector: [1, 2] });
  await refuse(400, "vectors[1]", "POST", `${prefix}/vectors/batch`, { vectors: [items[0], { id: "x", vector: "?" }] });
  await refuse(400, "limit", "GET", `${prefix}/vectors?limit=-1`);
  await refuse(404, "nobody", "GET", `${prefix}/vectors/nobody`);
  await refuse(400, "k", "POST", `${prefix}/search`, { vector: [1, 1, 1], k: 0 });
  await refuse(400, "vectors", "POST", `${prefix}/search/batch`, { vectors: 7 });
  await ask(200, "DELETE", `${prefix}/vectors/c`);
  await refuse(404, "c", "DELETE", `${prefix}/vectors/c`);
}

async function memory() {
  const at = "/collections/memory";
  const options = { BETA: 20, DECAY: "exp 3600000" };
  await ask(201, "PUT", at, { dim: 3, metric: "l2", primitive: "hopfield", options });
  await refuse(409, "memory", "PUT", at, { dim: 4 });
  await vectors(at);
  await ask(200, "GET", at);
  assert.equal((await ask(200, "POST", `${at}/recall`, { vector: [0.9, 1, 0], mask: "0-1" })).state.length, 3);
  await ask(200, "POST", `${at}/energy`, { vector: [1, 1, 0] });
  await ask(200, "POST", `${at}/tune`, { sample: 2, seed: 1 });
  await ask(200, "GET", `${at}/diag?sample=2&seed=1`);
  await ask(200, "GET", `${at}/map?sample=10`);
  await ask(200, "POST", `${at}/touch`, { ids: ["a"], gain: 1 });
  await ask(200, "POST", `${at}/strengths`, { ids: ["a", "b"] });
  await ask(200, "POST", `${at}/forget`, { below: 0.001 });
  await ask(200, "POST", `${at}/consolidate`, { radius: 0.01 });
  for (const name of ["recall", "energy", "touch", "strengths", "forget", "consolidate", "tune"]) {
    await refuse(400, "field", "POST", `${at}/${name}`, { nothing: 1 });
  }
  await refuse(400, "sample", "GET", `${at}/diag?sample=many`);
  await refuse(400, "sample", "GET", `${at}/map?sample=many`);
  await ask(200, "DELETE", at);
  await refuse(404, "memory", "DELETE", at);
  await refuse(404, "memory", "GET", at);
}

async function service() {
  await ask(200, "GET", "/health");
  await ask(200, "GET", "/collections");
  await ask(200, "GET", "/primitives");
  await ask(200, "POST", "/snapshot");
  assert.match(await ask(200, "GET", "/metrics"), /^engram_build_info/m);
  assert.ok("total_queries" in (await ask(200, "GET", "/metrics", undefined, { Accept: "application/json" })));
  for (const page of ["/", "/docs", "/assets/page.css"]) assert.ok((await ask(200, "GET", page)).length > 0);
}

/** What concerns any route. */
async function errors() {
  await refuse(401, "password", "GET", "/vectors", undefined, { Authorization: "Bearer wrong" });
  await refuse(404, "/nowhere", "GET", "/nowhere");
  const response = await refuse(405, "PATCH", "PATCH", "/vectors", {});
  assert.equal(response.headers.get("allow").split(", ").sort().join(), "GET,HEAD,POST");
  await refuse(415, "application/json", "POST", "/search", "[]", { "Content-Type": "text/plain" });
  await refuse(400, "JSON", "POST", "/search", "{");
  const large = await send("POST", "/search", " ".repeat(64 << 20)).catch((error) => error);
  assert.ok(large instanceof Error || large.status === 413);
}

await vectors("");
await memory();
await service();
await errors();
const { paths } = await ask(200, "GET", "/openapi.json");
for (const [path, operations] of Object.entries(paths)) {
  const route = path.replace(/\{\w+\}/g, "[^/]+");
  for (const method of Object.keys(operations)) {
    const is = (asked) => new RegExp(`^${method.toUpperCase()} ${route}$`).test(asked);
    assert.ok([...walked].some(is), `${method} ${path} was not asked`);
    const takesInput = operations[method].requestBody !== undefined || path.includes("{");
    assert.ok(!takesInput || path.startsWith("/assets") || [...refused].some(is), `${method} ${path} refused nothing`);
  }
}

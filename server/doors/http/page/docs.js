// SPDX-License-Identifier: Apache-2.0
// Shows /openapi.json, and sends requests to its routes.

import { latin } from "./api.js";
import { byId, el } from "./dom.js";

const kMethods = ["get", "put", "post", "delete"];

/** `value` with each $ref replaced by what it leads to. */
function resolve(value, specification) {
  if (Array.isArray(value)) return value.map((item) => resolve(item, specification));
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ref === "string") {
    const steps = value.$ref.slice(2).split("/");
    return resolve(steps.reduce((at, step) => at[step], specification), specification);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item, specification)]));
}

/** A value that a schema might take. */
function example(schema) {
  if ("default" in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.oneOf) return example(schema.oneOf[0]);
  const type = [].concat(schema.type)[0];
  if (type === "array") return [example(schema.items)];
  if (type === "number" || type === "integer") return 1;
  if (type === "boolean") return true;
  if (type !== "object") return "text";
  const needed = (schema.required ?? []).map((name) => [name, example(schema.properties[name])]);
  return Object.fromEntries(needed);
}

const jsonOf = (content) => content?.["application/json"]?.schema;

const block = (title, value) => [el("h3", {}, title), el("pre", {}, JSON.stringify(value, null, 2))];

/** The URL of a path with what was entered for its parameters. */
function urlOf(path, inputs) {
  const query = new URLSearchParams();
  let url = path;
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(parameter.name, input.value);
  }
  return query.size ? `${url}?${query}` : url;
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Shows the response in `output`, unless another request was sent meanwhile, says isLast(). */
async function send(method, url, body, output, isLast) {
  const headers = {};
  const password = byId("password").value;
  if (password) headers["api-key"] = latin(password);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let shown;
  let isWell = false;
  try {
    const response = await fetch(url, { method: method.toUpperCase(), headers, body });
    shown = `${response.status} ${response.statusText}\n${pretty(await response.text())}`;
    isWell = response.ok;
  } catch (error) {
    shown = String(error);
  }
  if (!isLast()) return;
  output.hidden = false;
  output.className = isWell ? "" : "error";
  output.textContent = shown;
}

function form(method, path, operation, schema) {
  const inputs = operation.parameters.map((parameter) => [parameter, el("input", { required: parameter.required })]);
  const body = schema ? el("textarea", { value: JSON.stringify(example(schema), null, 2), "aria-label": "Body", spellcheck: "false" }) : null;
  const output = el("pre", { hidden: true });
  let turn = 0;
  const onsubmit = (event) => {
    event.preventDefault();
    const mine = ++turn;
    send(method, urlOf(path, inputs), body?.value, output, () => mine === turn);
  };
  const labels = inputs.map(([parameter, input]) => el("label", {}, `${parameter.name} `, input, ` ${parameter.description ?? ""}`));
  return el("form", { onsubmit }, ...labels, body, el("button", {}, "Send"), output);
}

/** Filled when it is opened: there are many. */
function operationOf(method, path, operation) {
  const shown = el("div", { class: "body" });
  const ontoggle = () => {
    if (shown.childElementCount > 0) return;
    const request = jsonOf(operation.requestBody?.content);
    const answer = jsonOf(operation.responses["2XX"].content);
    shown.append(form(method, path, operation, request));
    if (request) shown.append(...block("Body", request));
    if (answer) shown.append(...block("Response", answer));
  };
  const summary = el("summary", {}, el("span", { class: "method" }, method.toUpperCase()), el("code", {}, path), el("span", { class: "text" }, operation.summary));
  return el("details", { id: operation.operationId, ontoggle }, summary, shown);
}

function show(specification) {
  byId("version").textContent = specification.info.version;
  const groups = new Map();
  for (const [path, methods] of Object.entries(specification.paths)) {
    for (const method of kMethods) {
      const operation = methods[method];
      if (!operation) continue;
      const [tag] = operation.tags;
      if (!groups.has(tag)) groups.set(tag, el("section", {}, el("h2", {}, tag)));
      groups.get(tag).append(operationOf(method, path, resolve(operation, specification)));
    }
  }
  byId("routes").replaceChildren(...groups.values());
}

try {
  show(await (await fetch("/openapi.json")).json());
} catch (error) {
  byId("routes").replaceChildren(el("p", { class: "error" }, String(error)));
}

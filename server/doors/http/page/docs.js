// SPDX-License-Identifier: Apache-2.0
// Shows /openapi.json, and sends requests to its routes.
"use strict";

const METHODS = ["get", "put", "post", "delete"];

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/// `value` with each $ref replaced by what it leads to.
function resolve(value, specification) {
  if (Array.isArray(value)) return value.map((item) => resolve(item, specification));
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$ref === "string") {
    const steps = value.$ref.slice(2).split("/");
    return resolve(steps.reduce((at, step) => at[step], specification), specification);
  }
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, resolve(item, specification)]));
}

/// A value that a schema might take.
function example(schema) {
  if ("default" in schema) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (schema.oneOf) return example(schema.oneOf[0]);
  const type = [].concat(schema.type)[0];
  if (type === "array") return [example(schema.items)];
  if (type === "number" || type === "integer") return 1;
  if (type === "boolean") return true;
  if (type !== "object") return "text";
  const needed = (schema.required || []).map((name) => [name, example(schema.properties[name])]);
  return Object.fromEntries(needed);
}

function jsonOf(content) {
  return content && content["application/json"] && content["application/json"].schema;
}

function block(title, value) {
  return [element("h3", { textContent: title }), element("pre", { textContent: JSON.stringify(value, null, 2) })];
}

/// The URL of a path with what was entered for its parameters.
function urlOf(path, inputs) {
  const query = new URLSearchParams();
  let url = path;
  for (const [parameter, input] of inputs) {
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
    else if (input.value !== "") query.set(parameter.name, input.value);
  }
  return query.size ? `${url}?${query}` : url;
}

async function send(method, url, body, output) {
  const headers = {};
  const password = document.getElementById("password").value;
  if (password) headers["api-key"] = password;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  output.hidden = false;
  output.className = "";
  try {
    const response = await fetch(url, { method: method.toUpperCase(), headers, body });
    const text = await response.text();
    output.className = response.ok ? "" : "error";
    output.textContent = `${response.status} ${response.statusText}\n${pretty(text)}`;
  } catch (error) {
    output.className = "error";
    output.textContent = String(error);
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

function form(method, path, operation, schema) {
  const inputs = operation.parameters.map((parameter) => [parameter, element("input", { required: parameter.required })]);
  const body = schema && element("textarea", { value: JSON.stringify(example(schema), null, 2), ariaLabel: "Body", spellcheck: false });
  const output = element("pre", { hidden: true });
  const made = element("form");
  for (const [parameter, input] of inputs) {
    made.append(element("label", {}, `${parameter.name} `, input, ` ${parameter.description || ""}`));
  }
  if (body) made.append(body);
  made.append(element("button", { textContent: "Send" }), output);
  made.addEventListener("submit", (event) => {
    event.preventDefault();
    send(method, urlOf(path, inputs), body && body.value, output);
  });
  return made;
}

/// Filled when it is opened: there are many.
function operationOf(method, path, operation) {
  const shown = element("div", { className: "body" });
  const made = element(
    "details",
    { id: operation.operationId },
    element(
      "summary",
      {},
      element("span", { className: "method", textContent: method.toUpperCase() }),
      element("code", { textContent: path }),
      element("span", { className: "text", textContent: operation.summary }),
    ),
    shown,
  );
  made.addEventListener("toggle", () => {
    if (shown.childElementCount) return;
    const request = operation.requestBody && jsonOf(operation.requestBody.content);
    const answer = jsonOf(operation.responses["2XX"].content);
    shown.append(form(method, path, operation, request));
    if (request) shown.append(...block("Body", request));
    if (answer) shown.append(...block("Response", answer));
  });
  return made;
}

function show(specification) {
  const routes = document.getElementById("routes");
  document.getElementById("version").textContent = specification.info.version;
  const groups = new Map();
  for (const [path, methods] of Object.entries(specification.paths)) {
    for (const method of METHODS) {
      const operation = methods[method];
      if (!operation) continue;
      const tag = operation.tags[0];
      if (!groups.has(tag)) groups.set(tag, element("section", {}, element("h2", { textContent: tag })));
      groups.get(tag).append(operationOf(method, path, resolve(operation, specification)));
    }
  }
  routes.replaceChildren(...groups.values());
}

fetch("/openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => {
    document.getElementById("routes").replaceChildren(element("p", { className: "error", textContent: String(error) }));
  });

// SPDX-License-Identifier: Apache-2.0
// Requests to the server that served this page.

import { byId } from "./dom.js";

const kPassword = "engram-password";

export class ApiError extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

let asking = null; // the promise of a password, while somebody is asked

function askPassword(why) {
  asking ??= new Promise((resolve) => {
    const dialog = byId("password");
    byId("password-why").textContent = why;
    const input = dialog.querySelector("input");
    input.value = "";
    dialog.addEventListener(
      "close",
      () => {
        if (input.value) sessionStorage.setItem(kPassword, input.value);
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

async function send(method, path, body) {
  const headers = {};
  const password = sessionStorage.getItem(kPassword);
  if (password) headers["api-key"] = latin(password);
  if (body !== undefined) headers["Content-Type"] = "application/json";
  try {
    const json = body === undefined ? undefined : JSON.stringify(body);
    return [await fetch(path, { method, headers, body: json }), password];
  } catch {
    throw new ApiError(0, "The server does not answer.");
  }
}

/** Fields of HTTP are bytes; fetch takes one for each character. */
export function latin(text) {
  return String.fromCharCode(...new TextEncoder().encode(text));
}

/** The response to a request; asks for a password as long as one is wanted. Errors: ApiError. */
export async function request(method, path, body) {
  for (;;) {
    const [response, password] = await send(method, path, body);
    if (response.status === 401) {
      if (sessionStorage.getItem(kPassword) === password) {
        sessionStorage.removeItem(kPassword);
        await askPassword(password ? "That is not the password." : "This server asks for a password.");
      }
      continue;
    }
    if (response.ok) return response;
    const text = await response.text();
    let sentence = text;
    try {
      sentence = JSON.parse(text).error;
    } catch {
      // Something between us and the server answered; its own words are all there is.
    }
    throw new ApiError(response.status, sentence || `The server answered ${response.status}.`);
  }
}

/**
 * What the server says of itself: {status, version}, and {error} if the status is not "ok". Needs no password.
 * Errors: ApiError, if something else answers, or nothing.
 */
export async function health() {
  const [response] = await send("GET", "/health");
  const told = await response.json().catch(() => null);
  if (told?.status === undefined) throw new ApiError(response.status, `The server answered ${response.status}.`);
  return told;
}

export const get = async (path) => (await request("GET", path)).json();
export const post = async (path, body) => (await request("POST", path, body)).json();
export const text = async (path) => (await request("GET", path)).text();

/** The path of a collection, or of what is below it. */
export const below = (name, ...rest) => ["/collections", name, ...rest].map((part, i) => (i === 0 ? part : encodeURIComponent(part))).join("/");

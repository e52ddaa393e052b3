// SPDX-License-Identifier: Apache-2.0
// The page in a browser: page_in_chromium.js PACKAGES CHROMIUM ADDRESS SCREENSHOTS TEST
"use strict";
const assert = require("node:assert/strict");
const path = require("node:path");

const [, , modules, executablePath, address, screenshots, test] = process.argv;
const { chromium } = require(`${modules}/playwright-core`);

const kSizes = { narrow: { width: 400, height: 850 }, wide: { width: 1400, height: 950 } };

/** A page whose complaints are collected: errors of scripts and of the console, and requests elsewhere. */
async function open(browser, { size = "wide", colorScheme = "light", collection = "", awaited = "#map > .quiet:not(:empty)" } = {}) {
  const page = await browser.newPage({ viewport: kSizes[size], colorScheme });
  page.complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => request.url().startsWith(address) || page.complaints.push(`asked ${request.url()}`));
  await page.goto(`${address}/?collection=${collection}`);
  await page.waitForSelector(awaited);
  return page;
}

async function shoot(page, name) {
  await page.evaluate(() => scrollTo({ top: 0, behavior: "instant" }));
  await page.screenshot({ path: path.join(screenshots, `${name}.png`), fullPage: true });
}

/** Waits until `holds` does in the page. waitForFunction() evaluates strings there, which the page's policy forbids. */
async function until(page, holds, argument) {
  for (let turn = 0; turn < 300; ++turn) {
    if (await page.evaluate(holds, argument)) return;
    await page.waitForTimeout(100);
  }
  assert.fail(`never: ${holds}`);
}

const settle = (page) => until(page, () => document.querySelector("#recall").dataset.energies !== undefined);

/** The state that is shown, as numbers from 0 to 1 in the lower half of its picture: what was hidden. */
const lowerHalf = (page, part) =>
  page.evaluate((name) => {
    const canvas = document.querySelector(`[data-part=${name}]`);
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, height / 2, width, height / 2);
    return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i] / 255);
  }, part);

const tests = {
  async loads(browser) {
    for (const size of Object.keys(kSizes)) {
      for (const colorScheme of ["light", "dark"]) {
        for (const collection of ["words", "fashion"]) {
          const page = await open(browser, { size, colorScheme, collection });
          await settle(page);
          await page.waitForSelector("#overview .tile strong:not(:empty)");
          assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), colorScheme);
          const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(overflow <= 0, `${size}: ${overflow} pixels too wide`);
          await shoot(page, `loads-${collection}-${size}-${colorScheme}`);
          assert.deepEqual(page.complaints, []);
          await page.close();
        }
      }
    }
  },

  async searches(browser) {
    const page = await open(browser, { collection: "words" });
    await page.fill("#search [name=query]", "king");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#search .results li");
    const found = await page.$$eval("#search .results li", (rows) => rows.map((row) => row.dataset.id));
    assert.equal(found.length, 10);
    assert.equal(found[0], "king");
    assert.ok(found.includes("queen") || found.includes("prince"), found.join());
    await until(page, () => document.querySelector("#map").dataset.lit === "10");
    assert.match(await page.getAttribute("#map canvas", "aria-label"), /lit: king, /);
    await page.waitForTimeout(3500); // the charts move
    await shoot(page, "searches");
    assert.deepEqual(page.complaints, []);
    // A vector, and a key that there is not.
    await page.fill("#search [name=query]", "1 2 3");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#search .error:not([hidden])");
    assert.match(await page.textContent("#search .error"), /dimension/);
    await page.fill("#search [name=query]", "no such word");
    await page.keyboard.press("Enter");
    await until(page, () => /no such word/.test(document.querySelector("#search .error").textContent));
  },

  async filters(browser) {
    const page = await open(browser, { collection: "fashion" });
    await page.click("#search .suggestions button");
    await page.waitForSelector("#search .results .chip");
    await page.fill("#search [name=filter]", '.kind == "Bag"');
    await page.keyboard.press("Enter");
    await until(page, () => {
      const chips = [...document.querySelectorAll("#search .results .chip")].map((chip) => chip.textContent);
      return chips.length === 10 && chips.every((chip) => chip === "kind Bag");
    });
    assert.deepEqual(page.complaints, []);
  },

  async recalls(browser) {
    const page = await open(browser, { collection: "fashion" });
    await settle(page);
    const id = await page.inputValue("#recall input[type=text]");
    await page.selectOption("#recall select[name=MODE]", "clamp");
    await page.fill("#recall input[name=BETA]", "9e-6");
    await page.keyboard.press("Tab");
    await until(page, () => JSON.parse(document.querySelector("#recall").dataset.energies).length > 2);
    const energies = JSON.parse(await page.getAttribute("#recall", "data-energies"));
    energies.slice(1).forEach((energy, i) => assert.ok(energy <= energies[i] + 1e-9 * Math.abs(energies[i]), energies.join()));
    assert.ok(energies.at(-1) < energies[0], energies.join());
    await until(page, (wanted) => document.querySelector("#recall").dataset.attractor === wanted, id);
    const [state, attractor] = [await lowerHalf(page, "state"), await lowerHalf(page, "attractor")];
    const far = state.reduce((sum, value, i) => sum + Math.abs(value - attractor[i]), 0) / state.length;
    assert.ok(far < 0.02, `the hidden half is ${far} away from what was hidden`);
    await page.click("[data-part=play]");
    await until(page, () => document.querySelector("#recall").dataset.step === "1");
    await until(page, () => document.querySelector("[data-part=play]").textContent === "Play");
    await shoot(page, "recalls");
    // Drawing on the cue hides what is under the brush.
    await page.click("#recall button:text-is('Reset')");
    await page.$eval("[data-part=cue]", (cue) => cue.scrollIntoView({ block: "center", behavior: "instant" }));
    const box = await page.locator("[data-part=cue]").boundingBox();
    const asked = page.waitForRequest((request) => request.url().endsWith("/recall") && /"mask"/.test(request.postData()));
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 2 + 30, box.y + box.height / 2, { steps: 4 });
    await page.mouse.up();
    await asked;
    assert.deepEqual(page.complaints, []);
  },

  async fades(browser) {
    const page = await open(browser, { collection: "fading" });
    const sum = () => page.$eval("#map .fading", (box) => Number(box.dataset.sum));
    await until(page, () => document.querySelector("#map .fading").dataset.sum);
    const before = await sum();
    await page.focus("#map .fading input");
    await page.keyboard.press("End");
    await until(page, (first) => Number(document.querySelector("#map .fading").dataset.sum) < 0.1 * first, before);
    await shoot(page, "fades");
    assert.deepEqual(page.complaints, []);
  },

  async steps(browser) {
    const page = await open(browser, { collection: "fashion" });
    await settle(page);
    const steps = 41;
    await page.route("**/recall", async (route) => {
      const { options } = route.request().postDataJSON();
      const response = await route.fetch();
      const told = await response.json();
      const energies = Array.from({ length: steps + 1 }, (_, i) => 100 - i);
      await route.fulfill({ response, json: options.STEPS === undefined ? { ...told, steps, energies } : told });
    });
    const asked = [];
    page.on("request", (request) => request.url().endsWith("/recall") && asked.push(Number(request.postDataJSON().options.STEPS ?? 0)));
    await page.click("#recall button:text-is('Reset')");
    await until(page, (wanted) => document.querySelector("#recall").dataset.step === String(wanted), steps);
    assert.match(await page.textContent("#recall .bench"), /step 41 of 41/);
    const between = asked.filter((step) => step > 0);
    assert.equal(between.length, 24);
    assert.equal(new Set(between).size, 24);
    assert.ok(Math.min(...between) <= 2 && Math.max(...between) >= steps - 2, between.join());
    // Labels of the trace are evenly spaced, so that none lies over another.
    const labels = await page.evaluate(() => {
      const chart = Chart.getChart(document.querySelector("#recall .chart canvas"));
      return chart.scales.x.ticks.map(({ value }) => value);
    });
    assert.deepEqual(labels, [0, 10, 20, 30, 40]);
    await shoot(page, "steps");
    assert.deepEqual(page.complaints, []);
  },

  async tunes(browser) {
    const page = await open(browser, { collection: "graph" });
    assert.equal(await page.textContent("[name=tune]"), "Tune to recall 0.95");
    await page.selectOption("#search select[name=recall]", "0.9");
    await page.click("[name=tune]");
    await until(page, () => /^Asked .* candidates find 0?\.9|^Asked .* candidates find 1 /.test(document.querySelector(".tuning output").textContent));
    assert.match(await page.textContent(".tuning output"), /1,500 items: \d+ candidates .* Searches look for 0\.9 now/);
    const asked = page.waitForRequest((request) => request.url().endsWith("/search"));
    await page.click("#search .suggestions button");
    assert.equal((await asked).postDataJSON().recall, 0.9);
    await page.waitForSelector("#search .results li");
    await shoot(page, "tunes");
    assert.deepEqual(page.complaints, []);
  },

  /** What fails is not chosen: it is asked for again. */
  async chooses(browser) {
    const page = await open(browser, { collection: "words" });
    const failing = (url) => url.pathname === "/collections/fashion";
    await page.route(failing, (route) => route.fulfill({ status: 500, json: { error: "not now" } }));
    await page.click("#collections button:has-text('fashion')");
    await until(page, () => document.querySelector("#problem").textContent === "not now");
    await page.unroute(failing);
    await until(page, () => /784 numbers/.test(document.querySelector("#search [name=query]").getAttribute("aria-label")));
    await until(page, () => document.querySelector("#problem").hidden);
  },

  /** Answers that come after newer ones are dropped. */
  async late(browser) {
    const page = await open(browser, { collection: "words" });
    await settle(page);
    const held = [];
    const hold = (url) => page.route(url, (route) => held.push(route));
    const hasHeld = async () => {
      for (let turn = 0; held.length === 0 && turn < 100; ++turn) await page.waitForTimeout(50);
      assert.equal(held.length, 1);
    };
    // The playground: a cue that comes when another was taken.
    const king = (url) => url.pathname.endsWith("/vectors/king");
    await hold(king);
    await page.fill("#recall input[type=text]", "king");
    await page.keyboard.press("Enter");
    await hasHeld();
    await page.fill("#recall input[type=text]", "queen");
    await page.keyboard.press("Enter");
    await until(page, () => document.querySelector("#recall").dataset.attractor === "queen");
    const recalled = [];
    page.on("request", (request) => request.url().endsWith("/recall") && recalled.push(request.url()));
    await held.pop().continue();
    await page.waitForResponse((response) => response.url().endsWith("/vectors/king"));
    await page.waitForTimeout(500);
    assert.deepEqual(recalled, []);
    assert.equal(await page.inputValue("#recall input[type=text]"), "queen");
    await page.unroute(king);
    // The search: an id that comes when another was looked for.
    await hold(king);
    await page.fill("#search [name=query]", "king");
    await page.keyboard.press("Enter");
    await hasHeld();
    await page.fill("#search [name=query]", "queen");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#search .results li[data-id=queen].self");
    const searched = [];
    page.on("request", (request) => request.url().endsWith("/search") && searched.push(request.url()));
    await held.pop().continue();
    await page.waitForTimeout(500);
    assert.deepEqual(searched, []);
    await page.unroute(king);
    // The map: one that fails when another was chosen.
    const graph = (url) => url.pathname === "/collections/graph/map";
    await hold(graph);
    await page.click("#collections button:has-text('graph')");
    await hasHeld();
    await page.click("#collections button:has-text('fading')");
    await until(page, () => /of 200 items/.test(document.querySelector("#map > .quiet").textContent));
    await held.pop().fulfill({ status: 500, json: { error: "too late" } });
    await page.waitForTimeout(500);
    assert.equal(await page.isVisible("#map .error"), false);
    assert.match(await page.textContent("#map > .quiet"), /of 200 items/);
  },

  /** Of an empty server. */
  async waits(browser) {
    const page = await open(browser, { awaited: "#welcome:not([hidden])" });
    const state = (wanted) => until(page, (name) => document.querySelector("#server").dataset.state === name, wanted);
    const problem = (pattern) => until(page, (text) => document.querySelector("#problem").textContent.includes(text), pattern);
    await state("ok");
    const everything = () => true;
    await page.route(everything, (route) => route.abort());
    await state("lost");
    await problem("does not answer");
    await page.unroute(everything);
    await state("ok");
    assert.equal(await page.isVisible("#problem"), false);
    const health = (url) => url.pathname === "/health";
    await page.route(health, (route) => route.fulfill({ status: 503, json: { status: "read-only", version: "1", error: "the disk is full" } }));
    await state("waiting");
    await problem("The server is read-only: the disk is full");
    assert.match(await page.textContent("#server"), /read-only/);
    await page.unroute(health);
    await state("ok");
    // Something else that has it wait.
    await page.route(everything, (route) => route.fulfill({ status: 503, body: "busy" }));
    await state("waiting");
    await page.unroute(everything);
    await state("ok");
    assert.equal(await page.isVisible("#problem"), false);
    assert.match(await page.textContent("#server"), / · ok$/);
  },

  async documents(browser) {
    const page = await open(browser, { collection: "graph" });
    await page.goto(`${address}/docs`);
    await page.click("#routes summary:has-text('/health')");
    await page.click("#routes details[open] button");
    await until(page, () => /"status": "ok"/.test(document.querySelector("#routes details[open] form pre").textContent));
    await page.fill("#password", "geheim ü");
    const asked = page.waitForRequest((request) => request.url().endsWith("/health"));
    await page.click("#routes details[open] button");
    assert.ok((await asked).headers()["api-key"]);
    assert.deepEqual(page.complaints, []);
  },

  async asks(browser) {
    const page = await open(browser, { awaited: "dialog[open]" });
    await page.fill("dialog input", "wrong");
    await page.keyboard.press("Enter");
    await until(page, () => /not the password/.test(document.querySelector("#password-why").textContent));
    await page.fill("dialog input", "geheim ü");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#welcome:not([hidden])");
    assert.equal(await page.evaluate(() => localStorage.length), 0);
  },

  async keys(browser) {
    const page = await open(browser, { collection: "fading" });
    await page.focus("#collections [aria-checked=true]");
    await page.keyboard.press("ArrowRight");
    await until(page, () => /collection=fashion/.test(location.search));
    await until(page, () => document.activeElement.getAttribute("aria-checked") === "true");
    await page.focus("#theme");
    const before = await page.evaluate(() => document.documentElement.dataset.theme);
    await page.keyboard.press("Enter");
    assert.notEqual(await page.evaluate(() => document.documentElement.dataset.theme), before);
    assert.deepEqual(page.complaints, []);
  },
};

(async () => {
  const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
  try {
    await tests[test](browser);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});

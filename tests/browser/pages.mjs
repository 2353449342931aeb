// Drives the web front in Chromium. Prints what it finds wrong and ends with 1.
//
// Environment: FEED (where the feed is), KEY (a key that may read), MODULES (a
// folder with playwright-core and axe-core), SHOTS (where screenshots go, if
// anywhere).

import { createRequire } from "node:module";
import { mkdirSync, readFileSync } from "node:fs";

const { FEED, KEY, MODULES, SHOTS } = process.env;
const require = createRequire(`${MODULES}/`);
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const problems = [];
function check(holds, problem) {
  if (!holds) problems.push(problem);
}

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
  ],
});

// A context in which every dialog, error and request to elsewhere is a problem.
async function open(options) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("dialog", (dialog) => {
    problems.push(`a dialog on ${page.url()}: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("pageerror", (error) => problems.push(`an error on ${page.url()}: ${error}`));
  page.on("console", (message) => {
    // The browser logs a refusal that the test wants as an error.
    if (message.type() === "error" && !/status of 40[34]/.test(message.text())) {
      problems.push(`the console of ${page.url()}: ${message.text()}`);
    }
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(FEED)) problems.push(`a request to ${request.url()}`);
  });
  return page;
}

async function signIn(page, key) {
  await page.fill("#key", key);
  await leave(page, () => page.press("#key", "Enter"));
}

// Does what leads to another page, and waits for that page.
async function leave(page, act) {
  await Promise.all([page.waitForNavigation(), act()]);
}

async function audit(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, help, nodes } of violations) {
    const where = nodes.map((node) => node.target.join(" ")).join(", ");
    const line = `${name}: ${impact}: ${id}: ${help} (${where})`;
    if (impact === "serious" || impact === "critical") problems.push(line);
    else console.log(`noted: ${line}`);
  }
  if (SHOTS) {
    mkdirSync(SHOTS, { recursive: true });
    await page.screenshot({ path: `${SHOTS}/${name}.png`, fullPage: true });
  }
}

// --- A visitor without scripts ---------------------------------------------

const plain = await open({ javaScriptEnabled: false });
for (const path of ["/", "/packages/hostile", "/packages/hostile/1.0.0/report", "/?q=hostile"]) {
  await plain.goto(FEED + path);
  check(plain.url().startsWith(`${FEED}/sign-in?return=`), `${path} shows itself to a stranger`);
  const text = await plain.textContent("body");
  check(!/hostile/i.test(text), `${path} tells a stranger what is there`);
}
await signIn(plain, "nuthatch_wrong");
check((await plain.textContent('[role="alert"]')).includes("unknown"), "a wrong key is not explained");
await signIn(plain, KEY);
check(plain.url() === `${FEED}/?q=hostile`, `signing in leads to ${plain.url()}`);
const cookies = await plain.context().cookies();
check(cookies.length === 1, "there is not one cookie");
check(cookies.every((c) => c.httpOnly && c.secure && c.sameSite === "Strict"), "the cookie is open");
await plain.fill("#q", "hostile");
await leave(plain, () => plain.press("#q", "Enter"));
await leave(plain, () => plain.click("ol.results a"));
check((await plain.textContent("h1")).includes("Hostile"), "no way from search to a package");
await leave(plain, () => plain.click("text=Report it"));
check((await plain.textContent("h1")).startsWith("Report Hostile"), "no way to report a package");
const download = await plain.request.get(`${FEED}/v3/package/hostile/1.0.0/hostile.1.0.0.nupkg`);
check(download.status() === 200, `a download is answered ${download.status()}`);
const write = await plain.request.delete(`${FEED}/api/v2/package/Hostile/1.0.0`);
check(write.status() === 401, `the cookie opens a write: ${write.status()}`);
await leave(plain, () => plain.click("text=Sign out"));
await plain.goto(`${FEED}/`);
check(plain.url().startsWith(`${FEED}/sign-in`), "signing out does not");

// --- Every page, light and dark --------------------------------------------

for (const colorScheme of ["light", "dark"]) {
  const page = await open({ colorScheme });
  await page.goto(`${FEED}/sign-in`);
  await audit(page, `sign-in-${colorScheme}`);
  await signIn(page, "nuthatch_wrong");
  await audit(page, `wrong-key-${colorScheme}`);
  await signIn(page, KEY);
  for (const [name, path] of [
    ["search", "/"],
    ["found", "/?q=acme&prerelease=false"],
    ["nothing", "/?q=zzz"],
    ["package", "/packages/hostile/1.0.0"],
    ["many", "/packages/acme.many"],
    ["old", "/packages/acme.many/1.0.3"],
    ["report", "/packages/hostile/1.0.0/report"],
    ["missing", "/packages/nothing"],
  ]) {
    await page.goto(FEED + path);
    await audit(page, `${name}-${colorScheme}`);
  }
  await page.close();
}

// --- What a hostile package shows ------------------------------------------

const page = await open({});
await page.goto(`${FEED}/sign-in`);
await signIn(page, KEY);
await page.goto(`${FEED}/packages/hostile/1.0.0`);
const shown = await page.evaluate(() => ({
  text: document.body.innerText,
  addresses: [...document.querySelectorAll("a")].map((a) => a.href),
  elements: [...new Set([...document.querySelectorAll("*")].map((e) => e.localName))],
  handlers: [...document.querySelectorAll("*")].flatMap((e) =>
    [...e.attributes].map((a) => a.name).filter((n) => n.startsWith("on") || n === "style")),
  icon: document.querySelector("h1 img")?.naturalWidth,
  ran: globalThis.ran ?? null,
}));
for (const text of [
  "<script>ran=1</script>", "<img src=x onerror=ran=2>", "<b>bold</b>", "<iframe src=", "title <i>",
]) {
  check(shown.text.includes(text), `not shown as text: ${text}`);
}
for (const element of ["script", "iframe", "b", "object", "svg", "style", "input type"]) {
  check(!shown.elements.includes(element), `an element out of the package: ${element}`);
}
check(shown.handlers.length === 0, `attributes out of the package: ${shown.handlers}`);
check(shown.addresses.every((address) => /^(https?|mailto):/.test(address)),
  `addresses: ${shown.addresses.filter((address) => !/^(https?|mailto):/.test(address))}`);
check(shown.icon === 1, "the icon does not load");
check(shown.ran === null, "something ran");
// A keyboard gets to the first thing that matters, and back to the search.
await page.keyboard.press("Tab");
check(await page.evaluate(() => document.activeElement.className === "skip"), "no way past the header");

await browser.close();
for (const problem of problems) console.log(`PROBLEM: ${problem}`);
process.exit(problems.length > 0 ? 1 : 0);

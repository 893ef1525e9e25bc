// A browser with a fresh profile, and the checks that hold for every view.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { chromium } from 'playwright-core';

const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--ignore-certificate-errors'];
/** What a person waits at most for an app to change (ms). */
export const SETTLE = 240_000;
/** What a person waits at most for the page (ms); a machine that runs other tests as well is slow. */
export const PATIENCE = 60_000;
export const PHONE = { width: 390, height: 844 }, DESKTOP = { width: 1280, height: 800 };
/** What the browser says of an answer 401, or of a node that is away, is no fault of the page. */
const EXPECTED = /^Failed to load resource|^WebSocket connection to .* failed/;
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** Opens a browser; `faults` collects what went wrong inside the page, also what its policy had to refuse. */
export async function open(program) {
  const root = process.getuid?.() === 0; // the browser's own sandbox does not work for root
  const browser = await chromium.launch({ executablePath: program, args: root ? [...ARGS, '--no-sandbox'] : ARGS });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: PHONE, colorScheme: 'light', locale: 'en-GB' });
  const page = await context.newPage(), faults = [];
  page.setDefaultTimeout(PATIENCE);
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('console', (line) => {
    if (line.type() === 'error' && !EXPECTED.test(line.text())) faults.push(line.text());
  });
  return { browser, context, page, faults };
}

/** Every size and scheme: nothing scrolls sideways, and axe finds nothing (WCAG 2.2 AA and good practice). */
export async function views(page, what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const size of [PHONE, DESKTOP]) {
      await page.setViewportSize(size);
      await still(page);
      const wide = await page.evaluate(() => [...document.querySelectorAll(document.documentElement.scrollWidth > innerWidth ? 'body *' : ':not(*)')]
        .filter((one) => one.getBoundingClientRect().right > innerWidth).map((one) => one.outerHTML.slice(0, 120)));
      assert.deepEqual(wide, [], `${what} is too wide at ${size.width}`);
      assert.deepEqual(await faulty(page), [], `${what} (${colorScheme}, ${size.width})`);
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(PHONE);
}

/** Waits until what moves has come to rest: colours on the way are no colours to judge. */
export async function still(page) {
  await page.evaluate(() => new Promise((done) => { requestAnimationFrame(() => requestAnimationFrame(done)); }));
  await page.evaluate(() => Promise.all(document.getAnimations()
    .filter((one) => one.effect?.getComputedTiming().iterations !== Infinity).map((one) => one.finished.catch(() => {}))));
}

/** What axe finds. It comes in past the page's policy, which it does not loosen. */
async function faulty(page) {
  if (!(await page.evaluate(() => 'axe' in window))) await page.evaluate(axe);
  const options = { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'], resultTypes: ['violations'] };
  const { violations } = await page.evaluate((it) => window.axe.run(document, it), options);
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => `${node.html.slice(0, 160)} — ${node.any[0]?.message ?? ''}`).join(' | ')}`);
}

/** Walks with the tabulator key until `name` has the focus; every stop on the way must be visible. */
export async function tabTo(page, name) {
  for (let stop = 0; stop < 200; stop += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const { activeElement: element } = document;
      const ringed = (pseudo) => {
        const style = getComputedStyle(element, pseudo);
        return style.outlineStyle !== 'none' && style.outlineWidth !== '0px';
      };
      const label = element.getAttribute('aria-label') ?? element.textContent.trim();
      return { label, body: element === document.body, ring: ringed() || ringed('::after') };
    });
    assert.ok(at.body || at.ring, `the focus on “${at.label}” cannot be seen`);
    if (at.label === name) return;
  }
  assert.fail(`“${name}” cannot be reached with the keyboard`);
}

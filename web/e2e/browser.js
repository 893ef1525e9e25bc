// A browser with a fresh profile, and the checks that hold for every view.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--ignore-certificate-errors'];
/** What a person waits at most for an app to change (ms). */
export const SETTLE = 240_000;
export const PHONE = { width: 390, height: 844 }, DESKTOP = { width: 1280, height: 800 };
/** What the browser says of an answer 401, or of a node that is away, is no fault of the page. */
const EXPECTED = /^Failed to load resource|^WebSocket connection to .* failed/;

/** Opens a browser; `faults` collects what went wrong inside the page. */
export async function open(program) {
  const root = process.getuid?.() === 0; // the browser's own sandbox does not work for root
  const browser = await chromium.launch({ executablePath: program, args: root ? [...ARGS, '--no-sandbox'] : ARGS });
  const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: PHONE, colorScheme: 'light', locale: 'en-GB' });
  const page = await context.newPage(), faults = [];
  page.setDefaultTimeout(15_000);
  page.on('pageerror', (error) => faults.push(error.stack));
  page.on('console', (line) => {
    if (line.type() === 'error' && !EXPECTED.test(line.text())) faults.push(line.text());
  });
  return { browser, context, page, faults };
}

/** Every size and scheme: nothing scrolls sideways, every text has contrast (WCAG AA). */
export async function views(page, what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    for (const size of [PHONE, DESKTOP]) {
      await page.setViewportSize(size);
      const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${what}: ${wide} pixels too wide at ${size.width}`);
    }
    const pale = await page.evaluate(contrast);
    assert.deepEqual(pale, [], `${what}: too little contrast (${colorScheme})`);
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(PHONE);
}

/** Texts below 4.5:1 against the nearest background; runs inside the page. */
function contrast() {
  const parse = (color) => color.match(/[\d.]+/g).map(Number);
  const light = (rgb) => {
    const [r, g, b] = rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, alpha = 1] = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const pale = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const element = node.parentElement;
    if (!node.data.trim() || !element.checkVisibility() || element.closest('script')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color).slice(0, 3)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) pale.add(`${node.data.trim().slice(0, 40)} (${ratio.toFixed(2)})`);
  }
  return [...pale];
}

/** Walks with the tabulator key until `name` has the focus; every stop on the way must be visible. */
export async function tabTo(page, name) {
  for (let stop = 0; stop < 200; stop += 1) {
    await page.keyboard.press('Tab');
    const at = await page.evaluate(() => {
      const { activeElement: element } = document, style = getComputedStyle(element);
      const label = element.getAttribute('aria-label') ?? element.textContent.trim();
      return { label, body: element === document.body, ring: style.outlineStyle !== 'none' && style.outlineWidth !== '0px' };
    });
    assert.ok(at.body || at.ring, `the focus on “${at.label}” cannot be seen`);
    if (at.label === name) return;
  }
  assert.fail(`“${name}” cannot be reached with the keyboard`);
}

// Every page of the dashboard, judged in every size and scheme, and pictured: also by itself against any node,
// `node pages.js <address> <password> <app> <offer> <directory> <browser>`.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { DESKTOP, PHONE, open, still, views } from './browser.js';

/** Addresses with what must be there before the page is judged. */
export const pages = (app, offer) => [
  ['apps', '/', 'li[data-key]'],
  ['app', `/apps/${app}`, '[data-chart]'],
  ['app-log', `/apps/${app}/log`, '[data-log]'],
  ['app-settings', `/apps/${app}/settings`, '#content form, #content h2'],
  ['app-history', `/apps/${app}/history`, '#content details'],
  ['discover', '/discover', 'li[data-key]'],
  ['offer', `/discover/${offer}`, '[data-plan] ol'],
  ['system', '/system', '[data-chart]'],
  ['system-health', '/system/health', '#content details'],
  ['system-notices', '/system/notices', '#webhook-url'],
  ['system-log', '/system/log', '[data-log] div'],
  ['system-activity', '/system/activity', '#content details'],
  ['system-identities', '/system/identities', '[data-node-identity] li'],
  ['system-access', '/system/access', '[data-sessions] li'],
  ['system-settings', '/system/settings', '#language'],
  ['nothing', '/apps/none-of-this-name', 'h2'],
];

/** Goes there without loading anything anew, as a link does. */
export async function go(page, path) {
  await page.evaluate((to) => {
    history.pushState(history.state, '', to);
    dispatchEvent(new PopStateEvent('popstate', { state: history.state }));
  }, path);
}

export async function judge(page, app, offer, directory) {
  for (const [name, path, there] of pages(app, offer)) {
    await go(page, path);
    await page.locator(there).first().waitFor();
    await views(page, name);
    for (const [size, viewport] of [['phone', PHONE], ['desktop', DESKTOP]]) {
      for (const colorScheme of ['light', 'dark']) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize(viewport);
        await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
        await still(page);
        await page.screenshot({ path: join(directory, `${name}-${size}-${colorScheme}.png`) });
      }
    }
  }
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(PHONE);
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [address, password, app, offer, directory, program] = process.argv.slice(2);
  await mkdir(directory, { recursive: true });
  const { browser, page, faults } = await open(program);
  await page.goto(address);
  await page.fill('#password', password);
  await page.keyboard.press('Enter');
  await page.locator('#content h1').waitFor();
  await judge(page, app, offer, directory);
  await browser.close();
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

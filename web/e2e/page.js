// The dashboard, driven as a person would: `node page.js <address> <directory> <browser>`.
// The node has no owner and no apps. In the directory, `ask-<what>` asks the caller to do something
// with the node, who answers by renaming it to `done-<what>`; pictures are left there as well.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DESKTOP, PATIENCE, PHONE, SETTLE, open, still, tabTo, views } from './browser.js';
import { go, judge } from './pages.js';
import { sign } from './sign.js';

const [address, directory, program] = process.argv.slice(2);
const PASSWORD = 'correct horse battery';
/** Most of compressed script that the first page may need (bytes). */
const SCRIPT = 180 * 1024;
const { browser, context, page, faults } = await open(program);
const tile = (id) => page.locator(`li[data-key="${id}"]`);
const button = (name) => page.getByRole('button', { name, exact: true });
const link = (name) => page.getByRole('link', { name, exact: true });
const text = (what) => page.getByText(what, { exact: false }).first();
const dialog = page.getByRole('dialog');
const is = (id, state) => page.locator(`[data-key="${id}"] .state[data-state="${state}"], [data-app="${id}"] .state[data-state="${state}"]`).first().waitFor({ timeout: SETTLE });

async function ask(what) {
  await writeFile(join(directory, `ask-${what}`), '');
  for (const end = Date.now() + 120_000; !existsSync(join(directory, `done-${what}`));) {
    assert.ok(Date.now() < end, `nobody did “${what}”`);
    await pause(50);
  }
}
/** Waits until an app answers with what is looked for: a wish is taken before it is carried out. */
async function answers(url, wanted) {
  const body = () => context.request.get(url).then((answer) => answer.text(), String);
  for (const end = Date.now() + SETTLE; ;) {
    const got = await body();
    if (wanted.test(got)) return;
    assert.ok(Date.now() < end, `${url} answers: ${got}`);
    await pause(200);
  }
}
async function signIn() {
  await page.fill('#password', PASSWORD);
  await page.keyboard.press('Enter');
  await page.locator('#content h1').waitFor();
}
async function more(item) {
  await button('More actions').click();
  await page.getByRole('menuitem', { name: item }).click();
  await dialog.waitFor();
}

const steps = {
  async 'first visit: the node gets a name and a password'() {
    await page.goto(address);
    await page.getByRole('heading', { name: 'Make this node yours' }).waitFor();
    await views(page, 'first visit');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'node-name');
    await page.keyboard.type('Our house');
    await page.fill('#password', 'short');
    await page.keyboard.press('Enter');
    await text('It needs at least 8 characters.').waitFor();
    await page.fill('#password', PASSWORD);
    await page.fill('#password-again', 'another one');
    await page.keyboard.press('Enter');
    await text('The two passwords differ.').waitFor();
    await views(page, 'first visit, refused');
    await page.fill('#password-again', PASSWORD);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Write down your recovery seed' }).waitFor();
    await views(page, 'recovery seed');
  },

  async 'first visit: the seed is shown, the browser is closed half way, the words are checked'() {
    const shown = async () => {
      await button('Show the words').click();
      await page.locator('[data-words] li').nth(23).waitFor();
      return page.locator('[data-words] li span:last-child').allTextContents();
    };
    const words = await shown();
    assert.equal(words.length, 24);
    await views(page, 'the words');
    await page.reload();
    assert.deepEqual(await shown(), words, 'the same words until they are confirmed');
    await button('I have written them down').click();
    const fields = page.locator('[data-place]');
    await fields.first().waitFor();
    const places = await fields.evaluateAll((all) => all.map((one) => Number(one.dataset.place)));
    for (const place of places) await page.fill(`#word-${place}`, 'zebra');
    await page.keyboard.press('Enter');
    await text('One of these words is another.').waitFor();
    await views(page, 'words, refused');
    for (const place of places) await page.fill(`#word-${place}`, words[place - 1]);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Let your devices trust this node' }).waitFor();
  },

  async 'first visit: the certificate to trust, and then the empty node'() {
    const print = await page.locator('[data-fingerprint]').textContent();
    assert.match(print, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
    await views(page, 'trust');
    const how = await context.newPage();
    await how.goto(new URL('/trust', address).href);
    assert.equal((await how.locator('.print').textContent()).trim(), print);
    await views(how, 'how to trust');
    await how.close();
    await button('Go to my node').click();
    await page.getByRole('heading', { name: 'Nothing is installed yet' }).waitFor();
    await text('Our house').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    await views(page, 'empty node');
    // without the service worker, which hands out what is no longer compressed
    const fresh = await browser.newContext({ ignoreHTTPSErrors: true, serviceWorkers: 'block', storageState: await context.storageState() });
    const first = await fresh.newPage();
    await first.goto(address);
    await first.getByRole('heading', { name: 'Nothing is installed yet' }).waitFor();
    const script = await first.evaluate(() => performance.getEntriesByType('resource')
      .filter((one) => one.name.endsWith('.js')).reduce((sum, one) => sum + one.encodedBodySize, 0));
    await fresh.close();
    assert.ok(script > 0 && script <= SCRIPT, `the first page needs ${script} bytes of script`);
  },

  async 'an app is installed with the keyboard: its plan, its progress, its page'() {
    await tabTo(page, 'Look what there is');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Discover' }).waitFor();
    await tile('website').waitFor();
    await tabTo(page, 'Install Website');
    await page.keyboard.press('Enter');
    await page.locator('[data-plan] ol').first().waitFor();
    await text('It fits this node.').waitFor();
    await tabTo(page, 'Install Website');
    await page.keyboard.press('Enter');
    await page.locator('[data-install]').getByRole('progressbar').waitFor();
    await text('Website is installed and runs.').waitFor({ timeout: SETTLE });
    const [tab] = await Promise.all([context.waitForEvent('page'), page.locator('[data-install] a').first().click()]);
    await tab.waitForLoadState();
    assert.equal(new URL(tab.url()).port, '18002');
    assert.ok((await tab.textContent('body')).trim().length > 0, 'the app must show a page');
    await tab.close();
  },

  async 'two more are installed; what is offered can be searched'() {
    for (const [id, name] of [['relay', 'Nostr relay'], ['mqtt', 'Mosquitto']]) {
      await link('Discover').first().click();
      await page.getByRole('searchbox').fill(name);
      assert.equal(await page.locator('li[data-key]').count(), 1);
      await link(`Install ${name}`).click();
      await button(`Install ${name}`).click();
      await text(`${name} is installed and runs.`).waitFor({ timeout: SETTLE });
      assert.ok(page.url().endsWith(`/discover/${id}`));
    }
    await link('My apps').first().click();
    await text('All 3 apps run.').waitFor({ timeout: SETTLE });
    await page.keyboard.press('/');
    await page.keyboard.type('web');
    await tile('mqtt').waitFor({ state: 'detached' });
    await page.getByRole('searchbox').fill('nothing like it');
    await button('Show all').click();
    await tile('mqtt').waitFor();
  },

  async 'an app is stopped, started and restarted from its page; the focus stays'() {
    await tile('website').getByRole('link', { name: 'Website', exact: true }).click();
    await text('It runs.').waitFor();
    await button('Stop').focus();
    await page.keyboard.press('Enter');
    await is('website', 'stopped');
    await text('What happens next').waitFor();
    assert.equal(await page.getByRole('link', { name: /^Open/ }).count(), 0, 'a stopped app has nothing to open');
    await page.locator('[data-repair]').click();
    await is('website', 'running');
    const since = () => page.locator('dl time').first().getAttribute('data-at');
    const before = await since();
    await button('Restart').click();
    await is('website', 'starting');
    await is('website', 'running');
    assert.ok(Number(await since()) > Number(before), 'the time must be new');
  },

  async 'somebody stops it past the dashboard: it says so, and mends it'() {
    await ask('break');
    await text('was stopped past Archipelago.').waitFor({ timeout: SETTLE });
    await text('somebody past Archipelago').waitFor();
    await views(page, 'stopped from outside');
    await page.locator('[data-repair]').click();
    await is('website', 'running');
  },

  async 'its log: followed, searched, downloaded'() {
    await link('Log').click();
    await page.locator('[data-log] > div').first().waitFor();
    await page.getByRole('searchbox').fill('nothing like it');
    await text('No line holds').waitFor();
    await page.getByRole('searchbox').fill('');
    const [file] = await Promise.all([page.waitForEvent('download'), button('Download').click()]);
    assert.equal(file.suggestedFilename(), 'website.log');
    assert.ok((await readFile(await file.path(), 'utf8')).length > 0, 'the log must not be empty');
  },

  async 'its settings: refused where they will not do, then saved and in force'() {
    await link('Settings').click();
    const title = page.getByLabel('Title');
    await title.fill('x'.repeat(61));
    await button('Save').click();
    await text('At most 60 characters.').waitFor();
    assert.equal(await title.getAttribute('aria-invalid'), 'true');
    await title.fill('Welcome to our house');
    await button('Save').click();
    await text('Saved.').waitFor();
    await answers(`http://${new URL(address).hostname}:18002/`, /Welcome to our house/);
    await is('website', 'running');
    await link('History').click();
    await page.locator('#content details summary').first().click();
    await page.locator('#content details[open] ol li').first().waitFor();
  },

  async 'addresses have a code; a question goes away with Escape and gives the focus back'() {
    await link('Overview').click();
    const code = page.getByRole('button', { name: /^Show the QR code/ });
    await code.focus();
    await page.keyboard.press('Enter');
    await dialog.getByRole('img').waitFor();
    await views(page, 'code');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), /^Show the QR code/);
  },

  async 'a newer version is offered, shown before it is done, and taken back'() {
    await ask('newer');
    await page.reload();
    await text('Update to 1.26.1').waitFor();
    await more('Update to 1.26.1');
    await dialog.locator('ol').first().waitFor();
    await views(page, 'update');
    await dialog.getByRole('button', { name: 'Update', exact: true }).click();
    await is('website', 'updating');
    await page.getByRole('progressbar').first().waitFor();
    await is('website', 'running');
    await text('Update to 1.26.1').waitFor({ state: 'detached' });
    await more('Go back to the version before');
    await dialog.locator('ol').first().waitFor();
    await dialog.getByRole('button', { name: 'Go back', exact: true }).click();
    await is('website', 'updating');
    await is('website', 'running');
    await text('Update to 1.26.1').waitFor();
    await ask('older');
  },

  async 'every page, in every size and scheme, and in German'() {
    await page.reload();
    // nobody goes anywhere before the page is there
    await page.locator('#content h1').waitFor();
    await judge(page, 'website', 'git', directory);
    await go(page, '/system/settings');
    await page.locator('#language').selectOption('de');
    await page.getByRole('heading', { name: 'Dieser Browser' }).waitFor();
    await views(page, 'in German');
    await go(page, '/');
    await text('Alle 3 Apps laufen.').waitFor();
    await views(page, 'apps in German');
    await go(page, '/system/settings');
    await page.locator('#language').selectOption('auto');
  },

  async 'the node’s health is looked at, its name changed, the theme chosen'() {
    await go(page, '/system/health');
    await text(/checks? passed/).waitFor();
    await go(page, '/system/settings');
    await page.fill('#node-name', 'Home');
    await button('Save').click();
    await text('The node has a new name.').waitFor();
    await page.getByText('Dark', { exact: true }).click();
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), 'dark');
    await page.getByText('As the device', { exact: true }).click();
  },

  async 'pictures of the dashboard'() {
    await go(page, '/');
    await tile('website').waitFor();
    await page.locator('[aria-label="Messages"] > div').first().waitFor({ state: 'detached' });
    for (const [name, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
      await page.setViewportSize(size);
      await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
      await page.mouse.move(0, 0);
      await still(page);
      await page.screenshot({ path: join(directory, `dashboard-${name}.png`) });
    }
  },

  async 'an app asks for signatures, in a frame and in a tab; what it may is taken back'() {
    await ask('garden');
    // what is offered was asked for before it was there
    await page.goto(new URL('/discover/garden', address).href);
    await button('Install Garden').click();
    await text('Garden is installed and runs.').waitFor({ timeout: SETTLE });
    await sign(context, page, 'garden', `https://${new URL(address).hostname}:18013/`);
  },

  async 'without subscriptions the node is asked now and then'() {
    await page.routeWebSocket(/\/ws\/state/, (socket) => socket.close());
    await page.goto(address);
    await page.getByText('Every 5 s', { exact: true }).waitFor();
    await is('mqtt', 'running');
    await page.unrouteAll();
  },

  async 'the daemon goes away: the page says so, the apps go on, it comes back by itself'() {
    const fresh = await context.newPage(); // without the closed subscriptions of the step before
    fresh.setDefaultTimeout(PATIENCE);
    await fresh.goto(address);
    await fresh.getByText('Live', { exact: true }).waitFor();
    await fresh.evaluate(() => navigator.serviceWorker.ready.then(() => true));
    await ask('stop');
    const banner = fresh.locator('[data-banner="away"]');
    await banner.waitFor({ timeout: 30_000 });
    await banner.getByText(/What you see is .+ old\./).waitFor();
    await views(fresh, 'node away');
    await fresh.screenshot({ path: join(directory, 'away.png') });
    // the page itself opens as well, with what was known last
    await fresh.reload();
    await fresh.locator('li[data-key="website"]').waitFor();
    await banner.waitFor();
    await fresh.locator('li[data-key="mqtt"]').getByRole('link', { name: 'Mosquitto', exact: true }).click();
    await fresh.getByRole('button', { name: 'Stop', exact: true }).click();
    await fresh.getByText('That was probably not done.', { exact: false }).waitFor();
    await ask('start');
    await banner.waitFor({ state: 'detached', timeout: 60_000 });
    await fresh.getByText('Live', { exact: true }).waitFor();
    await fresh.getByRole('button', { name: 'Stop', exact: true }).click(); // the connection carries changes again
    await fresh.locator('.state[data-state="stopped"]').waitFor({ timeout: SETTLE });
    await fresh.close();
  },

  async 'an app is uninstalled, after a question that says what stays'() {
    await page.goto(`${address}apps/mqtt`);
    await more('Uninstall');
    await dialog.locator('[data-stays] li').first().waitFor();
    await text('Stays on the node').waitFor();
    await views(page, 'uninstall');
    await dialog.getByText('Delete its data as well').click();
    await text('Goes for ever').waitFor();
    await page.keyboard.press('Escape');
    await more('Uninstall');
    await dialog.getByRole('button', { name: 'Uninstall', exact: true }).click();
    await tile('website').waitFor();
    await tile('mqtt').waitFor({ state: 'detached', timeout: SETTLE });
  },

  async 'signed out, a wrong password, an ended session'() {
    await button('Sign out').first().click();
    await text('You are signed out.').waitFor();
    assert.equal(await page.locator('li[data-key]').count(), 0, 'nothing may stay to be read');
    assert.equal(await page.evaluate(() => localStorage.getItem('archipelago.last-known')), null);
    await page.fill('#password', 'not this one');
    await page.keyboard.press('Enter');
    await text('This is not the password. Try again.').waitFor();
    await views(page, 'wrong password');
    await signIn();
    await tile('website').waitFor();
    await context.clearCookies();
    await go(page, '/apps/website/settings');
    await text('Your session has ended. Sign in again.').waitFor();
    await signIn();
    await is('website', 'running');
  },
};

let code = 0;
try {
  for (const [name, step] of Object.entries(steps)) {
    console.log(name);
    await step();
    assert.deepEqual(faults, [], 'faults inside the page');
  }
} catch (error) {
  code = 1;
  console.error(error.stack, '\nfaults inside the page:', faults);
  for (const [at, one] of context.pages().entries()) {
    await one.screenshot({ path: join(directory, `failed-${at}.png`), fullPage: true }).catch(() => {});
  }
}
await browser.close();
process.exit(code);

// The status page, driven as a person would: `node page.js <address> <directory> <browser>`.
// The node has no owner and no apps. In the directory, `ask-<what>` asks the caller to do something
// with the node, who answers by renaming it to `done-<what>`; pictures are left there as well.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DESKTOP, PHONE, SETTLE, open, tabTo, views } from './browser.js';

const [address, directory, program] = process.argv.slice(2);
const PASSWORD = 'correct horse battery';
const { browser, context, page, faults } = await open(program);
const card = (id) => page.locator(`li[data-key="${id}"]`);
const button = (name) => page.getByRole('button', { name, exact: true });
const shown = (id) => page.locator(`#${id}`).waitFor({ timeout: 30_000 });
const state = (id, word) => card(id).locator('.state', { hasText: new RegExp(`^${word}$`) }).waitFor({ timeout: SETTLE });

async function ask(what) {
  await writeFile(join(directory, `ask-${what}`), '');
  for (const end = Date.now() + 120_000; !existsSync(join(directory, `done-${what}`));) {
    assert.ok(Date.now() < end, `nobody did “${what}”`);
    await pause(50);
  }
}

async function logIn() {
  await page.fill('#password', PASSWORD);
  await page.keyboard.press('Enter');
  await shown('apps');
}

const steps = {
  async 'first visit: a password is chosen'() {
    await page.goto(address);
    await shown('login');
    assert.equal(await page.textContent('#login-title'), 'Welcome');
    await views(page, 'first visit');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'password');
    await page.keyboard.type('short');
    await page.keyboard.press('Enter');
    assert.ok(await page.$eval('#password', (input) => !input.validity.valid), 'five characters must not do');
    await logIn();
    await page.getByText('No app is installed yet. Choose one below.').waitFor();
    await views(page, 'empty node');
  },

  async 'an app is installed with the keyboard, its progress is shown, its link opens'() {
    await tabTo(page, 'Install Website');
    await page.keyboard.press('Enter');
    const bar = card('website').getByRole('progressbar');
    await bar.waitFor();
    await page.waitForFunction(() => document.activeElement.closest('#list li')?.dataset.key === 'website');
    await state('website', 'running');
    assert.equal(await bar.count(), 0, 'the progress bar must go');
    await card('website').getByText('It runs.').waitFor();
    assert.match(await card('website').locator('time').textContent(), /^Since .+ \(\d+ (s|min)\)\.$/);
    await card('website').getByText('Port 18002 is open to your whole network.').waitFor();
    const [tab] = await Promise.all([context.waitForEvent('page'), card('website').getByRole('link').click()]);
    await tab.waitForLoadState();
    assert.equal(new URL(tab.url()).port, '18002');
    assert.ok((await tab.textContent('body')).trim().length > 0, 'the app must show a page');
    await tab.close();
  },

  async 'apps are stopped, started, restarted; focus and open details stay'() {
    for (const name of ['Install Nostr relay', 'Install Mosquitto']) await button(name).click();
    await card('website').getByText('Details').click();
    await button('Stop Website').focus();
    await page.keyboard.press('Enter');
    await state('website', 'stopped');
    assert.ok(await card('website').locator('details').evaluate((it) => it.open), 'the details must stay open');
    await page.waitForFunction(() => document.activeElement.closest('li')?.dataset.key === 'website');
    assert.equal(await card('website').getByRole('link').count(), 0, 'a stopped app has nothing to open');
    await button('Start Website').click();
    await state('website', 'running');
    const before = await card('website').locator('time').getAttribute('data-at');
    await button('Restart Website').click();
    const at = (old) => Number(document.querySelector('li[data-key=website] time')?.dataset.at) > Number(old);
    await page.waitForFunction(at, before, { timeout: SETTLE });
    await state('website', 'running');
    await state('mqtt', 'running');
    await state('relay', 'running');
    await button('Stop Mosquitto').click();
    await state('mqtt', 'stopped');
    assert.equal(await page.textContent('#summary'), '2 running · 1 stopped');
  },

  async 'the log is shown'() {
    await button('Log Website').click();
    await page.locator('#log[open]').waitFor();
    assert.ok((await page.textContent('#log-lines')).length > 0);
    await views(page, 'log');
    await page.keyboard.press('Escape');
    await card('website').getByText('Details').click();
  },

  async 'pictures of the dashboard'() {
    await views(page, 'dashboard');
    for (const [name, size] of [['desktop', DESKTOP], ['phone', PHONE]]) {
      await page.setViewportSize(size);
      await page.evaluate(() => { document.activeElement.blur(); scrollTo(0, 0); });
      await page.mouse.move(0, 0);
      await page.screenshot({ path: join(directory, `dashboard-${name}.png`) });
    }
  },

  async 'the daemon goes away: the page says so, the apps go on, it comes back by itself'() {
    await ask('stop');
    await shown('lost');
    await page.getByText(/Last seen \d+ s ago\./).waitFor();
    await views(page, 'node away');
    await page.screenshot({ path: join(directory, 'away.png') });
    await button('Start Mosquitto').click();
    await page.getByText('That was probably not done.').waitFor();
    await ask('start');
    await page.locator('#lost').waitFor({ state: 'hidden', timeout: 60_000 });
    await page.locator('#message').waitFor({ state: 'hidden' });
    await state('website', 'running');
    await button('Start Mosquitto').click(); // the connection carries changes again
    await state('mqtt', 'running');
  },

  async 'an app is uninstalled, after a question'() {
    await button('Uninstall Mosquitto').click();
    await views(page, 'question');
    await page.keyboard.press('Escape');
    await button('Uninstall Mosquitto').click();
    await page.locator('#remove-now').click();
    await button('Install Mosquitto').waitFor({ timeout: SETTLE });
    assert.equal(await card('mqtt').locator('.state').count(), 0);
  },

  async 'logged out, a wrong password, an ended session'() {
    await button('Log out').click();
    await shown('login');
    await page.getByText('You are logged out.').waitFor();
    assert.equal(await page.locator('#list li').count(), 0, 'nothing may stay to be read');
    await page.fill('#password', 'not this one');
    await page.keyboard.press('Enter');
    await page.getByText('This is not the password. Try again.').waitFor();
    await views(page, 'wrong password');
    await logIn();
    await card('website').waitFor();
    await context.clearCookies();
    await button('Log Website').click();
    await page.getByText('Your session has ended. Log in again.').waitFor();
    await logIn();
    await state('website', 'running');
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
  await page.screenshot({ path: join(directory, 'failed.png'), fullPage: true }).catch(() => {});
}
await browser.close();
process.exit(code);

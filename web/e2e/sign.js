// An app's page asks for signatures, in a frame of the dashboard and by itself: also against any node,
// `node sign.js <address> <password> <app> <its address> <browser>`. The app's page has `window.nostr`.
import assert from 'node:assert/strict';
import { pathToFileURL } from 'node:url';
import { open, views } from './browser.js';
import { go } from './pages.js';

const NOTE = { kind: 1, content: 'Hello from the garden', tags: [['t', 'bees']], created_at: 1_760_000_000 };

/** Begins a request in a page; what came of it is collected later, for a person answers meanwhile. */
const begin = (frame, name, work, given) => frame.evaluate(([as, source, it]) => {
  window[as] = Function('it', `return ${source}`)(it).then((value) => ({ value }), (error) => ({ error: String(error.message ?? error) }));
}, [name, work, given]);
const ended = (frame, name) => frame.evaluate((as) => window[as], name);

/** The question for the owner, in the dashboard or in the signer's frame. */
const card = (where) => where.locator('[data-question]');
async function press(where, name) {
  await card(where).getByRole('button', { name, exact: true }).click();
}

/** Makes an identity when there is none, and gives its key. */
async function identity(page) {
  await go(page, '/system/identities');
  await page.getByRole('button', { name: 'New identity', exact: true }).click();
  await page.getByRole('dialog').waitFor();
  await views(page, 'new identity');
  await page.fill('#identity-name', 'Gardener');
  await page.keyboard.press('Enter');
  const mine = page.locator('[data-identity="Gardener"]');
  await mine.waitFor();
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  const prefer = mine.getByRole('button', { name: /^Make it the default/ });
  if (await prefer.count()) await prefer.click();
  await mine.getByText('Default', { exact: true }).waitFor();
  await mine.locator('summary').click();
  return (await mine.getByText(/^[0-9a-f]{64}$/).first().textContent()).trim();
}

/** The app inside the dashboard: the page around it answers. */
async function embedded(page, app, key) {
  await go(page, `/apps/${app}/open`);
  const frame = await (await page.locator('iframe').elementHandle()).contentFrame();
  await frame.waitForFunction(() => 'nostr' in window);
  await views(page, 'an app in a frame');
  await begin(frame, 'first', 'window.nostr.signEvent(it)', NOTE);
  await card(page).waitFor();
  assert.equal(await card(page).locator('[data-content]').textContent(), NOTE.content);
  await views(page, 'a question');
  // the same request again is the same question
  await begin(frame, 'again', 'window.nostr.signEvent(it)', NOTE);
  await press(page, 'Allow once');
  const { value, error } = await ended(frame, 'first');
  assert.equal(error, undefined);
  assert.equal(value.pubkey, key);
  assert.equal(value.content, NOTE.content);
  assert.match(value.sig, /^[0-9a-f]{128}$/);
  assert.deepEqual((await ended(frame, 'again')).value?.id, value.id);
  await card(page).waitFor({ state: 'detached' });
  // refused is refused, and says so
  await begin(frame, 'second', 'window.nostr.signEvent(it)', { ...NOTE, content: 'Not this' });
  await card(page).waitFor();
  await page.keyboard.press('Escape');
  assert.match((await ended(frame, 'second')).error, /refused/);
  // somebody else's window is not listened to
  await page.evaluate(() => window.postMessage({ type: 'nostr-request', id: 1, method: 'getPublicKey', params: {} }, '*'));
  await begin(frame, 'third', 'window.nostr.signEvent(it)', { ...NOTE, content: 'For good' });
  await card(page).waitFor();
  await press(page, 'Always allow');
  assert.equal((await ended(frame, 'third')).value?.content, 'For good');
  await begin(frame, 'fourth', 'window.nostr.signEvent(it)', { ...NOTE, content: 'Without a question' });
  assert.equal((await ended(frame, 'fourth')).value?.content, 'Without a question');
  // on a phone the foot has what a browser has
  const foot = page.locator('[data-foot]');
  for (const name of ['Back', 'Forward', 'Load again', 'Open in a tab']) await foot.getByLabel(name, { exact: true }).waitFor();
  await frame.evaluate(() => { location.hash = 'further'; });
  await foot.getByLabel('Back', { exact: true }).click();
  await frame.waitForFunction(() => location.hash === '');
  await foot.getByLabel('Forward', { exact: true }).click();
  await frame.waitForFunction(() => location.hash === '#further');
  await foot.getByLabel('Back to the dashboard', { exact: true }).click();
  await page.locator(`[data-app="${app}"]`).waitFor();
}

/** The app in a tab of its own: the signer comes up in a hidden frame. */
async function alone(context, url, key) {
  const tab = await context.newPage();
  await tab.goto(url);
  await tab.waitForFunction(() => 'nostr' in window);
  await begin(tab, 'who', 'window.archipelagoNostr.selectIdentity()');
  const signer = tab.frameLocator('iframe[title="Signer"]');
  await card(signer).waitFor();
  assert.equal(await tab.locator('iframe[title="Signer"]').evaluate((it) => getComputedStyle(it).visibility), 'visible');
  await press(signer, 'Choose');
  assert.equal((await ended(tab, 'who')).value?.nostr_pubkey, key);
  await tab.waitForFunction(() => getComputedStyle(document.querySelector('iframe[title="Signer"]')).visibility === 'hidden');
  // what was allowed for good inside the dashboard holds here as well
  await begin(tab, 'signed', 'window.nostr.signEvent(it)', { ...NOTE, content: 'From a tab' });
  const { value, error } = await ended(tab, 'signed');
  assert.equal(error, undefined);
  assert.equal(value.pubkey, key);
  // another method is another question
  await begin(tab, 'locked', 'window.nostr.nip44.encrypt(it, "A secret")', key);
  await card(signer).waitFor();
  await press(signer, 'Allow once');
  const locked = await ended(tab, 'locked');
  assert.equal(locked.error, undefined);
  await begin(tab, 'opened', 'window.nostr.nip44.decrypt(it[0], it[1])', [key, locked.value]);
  await card(signer).waitFor();
  await press(signer, 'Allow once');
  assert.equal((await ended(tab, 'opened')).value, 'A secret');
  return tab;
}

/** What was allowed for good is listed and can be taken back; then it is asked again. */
async function withdrawn(page, tab) {
  await go(page, '/system/identities');
  const back = page.locator('[data-consents]').getByRole('button', { name: /^Take back.*Sign in your name$/ });
  await back.first().waitFor();
  const before = await back.count();
  await back.last().click();
  await page.waitForFunction((n) => [...document.querySelectorAll('[data-consents] button')].filter((it) => it.textContent.includes('Sign in your name')).length < n, before);
  await begin(tab, 'last', 'window.nostr.signEvent(it)', { ...NOTE, content: 'Once more' });
  const signer = tab.frameLocator('iframe[title="Signer"]');
  await card(signer).waitFor();
  await press(signer, 'Refuse');
  assert.match((await ended(tab, 'last')).error, /refused/);
}

export async function sign(context, page, app, url) {
  const key = await identity(page);
  await embedded(page, app, key);
  const tab = await alone(context, url, key);
  await withdrawn(page, tab);
  await tab.close();
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [address, password, app, url, program] = process.argv.slice(2);
  const { browser, context, page, faults } = await open(program);
  try {
    await page.goto(address);
    await page.fill('#password', password);
    await page.keyboard.press('Enter');
    await page.locator('#content h1').waitFor();
    await sign(context, page, app, url);
  } catch (error) {
    for (const [at, one] of context.pages().entries()) await one.screenshot({ path: `/tmp/sign-${at}.png` }).catch(() => {});
    console.error(error.stack, faults);
    process.exitCode = 1;
  }
  await browser.close();
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

'use strict';
const $ = (id) => document.getElementById(id);
/** Frames come at least every 15 s (heartbeat); a quiet connection is dead after this (ms). */
const QUIET = 35000;
let state = null, seq = null, catalog = { apps: [], broken: [] }, version = null;
let follow = null; // the app that was just asked for: the view goes to its card
let skew = 0; // the node's clock minus this one's (ms)
const link = { socket: null, heard: 0, lost: 0, wait: 1000, due: 0 };

const now = () => Date.now() + skew;
const cookie = (name) =>
  document.cookie.split('; ').find((c) => c.startsWith(name + '='))?.slice(name.length + 1) ?? '';

function make(tag, props = {}, ...children) {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children.filter((child) => child !== null));
  return made;
}

// -- calls ----------------------------------------------------------------------------------

class Failure extends Error {
  constructor(text, data) { super(text); this.data = data ?? {}; }
}

async function rpc(method, params = {}, limit = 60000) {
  let answer, body;
  try {
    answer = await fetch('/rpc/v1', {
      method: 'POST', credentials: 'same-origin', signal: AbortSignal.timeout(limit),
      headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': cookie('csrf_token') },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    });
    body = await answer.json();
  } catch {
    throw new Failure('The node does not answer. Is it on, and in the same network?', { code: 'no-answer' });
  }
  const date = Date.parse(answer.headers.get('Date'));
  if (Math.abs(date - now()) > 2000) skew = date - Date.now();
  if (!body.error) return body.result;
  const { message, data } = body.error;
  if (answer.status === 401 && !['auth.login', 'auth.setup'].includes(method)) {
    throw new Failure('Your session has ended. Log in again.', { code: 'ended' });
  }
  const hint = data?.code === 'rate-limited' ? null : data?.hint;
  throw new Failure([message, hint].filter(Boolean).join(' '), data);
}

function say(text) {
  $('message').firstElementChild.textContent = text ?? '';
  $('message').hidden = !text;
  delete $('message').dataset.until;
}

async function run(work) {
  say();
  try {
    await work();
  } catch (error) {
    if (error.data?.code === 'ended') await showLogin(error.message);
    else if (error.data?.code === 'no-answer') missing(error);
    else say(error.message);
  }
}

/** What was asked for while the node is away is not asked again: say so until it is back. */
function missing(error) {
  say(link.lost ? 'That was probably not done. Try again when the node is back.' : error.message);
  $('message').dataset.until = 'found';
}

// -- log in, log out -------------------------------------------------------------------------

async function showLogin(why = '') {
  disconnect();
  const isSetup = await rpc('auth.isSetup');
  found();
  state = null; seq = null; catalog = { apps: [], broken: [] };
  for (const id of ['apps', 'catalog', 'logout', 'stale', 'loading']) $(id).hidden = true;
  for (const id of ['list', 'available']) $(id).replaceChildren();
  document.querySelectorAll('dialog[open]').forEach((open) => open.close());
  $('node').textContent = ''; document.title = 'Archipelago';
  const title = isSetup ? 'Log in' : 'Welcome';
  $('login').dataset.method = isSetup ? 'auth.login' : 'auth.setup';
  $('login-title').textContent = title;
  $('login-help').textContent = isSetup ? why
    : 'This node has no owner yet. Choose a password of at least 8 characters and keep it well: whoever knows it controls the node.';
  $('password').autocomplete = isSetup ? 'current-password' : 'new-password';
  $('password').minLength = isSetup ? 0 : 8;
  $('login').lastElementChild.textContent = isSetup ? 'Log in' : 'Set password';
  $('login').hidden = false;
  $('password').focus();
}

function refused(text) {
  $('login-error').textContent = text;
  $('password').setAttribute('aria-invalid', String(Boolean(text)));
}

$('login').onsubmit = async (event) => {
  event.preventDefault();
  const button = $('login').lastElementChild;
  if (button.disabled) return;
  button.disabled = true;
  refused('');
  try {
    await rpc($('login').dataset.method, { password: $('password').value });
    $('password').value = '';
    $('reveal').checked = false; $('reveal').onchange();
    await enter();
  } catch (error) {
    const { code, retry_after: wait } = error.data ?? {};
    refused(code === 'password-incorrect' ? 'This is not the password. Try again.' : error.message);
    if (code === 'already-set-up') await showLogin('This node has a password by now.').catch(() => {});
    $('password').focus(); $('password').select();
    await new Promise((done) => setTimeout(done, (wait ?? 0) * 1000));
    if (wait && $('login-error').textContent === error.message) refused('');
  } finally {
    button.disabled = false;
  }
};
$('reveal').onchange = () => { $('password').type = $('reveal').checked ? 'text' : 'password'; };
$('logout').onclick = () => run(async () => { await rpc('auth.logout'); await showLogin('You are logged out.'); });
$('message').lastElementChild.onclick = () => say();

// -- the state: a snapshot, then patches (RFC 6902) by sequence number -----------------------

async function begin() {
  try {
    await rpc('system.get-hostname', {}, 5000);
    await enter();
  } catch (error) {
    if (error.data?.code === 'ended') await showLogin(state ? error.message : '').catch(missed);
    else missed();
  }
}

async function enter() {
  $('login').hidden = true;
  $('logout').hidden = false;
  $('loading').hidden = state !== null;
  connect();
  catalog = await rpc('package.available');
  draw();
}

function connect() {
  disconnect();
  const query = seq === null ? '' : '?since=' + seq;
  const one = link.socket = new WebSocket(`wss://${location.host}/ws/state${query}`);
  link.heard = Date.now();
  one.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    link.heard = Date.now();
    if ('heartbeat' in frame) skew = frame.heartbeat - Date.now();
    else if ('snapshot' in frame) { state = frame.snapshot; seq = frame.seq; }
    else if (frame.from !== seq) { seq = null; connect(); return; }
    else if (frame.patch.every(applied)) seq = frame.seq;
    else { seq = null; connect(); return; }
    found();
    draw();
  };
  one.onclose = missed;
}

function disconnect() {
  const { socket } = link;
  link.socket = null; link.due = 0;
  if (socket) { socket.onclose = socket.onmessage = null; socket.close(); }
}

function found() {
  Object.assign(link, { lost: 0, wait: 1000, due: 0 });
  if ($('message').dataset.until === 'found') say();
  tick();
}

/** The connection is gone: try again, each time a little later. */
function missed() {
  disconnect();
  link.lost ||= Date.now();
  link.due = Date.now() + link.wait;
  link.wait = Math.min(link.wait * 1.6, 15000);
}

function retry() {
  link.due = 0;
  $('lost-next').textContent = 'Trying …';
  begin();
}
$('retry').onclick = retry;
addEventListener('online', () => { if (link.due) retry(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden && link.due) retry(); });

const tokens = (path) => path.split('/').slice(1).map((t) => t.replaceAll('~1', '/').replaceAll('~0', '~'));

function applied(operation) {
  try { apply(operation); return true; } catch { return false; } // then a snapshot is asked for
}

function apply({ op, path, from, value }) {
  const read = (keys) => keys.reduce((at, key) => at[key], state);
  if (op === 'move' || op === 'copy') {
    value = structuredClone(read(tokens(from)));
    if (op === 'move') apply({ op: 'remove', path: from });
    op = 'add';
  }
  const keys = tokens(path), last = keys.pop(), target = read(keys);
  if (last === undefined) state = value;
  else if (op === 'remove') Array.isArray(target) ? target.splice(+last, 1) : delete target[last];
  else if (op === 'add' && Array.isArray(target)) target.splice(last === '-' ? target.length : +last, 0, value);
  else if (op !== 'test') target[last] = value;
}

// -- cards -----------------------------------------------------------------------------------

/** What needs somebody is told first. */
const order = ['failed', 'unhealthy', 'waiting', 'unknown', 'installing', 'updating', 'starting', 'stopping', 'removing',
  'running', 'stopped'];
const tone = { running: 'good', unhealthy: 'bad', failed: 'bad', stopped: 'idle', waiting: 'warn', unknown: 'warn' };
const actors = { cli: 'the command line', dashboard: 'the dashboard' };
const who = ({ kind, name }) =>
  kind === 'user' ? actors[name] ?? name : kind === 'system' ? 'Archipelago itself' : 'somebody past Archipelago';

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const day = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

function span(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000)), minutes = Math.floor(seconds / 60);
  if (seconds < 60) return `${seconds} s`;
  if (minutes < 120) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} days`;
}

/** A sentence: without digests, which tell a person nothing, and with `code` as code. */
const prose = (...texts) => texts.filter(Boolean).join(' ').replace(/@sha256:[0-9a-f]{64}/g, '').split('`')
  .map((part, index) => (index % 2 ? make('code', { textContent: part }) : part));

function since(at) {
  const date = new Date(at), made = make('time', { dateTime: date.toISOString(), title: date.toLocaleString() });
  made.dataset.at = at;
  return made;
}

function button(text, label, kind, work) {
  const made = make('button', { type: 'button', textContent: text, className: kind });
  made.setAttribute('aria-label', `${text} ${label}`);
  made.dataset.act = text;
  made.onclick = async () => { // not `disabled`: that would take the focus away
    if (made.ariaDisabled === 'true') return;
    made.ariaDisabled = 'true';
    await run(work);
    made.ariaDisabled = null;
  };
  return made;
}

function links(app) {
  const row = make('p', { className: 'links' }), here = ['localhost', '127.0.0.1', '[::1]'].includes(location.hostname);
  for (const [name, door] of Object.entries(app.manifest.interfaces)) {
    if (!['http', 'https'].includes(door.protocol)) continue;
    const port = app.ports.find((port) => port.host === door.port && port.protocol === 'tcp');
    const text = door.name || name;
    if (port?.['loopback-only'] && !here) row.append(`${text}: on the node itself only, port ${door.port}`);
    else if (['running', 'unhealthy'].includes(app.status.state)) row.append(make('a', {
      href: `${door.protocol}://${location.hostname}:${door.port}${door.path}`, textContent: `Open ${text}`,
      target: '_blank', rel: 'noopener noreferrer',
    }));
  }
  return row.hasChildNodes() ? row : null;
}

function meter({ step, steps, percent }, title) {
  const part = percent ?? null, bar = make('progress', { max: 100 });
  bar.value = (100 * (Math.max(step, 1) - 1 + (part ?? 0) / 100)) / Math.max(steps, 1);
  bar.setAttribute('aria-label', `Progress of ${title}`);
  const text = `Step ${step} of ${steps}${part === null ? '' : `, ${part} % of it`}`;
  return make('div', { className: 'meter' }, bar, make('span', { textContent: text }));
}

function details(app) {
  const list = make('ul');
  const line = (strong, text) => list.append(make('li', {}, make('b', { textContent: strong }), ' ', ...prose(text)));
  for (const one of app.services) {
    const words = [one['unit-state']];
    if (!['unknown'].includes(one.health)) words.push(one.health);
    if (one['exit-status'] !== null && one['unit-state'] !== 'active') words.push(`exit status ${one['exit-status']}`);
    if (one.restarts) words.push(one.restarts === 1 ? 'restarted once by itself' : `restarted ${one.restarts} times by itself`);
    if (one.health === 'unhealthy' && one['health-output']) words.push(one['health-output']);
    line(`${one.name}:`, words.join(', '));
  }
  const ports = (inside) => app.ports.filter((port) => port['loopback-only'] === inside)
    .map((port) => `${port.host}/${port.protocol}`).join(', ');
  if (ports(true)) line('Ports on the node itself only:', ports(true));
  if (ports(false)) line('Ports open to your network:', `${ports(false)}. The password of this page does not guard them.`);
  line('Last asked for by:', who(app.status.actor));
  for (const note of app.notes) if (note.severity === 'note') line('Note:', `${note.message} ${note.mend ?? ''}`);
  return make('details', {}, make('summary', { textContent: 'Details' }), list);
}

function actions(app) {
  const { id, title } = app.manifest, { state: is, repair } = app.status;
  const row = make('div', { className: 'actions' }), has = new Set();
  const add = (text, method, kind = '') => {
    if (has.has(method)) return;
    has.add(method);
    row.append(button(text, title, kind, () => rpc('package.' + method, { id })));
  };
  const mend = repair?.method.match(/^package\.(start|stop|restart)$/)?.[1];
  if (mend) add(repair.label, mend, app.operation && !app.operation.error ? '' : 'main');
  if (is === 'stopped') add('Start', 'start', 'main');
  if (['running', 'unhealthy', 'waiting', 'unknown', 'failed'].includes(is) && !has.has('start')) add('Restart', 'restart');
  if (!['stopped', 'stopping', 'removing'].includes(is)) add('Stop', 'stop');
  row.append(button('Log', title, '', () => showLog(app)));
  if (is !== 'removing') row.append(button('Uninstall', title, 'danger', () => askRemove(id, title)));
  return row;
}

function card(app) {
  const { id, title, version } = app.manifest, { status, operation } = app;
  const atWork = operation && !operation.error && app['install-progress'];
  const item = make('li', { className: 'card' });
  item.dataset.key = id;
  item.append(make('div', { className: 'head' },
    make('h3', { tabIndex: -1 }, `${title} `, make('small', { textContent: version })),
    make('span', { className: `state ${tone[status.state] ?? 'busy'}`, textContent: status.state })));
  const soft = (...parts) => make('p', { className: 'soft' }, ...parts);
  item.append(make('p', { className: 'cause' }, ...prose(status.cause.text)));
  item.append(soft(since(status.since), ' ', ...prose(atWork ? null : status.next?.text)));
  if (atWork) item.append(meter(operation, title));
  if (operation?.error?.hint) item.append(soft(...prose(operation.error.hint)));
  for (const note of app.notes) if (note.severity !== 'note') {
    item.append(make('p', { className: note.severity === 'error' ? 'bad' : 'warn' }, ...prose(note.message, note.mend)));
  }
  const row = links(app);
  if (row) item.append(row);
  const open = [...new Set(app.ports.filter((port) => !port['loopback-only']).map((port) => port.host))];
  if (open.length && status.state !== 'stopped') {
    item.append(soft(open.length > 1 ? `Ports ${open.join(', ')} are` : `Port ${open[0]} is`, ' open to your whole network.'));
  }
  item.append(details(app), actions(app));
  return item;
}

function offer(app) {
  const item = make('li', { className: 'card' });
  item.dataset.key = app.id;
  item.append(
    make('div', { className: 'head' },
      make('h3', { tabIndex: -1 }, `${app.name} `, make('small', { textContent: app.version })),
      app.category ? make('span', { className: 'soft', textContent: app.category }) : null),
    make('p', { textContent: app.description }),
    make('div', { className: 'actions' },
      button('Install', app.name, 'main', async () => {
        await rpc('package.install', { id: app.id });
        follow = app.id;
        draw();
      })));
  return item;
}

// Replaces only the cards that changed; what was open or had the focus keeps it.
function fill(list, items) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  const focus = document.activeElement, key = list.contains(focus) ? focus.closest('li[data-key]').dataset.key : null;
  list.replaceChildren(...items.map(([id, text, build]) => {
    const known = old.get(id);
    if (known?.dataset.text === text) return known;
    const made = build();
    made.dataset.text = text;
    if (known?.querySelector('details')?.open) made.querySelector('details').open = true;
    return made;
  }));
  if (key === null || focus === document.activeElement) return;
  const same = [...list.children].find((child) => child.dataset.key === key);
  const match = focus.dataset.act ? `[data-act="${focus.dataset.act}"]` : focus.localName;
  const next = focus.isConnected ? focus : same?.querySelector(match) ?? same?.querySelector('h3');
  (next ?? list.closest('section').querySelector('h3'))?.focus({ preventScroll: true });
}

const said = new Map();
function announce(apps) {
  for (const { manifest, status } of apps) {
    const before = said.get(manifest.id);
    said.set(manifest.id, status.state);
    if (before !== undefined && before !== status.state) $('live').textContent = `${manifest.title}: ${status.state}`;
  }
}

function draw() {
  if (!state) return;
  const { name, version: current } = state.server_info;
  if (version !== null && version !== current) location.reload(); // another daemon brings another page
  version = current;
  const title = (app) => app.manifest?.title ?? app.name;
  const sorted = (apps) => apps.sort((a, b) => title(a).localeCompare(title(b)));
  const apps = sorted(Object.values(state['package-data']));
  $('loading').hidden = true;
  $('apps').hidden = false;
  $('node').textContent = `${name} · ${current}`;
  document.title = `${name} · Archipelago`;
  const counts = new Map();
  for (const app of apps) counts.set(app.status.state, (counts.get(app.status.state) ?? 0) + 1);
  const words = order.filter((word) => counts.has(word));
  $('summary').textContent = words.map((word) => `${counts.get(word)} ${word}`).join(' · ');
  const rest = sorted(catalog.apps.filter((app) => !(app.id in state['package-data'])));
  $('none').hidden = apps.length > 0;
  $('none').textContent = rest.length ? 'No app is installed yet. Choose one below.'
    : 'No app is installed yet. On the node, “archy install <directory>” installs one from its manifest.';
  fill($('list'), apps.map((app) => [app.manifest.id, JSON.stringify(app), () => card(app)]));
  $('catalog').hidden = rest.length + catalog.broken.length === 0;
  fill($('available'), rest.map((app) => [app.id, JSON.stringify(app), () => offer(app)]));
  $('broken').hidden = catalog.broken.length === 0;
  $('broken').replaceChildren(...catalog.broken.map(({ name, error }) =>
    make('li', { className: 'warn', textContent: `${name} cannot be offered: ${error.message}` })));
  announce(apps);
  tick();
  const goal = follow === null ? null : [...$('list').children].find((child) => child.dataset.key === follow);
  if (!goal) return;
  follow = null;
  if (document.activeElement !== document.body && !$('catalog').contains(document.activeElement)) return; // elsewhere by now
  goal.querySelector('h3').focus({ preventScroll: true });
  goal.scrollIntoView({ block: 'center' });
}

// What changes with time alone.
function tick() {
  for (const time of document.querySelectorAll('time')) {
    const at = new Date(+time.dataset.at), age = now() - at;
    const text = `Since ${age < 72e6 ? clock.format(at) : day.format(at)} (${span(age)}).`;
    if (time.textContent !== text) time.textContent = text;
  }
  const lost = link.lost !== 0 && Date.now() - link.lost > 1500;
  $('lost').hidden = !lost;
  document.body.classList.toggle('lost', lost);
  if (lost) {
    $('lost-since').textContent = state ? 'The apps go on without it. What you see is old.' : '';
    const seen = state ? `Last seen ${span(Date.now() - link.heard)} ago. ` : '';
    const left = Math.max(0, Math.ceil((link.due - Date.now()) / 1000));
    $('lost-next').textContent = seen + (link.due && left ? `Next try in ${left} s.` : 'Trying …');
  }
  const why = state?.['stale-because'];
  $('stale').hidden = !why || lost;
  if (why) {
    const text = `This is old, last seen ${span(now() - state['observed-at'])} ago: ${why.text}`;
    $('stale').firstElementChild.textContent = text;
  }
}
setInterval(() => {
  if (link.due && Date.now() >= link.due) retry();
  else if (link.socket && Date.now() - link.heard > QUIET) missed();
  tick();
}, 1000);

// -- dialogs ---------------------------------------------------------------------------------

function askRemove(id, title) {
  $('remove-title').textContent = `Uninstall ${title}?`;
  $('purge').checked = false; $('purge').onchange();
  $('remove-now').onclick = () => {
    $('remove').close();
    run(() => rpc('package.uninstall', { id, purge: $('purge').checked }));
  };
  $('remove').showModal();
  $('keep').focus();
}
$('purge').onchange = () => {
  $('remove-now').textContent = $('purge').checked ? 'Uninstall and delete its data' : 'Uninstall';
};
$('keep').onclick = () => $('remove').close();

async function showLog({ manifest: { id, title }, services }) {
  const { lines } = await rpc('package.logs', { id, lines: 200 });
  const text = ({ ts, service, line }) =>
    [ts ? new Date(ts).toLocaleTimeString() : '', services.length > 1 ? `${service}:` : '', line].filter(Boolean).join(' ');
  $('log-title').textContent = `Last log lines of ${title}`;
  $('log-lines').textContent = lines.length ? lines.map(text).join('\n') : 'There are no log lines yet.';
  $('log').showModal();
  $('log-lines').scrollTop = $('log-lines').scrollHeight;
}
$('log-close').onclick = () => $('log').close();

begin();

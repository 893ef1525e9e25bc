'use strict';
const $ = (id) => document.getElementById(id);
let state = null, seq = null, socket = null, retry = 1000, catalog = [];

const cookie = (name) =>
  document.cookie.split('; ').find((c) => c.startsWith(name + '='))?.slice(name.length + 1) ?? '';

async function rpc(method, params = {}) {
  const answer = await fetch('/rpc/v1', {
    method: 'POST', credentials: 'same-origin',
    headers: { 'Content-Type': 'application/json', 'X-CSRF-Token': cookie('csrf_token') },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  const body = await answer.json();
  if (answer.status === 401 && !method.startsWith('auth.')) showLogin();
  if (body.error) throw new Error([body.error.message, body.error.data?.hint].filter(Boolean).join(' '));
  return body.result;
}

function say(text) {
  $('message').textContent = text ?? '';
  $('message').hidden = !text;
}

async function run(work) {
  say();
  try { await work(); } catch (error) { say(error.message); }
}

async function showLogin() {
  state = null; seq = null; socket?.close();
  for (const id of ['apps', 'catalog', 'logout', 'stale']) $(id).hidden = true;
  const isSetup = await rpc('auth.isSetup');
  $('login').dataset.method = isSetup ? 'auth.login' : 'auth.setup';
  $('login-title').textContent = isSetup ? 'Log in' : 'Choose a password';
  $('login-help').textContent = isSetup ? '' : 'This node has no owner yet. The password needs at least 8 characters.';
  $('password').autocomplete = isSetup ? 'current-password' : 'new-password';
  $('login').querySelector('button').textContent = isSetup ? 'Log in' : 'Set password';
  $('login').hidden = false;
  $('password').focus();
}

async function enter() {
  $('login').hidden = true;
  $('logout').hidden = $('apps').hidden = $('catalog').hidden = false;
  subscribe();
  const found = await rpc('package.available');
  catalog = found.apps;
  if (found.broken.length) say('Broken manifests: ' + found.broken.map((b) => `${b.name} (${b.error.message})`).join('; '));
  draw();
}

// The state arrives as a snapshot, then as patches (RFC 6902) by sequence number.
function subscribe() {
  socket?.close();
  const query = seq === null ? '' : '?since=' + seq;
  const one = socket = new WebSocket(`wss://${location.host}/ws/state${query}`);
  one.onmessage = (event) => {
    const frame = JSON.parse(event.data);
    if ('snapshot' in frame) { state = frame.snapshot; seq = frame.seq; }
    else if ('patch' in frame) {
      if (frame.from !== seq) { seq = null; one.close(); return; }
      for (const operation of frame.patch) apply(operation);
      seq = frame.seq;
    }
    retry = 1000;
    draw();
  };
  one.onclose = () => {
    if (one !== socket || !$('login').hidden) return;
    setTimeout(() => run(async () => {
      await rpc('system.get-hostname'); // an ended session leads to the login form
      if ($('login').hidden) subscribe();
    }), retry);
    retry = Math.min(retry * 2, 30000);
  };
}

const tokens = (path) => path.split('/').slice(1).map((t) => t.replaceAll('~1', '/').replaceAll('~0', '~'));

function apply({ op, path, from, value }) {
  const read = (keys) => keys.reduce((at, key) => at[key], state);
  if (op === 'move' || op === 'copy') {
    const keys = tokens(from);
    value = structuredClone(read(keys));
    if (op === 'move') apply({ op: 'remove', path: from });
    op = 'add';
  }
  const keys = tokens(path), last = keys.pop(), target = read(keys);
  if (last === undefined) state = value;
  else if (op === 'remove') Array.isArray(target) ? target.splice(+last, 1) : delete target[last];
  else if (op === 'add' && Array.isArray(target)) target.splice(last === '-' ? target.length : +last, 0, value);
  else if (op !== 'test') target[last] = value;
}

const tone = { running: 'good', exited: 'bad', stopped: 'idle', unknown: 'warn' };

function since(ms) {
  const minutes = Math.max(0, Math.round((Date.now() - ms) / 60000));
  if (minutes < 2) return 'just now';
  if (minutes < 120) return `for ${minutes} min`;
  return minutes < 2880 ? `for ${Math.round(minutes / 60)} h` : `for ${Math.round(minutes / 1440)} days`;
}

function button(text, kind, work) {
  const made = document.createElement('button');
  made.type = 'button'; made.textContent = text; made.className = kind;
  made.onclick = () => { made.disabled = true; run(work).finally(() => { made.disabled = false; }); };
  return made;
}

function card(app) {
  const { id, title, version } = app.manifest, item = $('app').content.cloneNode(true).firstElementChild;
  const part = (name) => item.querySelector(name);
  const unwell = app.status.state === 'unhealthy', word = unwell ? 'unhealthy' : app.state;
  item.dataset.key = id;
  part('h3').textContent = `${title} ${version}`;
  part('.state').textContent = word;
  part('.state').classList.add(unwell ? 'bad' : tone[app.state] ?? 'warn');
  const next = app.status.next ? ` ${app.status.next.text}` : '';
  part('.cause').textContent = `${app.status.cause.text} (${since(app.status.since)})${next}`;
  const progress = app['install-progress'];
  if (progress && app.operation && !app.operation.error) {
    part('.cause').textContent = `${progress.message} (step ${progress.step} of ${progress.steps})`;
    part('progress').hidden = false;
    if (progress.percent !== null) part('progress').value = progress.percent;
  }
  for (const [name, door] of Object.entries(app.manifest.interfaces)) {
    if (!door.protocol.startsWith('http')) continue;
    const link = document.createElement('a');
    link.href = `${door.protocol}://${location.hostname}:${door.port}${door.path}`;
    link.textContent = `${door.name || name} :${door.port}`;
    link.target = '_blank'; link.rel = 'noopener noreferrer';
    part('.links').append(link);
  }
  const call = (method, params) => () => rpc('package.' + method, { id, ...params });
  const row = part('.actions');
  if (['stopped', 'exited'].includes(app.state)) row.append(button('Start', 'main', call('start')));
  if (!['stopped', 'removing'].includes(app.state)) row.append(button('Stop', '', call('stop')));
  if (app.state === 'running') row.append(button('Restart', '', call('restart')));
  row.append(button('Uninstall', 'danger', async () => {
    if (confirm(`Uninstall ${title}? Its data is kept.`)) await call('uninstall')();
  }));
  for (const made of row.children) made.setAttribute('aria-label', `${made.textContent} ${title}`);
  return item;
}

function offer(app) {
  const item = $('app').content.cloneNode(true).firstElementChild;
  item.dataset.key = app.id;
  item.querySelector('h3').textContent = app.name;
  item.querySelector('.state').textContent = app.version;
  item.querySelector('.state').classList.add('idle');
  item.querySelector('.cause').textContent = app.description;
  const install = button('Install', 'main', () => rpc('package.install', { id: app.id }));
  install.setAttribute('aria-label', `Install ${app.name}`);
  item.querySelector('.actions').append(install);
  return item;
}

// Replaces only the cards that changed, so that focus stays where it is.
function fill(list, items) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  list.replaceChildren(...items.map(([text, make]) => {
    const made = make(), known = old.get(made.dataset.key);
    made.dataset.text = text;
    return known?.dataset.text === text ? known : made;
  }));
}

function draw() {
  if (!state) return;
  const apps = Object.values(state['package-data']), focused = document.activeElement;
  $('node').textContent = `${state.server_info.name} · ${state.server_info.version}`;
  $('stale').hidden = !state['stale-because'];
  $('stale').textContent = state['stale-because'] ? `Old information: ${state['stale-because'].text}` : '';
  $('none').hidden = apps.length > 0;
  fill($('list'), apps.map((app) => [JSON.stringify(app), () => card(app)]));
  const rest = catalog.filter((app) => !(app.id in state['package-data']));
  $('catalog').hidden = rest.length === 0;
  fill($('available'), rest.map((app) => [app.version, () => offer(app)]));
  if (focused?.isConnected) focused.focus();
}

$('login').onsubmit = (event) => {
  event.preventDefault();
  run(async () => {
    await rpc($('login').dataset.method, { password: $('password').value });
    $('password').value = '';
    await enter();
  });
};
$('logout').onclick = () => run(async () => { await rpc('auth.logout'); await showLogin(); });
setInterval(draw, 60000);
run(async () => {
  const answer = await fetch('/rpc/v1', {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ method: 'system.get-hostname' }),
  });
  await (answer.status === 401 ? showLogin() : enter());
});

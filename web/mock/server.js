// A node for development: the API's methods over made-up data, the subscription, the log, and the built dashboard
// with the daemon's headers. `node mock/server.js [port]`; the password is “correct horse”.
import { createReadStream, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import * as data from './data.js';
import * as identities from './identities.js';
import * as figures from './figures.js';
import * as notices from './notices.js';

const port = Number(process.argv[2] ?? 8790);
const PASSWORD = 'correct horse';
const dist = fileURLToPath(new URL('../dist/site', import.meta.url));
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.png': 'image/png', '.woff2': 'font/woff2', '.webmanifest': 'application/manifest+json' };
const policy = (host, framed) => `default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; worker-src 'self'; frame-src https://${host}:* http://${host}:*; base-uri 'none'; form-action 'none'; frame-ancestors ${framed ? `http://${host}:*` : `'none'`}`;

let steps = process.env.MOCK_FRESH === undefined ? { password: true, seed: 'confirmed', complete: true } : { password: true, seed: 'missing', complete: false }, totp = false;
const WORDS24 = 'abandon ability able about above absent absorb abstract absurd abuse access accident account accuse achieve acid acoustic acquire across act action actor actress actual'.split(' ');
const ca = () => ({ fingerprint: Array.from({ length: 32 }, (_, n) => (n * 7 % 256).toString(16).padStart(2, '0').toUpperCase()).join(':'), subject: 'Archipelago home a1b2c3d4', path: '/ca.crt', expires: Date.now() + 6e11, leaf: { own: true, names: ['home', 'home.local', 'localhost', '192.168.1.20'], expires: Date.now() + 3e10 }, public: null });
const users = [{ name: 'owner', role: 'Admin', apps: null, owner: true, totp: false, passkeys: 1, created: null }, { name: 'ann', role: 'AppUser', apps: ['blog', 'files'], owner: false, totp: true, passkeys: 0, created: Date.now() - 9e8 }, { name: 'bob', role: 'Viewer', apps: null, owner: false, totp: false, passkeys: 0, created: Date.now() - 3e8 }];
let owned = process.env.MOCK_FRESH === undefined, seq = 1, operation = 40, away = false;
const state = process.env.MOCK_FRESH === undefined ? data.firstState() : { ...data.firstState(), 'package-data': {}, notices: [] };
for (let n = 0; n < Number(process.env.MOCK_MANY ?? 0); n += 1) {
  const app = data.makeApp(['blog', 'files', 'sync', 'git'][n % 4]);
  app.manifest.id += `-${n}`;
  state['package-data'][app.manifest.id] = app;
}
const sockets = new Set();
const configured = structuredClone(data.settings);
const journal = [...data.operations];

function change(...patch) {
  const from = seq;
  seq += 1;
  for (const one of sockets) one.send(JSON.stringify({ seq, from, patch }));
}
const put = (id, app) => {
  const op = id in state['package-data'] ? 'replace' : 'add';
  state['package-data'][id] = app;
  change({ op, path: `/package-data/${id}`, value: app });
};
const wait = (ms) => new Promise((done) => setTimeout(done, ms));

async function work(id, kind, during, end) {
  const app = state['package-data'][id] ?? data.makeApp(id, 'installing');
  const started = Date.now(), record = { id: (operation += 1), package_id: id, kind, actor: { kind: 'user', name: 'dashboard' }, started, ended: null, outcome: 'running', error: null, steps: [], details: { plan: data.INSTALL, checks: [], cause: null, steps: data.INSTALL.map((step) => ({ text: step.text, state: 'pending', started: null, ended: null, outcome: null })) } };
  journal.unshift(record);
  const steps = record.details.steps;
  for (const [at, step] of steps.entries()) {
    Object.assign(step, { state: 'running', started: Date.now() });
    for (const percent of step.text.startsWith('Pull') ? [12, 34, 58, 81, 97] : [null]) {
      put(id, { ...app, state: during, status: { ...app.status, state: during, cause: { code: 'operation', text: step.text }, since: started, repair: null, next: { text: `Step ${at + 1} of ${steps.length} is at work.`, at: null }, deadline: started + 300_000 }, operation: { id: record.id, kind, actor: record.actor, started, step: at + 1, steps: steps.length, text: step.text, percent, ...(percent !== null && { bytes: [percent * 4.1e6, 4.1e8] }), error: null } });
      await wait(Number(process.env.MOCK_PACE ?? 400));
    }
    Object.assign(step, { state: 'done', ended: Date.now() });
  }
  Object.assign(record, { ended: Date.now(), outcome: 'done' });
  if (end === null) { delete state['package-data'][id]; change({ op: 'remove', path: `/package-data/${id}` }); } else put(id, end);
}
const settled = (id, how) => {
  const app = data.makeApp(id, how);
  app.status.since = Date.now();
  if (how === 'stopped') Object.assign(app.status, { cause: { code: 'stop-asked', text: 'It was stopped, and stays so.' }, repair: { label: 'Start', method: 'package.start' } });
  return app;
};
const accepted = (id, status) => ({ package_id: id, status, operation });

state.unread = owned ? notices.first : 0;
const methods = {
  ...identities.methods,
  ...notices.methods((unread) => { state.unread = unread; change({ op: 'replace', path: '/unread', value: unread }); }),
  'auth.isSetup': () => owned, 'auth.isOnboardingComplete': () => owned,
  'system.get-hostname': () => ({ hostname: 'home', mdns: 'home.local' }),
  'server.get-state': () => ({ seq, data: state }),
  'server.set-name': ({ name }) => { state.server_info.name = name; change({ op: 'replace', path: '/server_info/name', value: name }); return { name }; },
  'package.available': () => data.available,
  'package.plan': async (params) => { await wait(300); return data.plan(params); },
  'package.history': ({ id, limit = 50 }) => ({ operations: journal.filter((one) => !id || one.package_id === id).slice(0, limit) }),
  'package.install': ({ id }) => { void work(id, 'install', 'installing', settled(id, 'running')); return accepted(id, 'installing'); },
  'package.update': ({ id }) => { void work(id, 'update', 'updating', settled(id, 'running')); return accepted(id, 'updating'); },
  'package.rollback': ({ id }) => { void work(id, 'rollback', 'updating', settled(id, 'running')); return accepted(id, 'rolling-back'); },
  'package.start': ({ id }) => { void work(id, 'start', 'starting', settled(id, 'running')); return accepted(id, 'starting'); },
  'package.restart': ({ id }) => { void work(id, 'restart', 'starting', settled(id, 'running')); return accepted(id, 'restarting'); },
  'package.stop': ({ id }) => { void work(id, 'stop', 'stopping', settled(id, 'stopped')); return accepted(id, 'stopping'); },
  'package.cancel': ({ id }) => accepted(id, 'cancelling'),
  'package.uninstall': ({ id }) => { void work(id, 'uninstall', 'removing', null); return accepted(id, 'removing'); },
  'package.config.get': ({ id }) => ({ package_id: id, settings: id === 'blog' ? configured : [] }),
  'package.config.set': ({ id, settings }) => {
    for (const one of configured) if (one.key in settings) Object.assign(one, { value: one.kind === 'secret' ? undefined : settings[one.key] ?? one.default, is_set: settings[one.key] !== null });
    return accepted(id, 'configuring');
  },
  'package.explain': ({ id }) => {
    const app = state['package-data'][id];
    return { package_id: id, title: app.manifest.title, version: app.manifest.version, desired: app.desired, state: app.status.state, cause: app.status.cause, since: app.status.since, actor: app.status.actor, health: app.health, services: app.services.map((one) => ({ name: one.name, container: one.container, unit_state: one['unit-state'], oneshot: one.name === 'worker', health: one.health, check: 'http 127.0.0.1:8080/health', restarts: one.restarts, out_of_memory: false, after: [] })), needs: id === 'mqtt' ? [{ what: 'relay', app: 'relay', optional: false, met: false, text: 'It needs relay.' }] : [], needed_by: id === 'relay' ? ['mqtt'] : [], notes: [], rights: data.RIGHTS[id] ?? [], log: ['loading configuration', 'error: cannot open /data/grafana.db: permission denied', 'exiting'].map((line) => ({ ts: Date.now(), service: 'main', stream: 'stderr', line })), observed_at: Date.now() };
  },
  'package.logs': ({ lines = 100 }) => ({ lines: Array.from({ length: Math.min(lines, 80) }, (_, n) => line(n)) }),
  'system.info': () => data.info, 'system.doctor': async () => { await wait(400); return data.doctor(); },
  'system.mend': ({ fixes }) => ({ mends: fixes.map((fix) => ({ fix, text: 'Done.' })) }),
  'system.support': () => ({ files: [{ name: 'doctor.txt', about: 'all checks', text: 'ok\n', cut: false }] }),
  'package.metrics': figures.ofApp, 'system.metrics': figures.ofNode,
  'system.stats': () => ({ at: Date.now(), cpu_percent: 14 + 9 * Math.sin(Date.now() / 9e3) + 4 * Math.random(), cpu_count: 4, load: [0.42, 0.38, 0.31], memory_total_bytes: 16.6e9, memory_available_bytes: 9.1e9 + 1e8 * Math.sin(Date.now() / 2e4), disk_total_bytes: 128e9, disk_free_bytes: 6.5e9, uptime_seconds: 912_345 }),
  'auth.changePassword': () => null,
  'auth.whoami': () => ({ user: process.env.MOCK_GUEST ? 'ann' : 'owner', role: process.env.MOCK_GUEST ? 'AppUser' : 'Admin', apps: null }),
  'auth.onboarding': () => steps, 'auth.completeOnboarding': () => { steps.complete = true; return steps; },
  'seed.generate': () => ({ words: WORDS24, ask: [2, 9, 14, 21] }),
  'seed.confirm': () => { steps.seed = 'confirmed'; return steps; }, 'seed.restore': () => { steps.seed = 'confirmed'; return steps; },
  'system.node-ca': ca, 'system.node-ca.generate': ca,
  'auth.apps': () => Object.values(state['package-data']).slice(0, 3).map((app) => ({ id: app.manifest.id, title: app.manifest.title, running: app.state === 'running', address: 'https://192.168.1.20:8080/' })),
  'auth.totp.status': () => ({ enabled: totp, backup_codes_left: totp ? 8 : 0 }),
  'auth.totp.setup': () => ({ secret: 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', uri: 'otpauth://totp/Archipelago:home%20%28owner%29?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Archipelago' }),
  'auth.totp.enable': () => { totp = true; return { backup_codes: Array.from({ length: 10 }, (_, n) => `ABCD-EFGH-JK${n}M`) }; },
  'auth.totp.backupCodes': () => ({ backup_codes: Array.from({ length: 10 }, (_, n) => `NPQR-STUV-WX${n}Z`) }), 'auth.totp.disable': () => { totp = false; return null; },
  'auth.sessions': () => [{ id: 'a1', user: 'owner', role: 'Admin', created: Date.now() - 4e6, last_seen: Date.now() - 2e3, expires: Date.now() + 8e7, remote: '192.168.1.33, Firefox on Linux', current: true }, { id: 'b2', user: 'ann', role: 'AppUser', created: Date.now() - 9e7, last_seen: Date.now() - 6e6, expires: Date.now() + 8e7, remote: '192.168.1.40, Safari on iPhone', current: false }],
  'auth.revokeSession': () => ({ revoked: 1 }), 'auth.listDeviceTokens': () => [{ id: 'c3', name: 'Backup script', user: 'owner', created: Date.now() - 9e8, last_used: Date.now() - 7e6 }],
  'auth.createDeviceToken': () => ({ id: 'd4', token: 'archy_device_0123456789abcdef' }), 'auth.revokeDeviceToken': () => null,
  'auth.passkey.list': () => [{ id: 'e5', name: 'Laptop', host: 'home.local', created: Date.now() - 5e8 }], 'auth.passkey.remove': () => null,
  'users.list': () => users, 'users.delete': ({ name }) => { users.splice(users.findIndex((one) => one.name === name), 1); return null; },
  'users.create': ({ name, role, apps }) => { const user = { name, role, apps, owner: false, totp: false, passkeys: 0, created: Date.now() }; users.push(user); return user; },
  'users.update': ({ name, ...more }) => Object.assign(users.find((one) => one.name === name), more),
  'auth.audit': ({ before }) => ({ entries: before ? [] : [{ seq: 3, at: Date.now() - 6e4, who: 'owner', from: '192.168.1.33, Firefox on Linux', what: 'package.restart', target: 'blog', outcome: 'ok' }, { seq: 2, at: Date.now() - 9e6, who: 'ann', from: '192.168.1.40, Safari on iPhone', what: 'auth.login', outcome: 'password-incorrect' }, { seq: 1, at: Date.now() - 8e7, who: 'unix socket, uid 1000', from: 'unix socket, uid 1000', what: 'package.install', target: 'mqtt', outcome: 'ok' }] }),
};
const WORDS = ['GET /wp-json/ 200 in 12 ms', 'cache hit for /feed', 'connection from 10.77.0.1 accepted', 'GET /health 200 in 1 ms', 'worker 3 took a job from the queue', 'warning: slow query (212 ms) in wp_posts'];
const line = (n) => ({ ts: Date.now() - (80 - n) * 1700, service: ['main', 'database', 'cache'][n % 3], stream: n % 17 === 0 ? 'system' : 'stdout', line: WORDS[(n * 5) % WORDS.length] });

function refuse(response, status, code, message, more = {}) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ result: null, error: { code: status, message, data: { code, ...more } } }));
}
async function call(request, response, session) {
  let text = '';
  for await (const piece of request) text += piece;
  const { method, params = {} } = JSON.parse(text);
  const answer = (result, headers = {}) => { response.writeHead(200, { 'content-type': 'application/json', ...headers }); response.end(JSON.stringify({ result, error: null })); };
  const cookies = { 'set-cookie': ['session=mock; HttpOnly; Path=/; SameSite=Strict', 'csrf_token=mock; Path=/; SameSite=Strict'] };
  if (method === 'auth.setup') { owned = true; answer(null, cookies); return; }
  if (method === 'auth.login') {
    if (params.password !== PASSWORD) refuse(response, 401, 'password-incorrect', 'Password Incorrect');
    else if (totp) answer({ requires_totp: true, signer: false });
    else answer(null, cookies);
    return;
  }
  if (method === 'auth.login.totp' || method === 'auth.login.backup') { answer(null, cookies); return; }
  if (method === 'auth.isSetup') { answer(owned); return; }
  if (!session) { refuse(response, 401, owned ? 'unauthorized' : 'not-set-up', 'Session required.'); return; }
  if (method === 'auth.logout') { answer(null, { 'set-cookie': ['session=; Max-Age=0; Path=/', 'csrf_token=; Max-Age=0; Path=/'] }); return; }
  if (!(method in methods)) { refuse(response, 200, 'method-not-found', `Not found: ${method}.`); return; }
  answer(await methods[method](params));
}
function log(response) {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  for (let n = 0; n < 80; n += 1) response.write(`${JSON.stringify(line(n))}\n`);
  const timer = setInterval(() => response.write(`${JSON.stringify({ ...line(Math.floor(Math.random() * 80)), ts: Date.now() })}\n`), 1500);
  response.on('close', () => clearInterval(timer));
}
function file(path, response, host) {
  const known = existsSync(join(dist, path)) && extname(path) !== '';
  const name = known ? path : '/index.html';
  response.writeHead(200, { 'content-type': TYPES[extname(name)] ?? 'application/octet-stream', 'content-security-policy': policy(host, path === '/nostr-signer'), 'cache-control': name.startsWith('/assets/') ? 'max-age=31536000, immutable' : 'no-store' });
  createReadStream(join(dist, name)).pipe(response);
}
const server = createServer((request, response) => {
  const { pathname } = new URL(request.url, 'http://mock');
  if (pathname === '/mock/away') { away = true; for (const one of sockets) one.terminate(); response.end(); return; }
  if (pathname === '/mock/back') { away = false; response.end(); return; }
  if (away) { request.socket.destroy(); return; }
  const session = /session=mock/.test(request.headers.cookie ?? '');
  if (pathname === '/rpc/v1') call(request, response, session).catch((error) => refuse(response, 200, 'internal', String(error)));
  else if (pathname === '/rpc/v1/logs') log(response);
  else file(pathname, response, (request.headers.host ?? '').split(':')[0]);
});
const web = new WebSocketServer({ noServer: true });
server.on('upgrade', (request, socket, head) => {
  if (away || process.env.MOCK_NO_SOCKET || !request.url.startsWith('/ws/state') || !/session=mock/.test(request.headers.cookie ?? '')) { socket.destroy(); return; }
  web.handleUpgrade(request, socket, head, (one) => {
    sockets.add(one);
    one.on('close', () => sockets.delete(one));
    const since = Number(new URL(request.url, 'http://mock').searchParams.get('since') ?? -1);
    one.send(JSON.stringify(since === seq ? { heartbeat: Date.now() } : { seq, snapshot: state }));
  });
});
setInterval(() => { for (const one of sockets) one.send(JSON.stringify({ heartbeat: Date.now() })); }, 15_000);
server.listen(port, '127.0.0.1', () => console.log(`a made-up node answers at http://127.0.0.1:${port}/ (password: ${PASSWORD})`));
identities.serveApp(18_001, `http://127.0.0.1:${port}`);

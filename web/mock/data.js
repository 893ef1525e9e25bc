// A node that was made up: apps in every state, what it offers, what it answers.
const MINUTE = 60_000, HOUR = 60 * MINUTE;
const start = Date.now();
export const ago = (ms) => start - ms;

const DESCRIPTIONS = {
  blog: ['WordPress', '6.8.0', 'web', 'A blog with its database and a cache.'],
  files: ['Files', '2.31.1', 'storage', 'Your files in the browser. Upload, share and sort them from any device.'],
  relay: ['Nostr relay', '0.8.12', 'nostr', "A relay for one's own notes."],
  sync: ['Syncthing', '1.29.2', 'storage', 'Keeps folders the same on all your devices, without anybody in between.'],
  metrics: ['Metrics', '11.4.0', 'monitoring', 'Charts of what your house and your node measure.'],
  mqtt: ['Mosquitto', '2.0.20', 'automation', 'A message broker for things at home.'],
  plaza: ['Plaza', '1.0.0', 'social', 'A meeting place made of seven services, behind one web server.'],
  git: ['Gitea', '1.23.1', 'development', 'Your repositories with issues, reviews and releases.'],
  photos: ['Photos', '1.124.0', 'media', 'Your photographs by day, place and face. They stay at home.'],
  notes: ['Notes', '0.9.4', 'productivity', 'Notes that are encrypted before they leave your device.'],
};
const GIB = 2 ** 30;
/** What apps may do beyond what every app may. */
export const RIGHTS = {
  blog: [{ kind: 'open-port', what: '18000', why: 'Readers come without an account.' }],
  files: [{ kind: 'signer' }, { kind: 'visitor' }],
  sync: [{ kind: 'capability', what: 'NET_RAW', why: 'It looks for its other devices in the local network.' }, { kind: 'host-network' }, { kind: 'open-port', what: '22000' }],
  git: [{ kind: 'capability', what: 'CHOWN' }, { kind: 'open-port', what: '18007', why: 'Git over SSH has its own keys.' }, { kind: 'identity-keys' }],
  photos: [{ kind: 'device', what: '/dev/dri' }],
};
export const available = {
  apps: Object.entries(DESCRIPTIONS).map(([id, [name, version, category, description]]) => ({
    id, name, version: id === 'files' ? '2.32.0' : version, description, category: id === 'notes' ? null : category,
    source: id === 'notes' ? 'local' : 'bundled', installed: false, icon: id === 'git' ? '/icon.svg' : '', screenshots: id === 'git' ? ['/icon-512.png', '/icon-192.png', '/icon-512.png'] : [],
    needs: { memory_bytes: id === 'photos' ? 6 * GIB : 0.5 * GIB, storage_bytes: id === 'photos' ? 20 * GIB : id === 'git' ? 2 * GIB : null, architectures: id === 'notes' ? ['arm64'] : [], apps: id === 'git' ? ['postgres'] : [] },
    rights: RIGHTS[id] ?? [],
  })),
  broken: [{ name: 'old-wiki', error: { code: 'manifest-invalid', message: 'Invalid manifest: line 12: services.main.image is missing.', hint: '`archy app validate` shows each place with a mend.' } }],
};

export function makeApp(id, state = 'running', more = {}) {
  const [title, version, category, text] = DESCRIPTIONS[id];
  const running = ['running', 'unhealthy'].includes(state);
  const port = 18_000 + Object.keys(DESCRIPTIONS).indexOf(id);
  const names = id === 'plaza' ? ['frontend', 'api', 'worker', 'database', 'cache', 'objects', 'relay'] : id === 'blog' ? ['main', 'database', 'cache'] : ['main'];
  const web = !['mqtt'].includes(id);
  const health = { running: 'healthy', unhealthy: 'unhealthy', starting: 'starting' }[state] ?? 'unknown';
  return {
    state: { unhealthy: 'running', failed: 'exited' }[state] ?? state, health,
    manifest: {
      id, title, version, description: { short: text, long: text }, 'release-notes': '', license: 'MIT', 'wrapper-repo': '', 'upstream-repo': 'https://example.org/source',
      'support-site': '', 'marketing-site': 'https://example.org/', 'donation-url': null, author: 'Archipelago', website: '', tier: 'local', category,
      interfaces: web ? { main: { name: 'Web page', description: '', type: 'ui', ui: true, port, protocol: 'http', path: '/', 'opens-in': id === 'files' ? 'frame' : 'tab' } } : { main: { name: 'MQTT', description: 'For devices at home', type: 'api', ui: false, port, protocol: 'tcp', path: '/', 'opens-in': 'tab' } },
    },
    'static-files': { license: '', instructions: '', icon: '' },
    installed: { 'interface-addresses': { main: { 'tor-address': '', 'lan-address': web ? `http://10.77.0.11:${port}` : null, 'lan-port-auth': 'none' } } },
    status: { state, cause: { code: state, text: 'It runs.' }, since: ago(3 * HOUR), actor: { kind: 'user', name: 'dashboard' }, next: null, repair: null, deadline: null },
    desired: state === 'stopped' ? 'stopped' : 'running', generation: 4, digest: `sha256:${'4f'.repeat(32)}`,
    services: names.map((name) => ({ name, container: names.length > 1 ? `${id}-${name}` : id, image: `registry.example/${id}/${name}:${version}`, 'unit-state': running ? 'active' : 'inactive', health, 'health-output': null, restarts: 0, 'exit-status': null, 'active-since': running ? ago(3 * HOUR) : null })),
    ports: [{ service: names[0], host: port, container: 80, protocol: 'tcp', auth: 'none', 'loopback-only': false }],
    notes: [], ...more,
  };
}
const status = (state, text, more) => ({ state, cause: { code: 'mock', text }, since: ago(12 * MINUTE), actor: { kind: 'system' }, next: null, repair: null, deadline: null, ...more });

export function firstState() {
  const apps = {
    blog: makeApp('blog'),
    files: makeApp('files'),
    relay: makeApp('relay', 'stopped', { status: status('stopped', 'It was stopped, and stays so.', { since: ago(26 * HOUR), actor: { kind: 'user', name: 'cli' }, repair: { label: 'Start', method: 'package.start' } }) }),
    sync: makeApp('sync', 'unhealthy', { status: status('unhealthy', 'The health check of main fails: connection refused on 127.0.0.1:8384.', { next: { text: 'Podman ends it when the check goes on failing, and systemd starts it again.', at: null }, repair: { label: 'Restart', method: 'package.restart' } }) }),
    metrics: makeApp('metrics', 'failed', {
      status: status('failed', 'main failed (exit-code, exit status 1).', { since: ago(4 * MINUTE), next: { text: 'Nothing by itself: its automatic restarts are used up.', at: null }, repair: { label: 'Restart', method: 'package.restart' } }),
      notes: [{ severity: 'warning', code: 'limit-not-enforced', message: 'The memory limit of main is not enforced on this host.', mend: 'Delegate the memory controller to the user manager.' }],
    }),
    plaza: makeApp('plaza', 'running'),
    mqtt: makeApp('mqtt', 'waiting', { status: status('waiting', 'It needs relay, which is stopped.', { next: { text: 'It goes on by itself when that runs.', at: null }, repair: { label: 'Restart', method: 'package.restart' } }) }),
  };
  apps.plaza.status.cause.text = 'All 7 services run.';
  apps.blog.status.cause.text = 'All 3 services run.';
  apps.sync.services[0]['health-output'] = 'connection refused on 127.0.0.1:8384';
  apps.sync.services[0].restarts = 2;
  apps.metrics.services[0]['exit-status'] = 1;
  apps.metrics.services[0]['unit-state'] = 'failed';
  return {
    'package-data': apps, server_info: { name: 'Home', version: '0.1.0', hostname: 'home' }, 'observed-at': start, 'stale-because': null,
    notices: [{ severity: 'warning', code: 'disk-low', text: 'The disk has 6.1 GiB left of 120 GiB.', since: ago(5 * HOUR), mend: 'Remove an app that you do not need, or put in a larger disk.' }],
  };
}

const setting = (key, label, kind, more) => ({ key, label, kind, is_set: false, required: false, ...more });
export const settings = [
  setting('title', 'Title', 'text', { help: 'Stands at the top of the page.', value: 'Our blog', default: 'A blog', max: 60, required: true, is_set: true }),
  setting('per_page', 'Articles on a page', 'number', { value: 10, default: 10, min: 1, max: 50 }),
  setting('comments', 'Comments', 'boolean', { value: true, default: false, help: 'Readers may answer.' }),
  setting('theme', 'Theme', 'choice', { value: 'calm', default: 'calm', choices: ['calm', 'bold', 'paper'] }),
  setting('mail', 'Address for answers', 'text', { pattern: '[^@ ]+@[^@ ]+', help: 'Where the blog writes to.' }),
  setting('port', 'Port for feeds', 'port', { value: 18_200, default: 18_200 }),
  setting('key', 'Key of the mail service', 'secret', { is_set: true }),
];

const step = (kind, text, reason, target, diff) => ({ kind, text, reason, ...(target && { target }), ...(diff && { diff }) });
export const INSTALL = [
  step('make-directory', 'Make the data directory', 'the app keeps data there', 'data'),
  step('generate-secret', 'Generate secret notes-key', 'the manifest asks for it', 'notes-key'),
  step('pull-image', 'Pull image registry.example/app:1', 'a service runs it', 'registry.example/app:1'),
  step('write-unit-file', 'Write unit file app.container', 'it is not there', 'app.container', '+[Container]\n+Image=registry.example/app:1\n'),
  step('reload', 'Reload', 'unit files change'),
  step('start-units', 'Start units app.service', 'it shall run', 'app.service'),
  step('await-ready', 'Await ready', 'its health check tells'),
];
export function plan({ action, id, purge }) {
  const result = { package_id: id, generation: 5, manifest: `sha256:${'a1'.repeat(32)}`, allowed: true, checks: [], steps: INSTALL };
  if (action === 'uninstall') {
    result.steps = [step('stop-units', `Stop units ${id}.service`, 'it is uninstalled', `${id}.service`), step('remove-unit-file', `Remove unit file ${id}.container`, 'it is uninstalled', `${id}.container`)];
    if (purge) result.steps = [...result.steps, step('purge-volume', `Purge volume ${id}-data`, 'the owner asked', `${id}-data`), step('purge-data', 'Purge data', 'the owner asked'), step('purge-secret', `Purge secret ${id}-key`, 'the owner asked', `${id}-key`)];
  }
  if (action === 'install') result.checks = [{ severity: 'note', code: 'download', message: 'About 412 MiB are downloaded.', mend: null }, { severity: 'warning', code: 'port-open', message: 'Port 18008 will be open to your whole network.', mend: 'Its own login guards it.' }];
  if (id === 'photos') Object.assign(result, { allowed: false, checks: [{ severity: 'error', code: 'space', message: 'It needs 20 GiB of space, and 6.1 GiB are free.', mend: 'Make room, or put in a larger disk.' }] });
  if (action === 'update') result.checks = [{ severity: 'warning', code: 'rights-widened', message: 'The service main asks for the capability NET_RAW, which it did not have.', mend: 'Go on only if you trust the publisher with it.' }];
  return result;
}

const check = (area, name, level, text, more) => ({ area, name, level, text, ...more });
export const doctor = () => ({ at: Date.now() - 20_000, checks: [
  check('host', 'lingering', 'ok', 'The user manager of archipelago runs without a login.'),
  check('podman', 'version', 'ok', 'Podman 5.4.2; 5.4 or newer is needed.'),
  check('systemd', 'failed units', 'warn', '1 unit failed: metrics.service.', { mend: 'Look at its log, then reset it.', fix: 'reset-failed:metrics.service' }),
  check('space', 'data', 'warn', '6.1 GiB of 120 GiB are free in /var/lib/archipelago.', { mend: 'Remove an app that you do not need.' }),
  check('store', 'integrity', 'ok', 'The store is whole.'), check('clock', 'synchronised', 'ok', 'The clock is synchronised.'),
  check('certificates', 'leaf', 'ok', 'The certificate is good for another 312 days.'), check('units', 'drift', 'ok', 'All 19 unit files are as planned.'),
] });

const operation = (id, app, kind, outcome, at, more) => ({
  id, package_id: app, kind, actor: { kind: 'user', name: 'dashboard' }, started: ago(at), ended: ago(at - 38_000), outcome, error: null, steps: [],
  details: { plan: INSTALL, checks: [], cause: null, steps: INSTALL.map((one, n) => ({ text: one.text, state: outcome === 'failed' && n > 4 ? (n === 5 ? 'failed' : 'skipped') : 'done', started: ago(at - n * 4000), ended: ago(at - n * 4000 - 3000), outcome: outcome === 'failed' && n === 5 ? 'main failed (exit-code, exit status 1).' : null })) }, ...more,
});
export const operations = [
  operation(31, 'metrics', 'restart', 'failed', 4 * MINUTE, { error: { code: 'unit-failed', message: 'main failed (exit-code, exit status 1).', hint: '`archy logs metrics` shows its last words.' } }),
  operation(30, 'blog', 'config', 'done', 3 * HOUR), operation(29, 'relay', 'stop', 'done', 26 * HOUR, { actor: { kind: 'user', name: 'cli' } }),
  operation(28, 'files', 'update', 'done', 50 * HOUR), operation(27, 'blog', 'install', 'done', 80 * HOUR), operation(26, 'plaza', 'recover', 'done', 90 * HOUR, { actor: { kind: 'system' } }),
];
export const info = { version: '0.1.0', hostname: 'home', os: 'Debian GNU/Linux 13 (trixie)', kernel: '6.12.48', architecture: 'amd64', node_mode: true, host_ip: '10.77.0.11', podman_version: '5.4.2', podman_floor: '5.4', systemd_version: '257', user: { name: 'archipelago', uid: 1000, lingering: true, subuids: 65536, subgids: 65536 }, cgroup_controllers: ['cpu', 'memory', 'pids'], data_dir: '/var/lib/archipelago', unit_dir: '/home/archipelago/.config/containers/systemd', unit_dir_writable: true, disk_total_bytes: 128e9, disk_free_bytes: 6.5e9, memory_total_bytes: 16.6e9, memory_available_bytes: 9.1e9, api_addresses: [], unknown: [] };

// Made-up notices, ways to the owner, snapshots, and lines of the daemon.
const ago = (minutes) => Date.now() - minutes * 60_000;
const entry = (id, kind, severity, app, title, text, minutes, more = {}) => ({ id, kind, severity, app, title, text, mend: null, since: ago(minutes), ended: null, read: false, ...more });
const entries = [
  entry(5, 'app-failed', 'error', 'git', 'Git', 'main failed (exit-code, exit status 1).', 4, { mend: 'Restart.' }),
  entry(4, 'disk', 'warning', null, 'disk-low', "Little room is left for apps' data: 5.1 GiB of 119.2 GiB are free.", 190, { mend: 'Make room on the disk.' }),
  entry(3, 'update-available', 'note', 'blog', 'Blog', 'Version 6.8.2 can be installed; 6.7.1 is.', 700, { read: true }),
  entry(2, 'update-rolled-back', 'warning', 'files', 'Files', 'The new version did not become healthy within 2 min.', 2900, { read: true, ended: ago(2800) }),
];
const unread = () => entries.filter((one) => !one.read).length;
const list = () => ({ entries, unread: unread() });
const channels = ['webhook', 'email', 'push'];
const kinds = ['app-failed', 'app-unhealthy', 'update-available', 'update-rolled-back', 'disk', 'certificate', 'doctor', 'node'];
const settings = {
  webhook: { on: true, url: 'http://192.168.1.30:8080/hook', has_secret: true },
  email: { on: false, host: '', port: 465, security: 'tls', user: '', has_password: false, from: '', to: [] },
  push: [{ id: 'p1', label: 'Chrome, Android', service: 'fcm.googleapis.com', added: ago(9000) }],
  push_key: 'BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8',
  rules: Object.fromEntries(kinds.map((kind) => [kind, kind === 'update-available' ? ['webhook', 'email'] : channels])),
  last: [{ channel: 'webhook', at: ago(4), error: null }],
};
const LINES = [['info', 'serving HTTPS address=[::]:443'], ['info', 'an operation began kind=update app=blog operation=41'], ['warning', 'the disk is low'], ['debug', 'the host was looked at'], ['error', 'a service failed app=git unit=git.service']];

export const first = unread();
export const methods = (publish) => ({
  'notify.list': list,
  'notify.mark': ({ ids, read }) => { entries.filter((one) => !ids || ids.includes(one.id)).forEach((one) => { one.read = read; }); publish(unread()); return list(); },
  'notify.settings': () => settings,
  'notify.set': ({ webhook, webhook_secret: secret, email, email_password: password, rules }) => {
    if (webhook) settings.webhook = { ...webhook, has_secret: settings.webhook.has_secret };
    if (secret !== undefined) settings.webhook.has_secret = secret !== '';
    if (email) settings.email = { ...email, has_password: settings.email.has_password };
    if (password !== undefined) settings.email.has_password = password !== '';
    if (rules) settings.rules = rules;
    return settings;
  },
  'notify.test': () => null,
  'notify.push.add': ({ endpoint, label }) => { settings.push.push({ id: `p${settings.push.length + 1}`, label, service: new URL(endpoint).host, added: Date.now() }); return settings; },
  'notify.push.remove': ({ id }) => { settings.push = settings.push.filter((one) => one.id !== id); return settings; },
  'system.logs': ({ lines = 100, level = 'debug' }) => {
    const levels = ['error', 'warning', 'info', 'debug'];
    const all = Array.from({ length: 60 }, (_, n) => { const [how, line] = LINES[(n * 7) % LINES.length]; return { ts: Date.now() - (60 - n) * 9_000, level: how, part: 'archipelago', line }; });
    return { lines: all.filter((one) => levels.indexOf(one.level) <= levels.indexOf(level)).slice(-lines) };
  },
  'package.snapshots': ({ id }) => (id !== 'blog' ? { snapshots: [], previous: null } : {
    snapshots: [{ generation: 12, taken: ago(1500), expires: ago(1500 - 7 * 1440), bytes: 3.2e9, version: '6.6.0', before_version: '6.7.1', goes_back: true, restored: false }],
    previous: { version: '6.6.0', replaced: ago(1500), until: ago(1500 - 7 * 1440) },
  }),
});

// Identities of the made-up node, what apps may do with them, and a page of an app that asks for a signature.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';

const hex = (n) => (n * 2654435761 % 2 ** 32).toString(16).padStart(8, '0').repeat(8);
const npub = (n) => `npub1${Array.from({ length: 58 }, (_, at) => 'qpzry9x8gf2tvdw0s3jn54khce6mua7l'[(at * 7 + n * 5) % 32]).join('')}`;
let made = 0;
function identity(name, purpose, origin, more = {}) {
  made += 1;
  const pubkey = hex(made);
  return {
    id: `${pubkey.slice(0, 8)}-0000-4000-8000-00000000000${made}`, name, purpose, pubkey, did: `did:key:z6Mk${npub(made).slice(5, 49)}`, created_at: new Date(Date.now() - made * 3e8).toISOString(),
    is_default: false, is_node: false, nostr_pubkey: hex(made + 100), nostr_npub: npub(made), profile: null, origin, derivation_index: origin === 'seed' ? made - 1 : null, signer: null, ...more,
  };
}
const signer = () => ({ remote_signer_pubkey: hex(77), relays: ['wss://relay.example', 'wss://nostr.example'] });
const identities = [
  identity('Node', 'personal', 'seed', { id: 'node-identity', is_node: true, created_at: '', derivation_index: null }),
  identity('Ann', 'personal', 'seed', { is_default: true, profile: { name: 'Ann', about: 'Gardens and bees.' } }),
  identity('Shop', 'business', 'seed'), identity('Phone', 'anonymous', 'linked', { signer: signer() }),
];
const relays = [{ url: 'wss://relay.example', connected: true, enabled: true, added_at: Date.now() - 9e8 }, { url: 'wss://nostr.example', connected: false, enabled: true, added_at: Date.now() - 8e8 }];
const grants = [
  { app_id: 'blog', origin: 'https://home.local:18000', method: 'getPublicKey', decision: 'allow', since: Date.now() - 4e7 },
  { app_id: 'blog', origin: 'https://home.local:18000', method: 'signEvent', decision: 'allow', since: Date.now() - 4e7 },
  { app_id: 'relay', origin: 'https://home.local:18002', method: 'nip44.decrypt', decision: 'deny', since: Date.now() - 9e8 },
];
const prompts = new Map(), pairings = new Map();
const known = (id) => identities.find((one) => (id ? one.id === id : one.is_default)) ?? identities[1];
const allowed = (app, origin, method) => grants.find((one) => one.app_id === app && one.origin === origin && one.method === method)?.decision;
const add = (one) => { identities.push(one); return one; };
const ok = () => ({ ok: true });
/** What is done for an app's page must have been allowed. */
function must(consent, method) {
  const prompt = consent && prompts.get(consent.prompt_id);
  if (consent && prompt?.state !== 'allowed' && allowed(consent.app_id, consent.origin, method) !== 'allow') throw new Error('Nobody allowed it.');
}
function consentAsk({ app_id, origin, method, identity_id, params }) {
  const decided = allowed(app_id, origin, method);
  if (decided) return { state: decided === 'allow' ? 'allowed' : 'denied', prompt_id: null, shared: false };
  const key = JSON.stringify([app_id, origin, method, identity_id, params]);
  const same = [...prompts.entries()].find(([, one]) => one.key === key && one.state === 'open');
  if (same) return { state: 'open', prompt_id: same[0], shared: true };
  const id = `prompt-${prompts.size + 1}`;
  prompts.set(id, { key, state: 'open', app_id, origin, method });
  return { state: 'open', prompt_id: id, shared: false };
}

export const methods = {
  'identity.list': () => ({ identities, damaged: [] }),
  'identity.create': ({ name, purpose }) => add(identity(name, purpose, 'seed', { is_default: !identities.some((one) => one.is_default) })),
  'identity.import': ({ name, purpose }) => add(identity(name, purpose, 'generated')),
  'identity.update': ({ id, ...more }) => Object.assign(known(id), more),
  'identity.set-default': ({ id }) => { for (const one of identities) one.is_default = one.id === id; return known(id); },
  'identity.delete': ({ id }) => { identities.splice(identities.findIndex((one) => one.id === id), 1); return ok(); },
  'identity.create-nostr-key': ({ id }) => known(id),
  'identity.export-keys': () => ({ nsec: npub(9).replace('npub', 'nsec'), nostr_secret_hex: hex(5), secret_key_hex: hex(6) }),
  'identity.publish-profile': ({ id, profile }) => { Object.assign(known(id), { profile }); return { event: {}, published: ['wss://relay.example'], failed: [{ url: 'wss://nostr.example', reason: 'it does not answer' }] }; },
  'identity.affected-apps': () => ({ apps: [{ id: 'relay', name: 'Nostr relay', restart_needed: true }] }),
  'identity.link-nip46': async ({ name, purpose }) => { await new Promise((done) => setTimeout(done, 2_000)); return add(identity(name, purpose, 'linked', { signer: signer() })); },
  'identity.link-nostrconnect-start': ({ name, purpose, relays: urls }) => {
    const pairing_id = `pairing-${pairings.size + 1}`;
    pairings.set(pairing_id, { name, purpose, asked: 0 });
    return { pairing_id, uri: `nostrconnect://${hex(88)}?${urls.map((url) => `relay=${encodeURIComponent(url)}`).join('&')}&secret=0123456789abcdef&name=Archipelago&perms=sign_event` };
  },
  'identity.link-nostrconnect-finish': ({ pairing_id }) => {
    const pairing = pairings.get(pairing_id);
    pairing.asked += 1;
    return pairing.asked < 4 ? { status: 'pending' } : { status: 'linked', identity: add(identity(pairing.name, pairing.purpose, 'linked', { signer: signer() })) };
  },
  'identity.consent-ask': consentAsk,
  'identity.consent-wait': async ({ prompt_id }) => {
    for (let n = 0; n < 200 && prompts.get(prompt_id)?.state === 'open'; n += 1) await new Promise((done) => setTimeout(done, 100));
    return { state: prompts.get(prompt_id)?.state ?? 'gone' };
  },
  'identity.consent-answer': ({ prompt_id, decision, remember }) => {
    const prompt = prompts.get(prompt_id);
    prompt.state = decision === 'allow' ? 'allowed' : 'denied';
    if (remember) grants.push({ app_id: prompt.app_id, origin: prompt.origin, method: prompt.method, decision, since: Date.now() });
    return ok();
  },
  'identity.consent-list': () => ({ grants, open: [] }),
  'identity.consent-revoke': ({ app_id, origin, method }) => {
    const goes = grants.filter((one) => one.app_id === app_id && (!origin || one.origin === origin) && (!method || one.method === method));
    for (const one of goes) grants.splice(grants.indexOf(one), 1);
    return { revoked: goes.length };
  },
  'identity.nostr-sign': ({ id, event, consent }) => {
    must(consent, 'signEvent');
    return { kind: 1, tags: [], content: '', created_at: Math.floor(Date.now() / 1000), ...event, pubkey: known(id).nostr_pubkey, id: hex(1), sig: hex(2) + hex(3) };
  },
  'identity.nostr-encrypt-nip04': ({ plaintext }) => ({ ciphertext: btoa(plaintext) }), 'identity.nostr-decrypt-nip04': ({ ciphertext }) => ({ plaintext: atob(ciphertext) }),
  'identity.nostr-encrypt-nip44': ({ plaintext }) => ({ ciphertext: btoa(plaintext) }), 'identity.nostr-decrypt-nip44': ({ ciphertext }) => ({ plaintext: atob(ciphertext) }),
  'nostr.list-relays': () => ({ relays }),
  'nostr.set-relay': ({ url, enabled = true }) => { const one = relays.find((it) => it.url === url); if (one) one.enabled = enabled; else relays.push({ url, connected: false, enabled, added_at: Date.now() }); return ok(); },
  'nostr.remove-relay': ({ url }) => { relays.splice(relays.findIndex((one) => one.url === url), 1); return ok(); },
};

/** A page of an app, with the provider that the app gate puts into pages. */
const page = (dashboard) => `<!doctype html><html lang="en"><title>Files</title><meta name="viewport" content="width=device-width">
<script src="/nostr-provider.js" data-app-id="files" data-signer-origin="${dashboard}"></script>
<h1>Files</h1><button id="who">Who am I?</button> <button id="sign">Sign</button><pre id="out"></pre>
<script>for (const [id, what] of [['who', () => nostr.getPublicKey()], ['sign', () => nostr.signEvent({ kind: 1, content: 'Hello from the garden', tags: [['t', 'bees']] })]])
document.getElementById(id).onclick = () => what().then(JSON.stringify, String).then((text) => { document.getElementById('out').textContent = text; });</script></html>`;

/** Serves it on a port of the same host. */
export function serveApp(port, dashboard) {
  const provider = readFileSync(new URL('../../crates/archy-identity/assets/nostr-provider.js', import.meta.url));
  createServer((request, response) => {
    const script = request.url === '/nostr-provider.js';
    response.writeHead(200, { 'content-type': script ? 'text/javascript' : 'text/html' });
    response.end(script ? provider : page(dashboard));
  }).on('error', () => undefined).listen(port, '127.0.0.1');
}

// What the desk asks of the node, which is played by the test.
import { createPinia, setActivePinia } from 'pinia';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { useNode } from '@/stores/node';
import { useSession } from '@/stores/session';
import type { Signer } from './bridge';
import { useDesk } from './desk';
import type { Wanted } from './messages';

const calls: [string, unknown][] = [];
const answers: Record<string, unknown> = {
  'identity.list': { identities: [
    { id: 'node-identity', name: 'Node', is_node: true, nostr_pubkey: 'f'.repeat(64), nostr_npub: 'npub1node', is_default: false },
    { id: 'ann', name: 'Ann', is_node: false, nostr_pubkey: 'a'.repeat(64), nostr_npub: 'npub1ann', is_default: true },
    { id: 'bare', name: 'Bare', is_node: false, nostr_pubkey: null, nostr_npub: null, is_default: false },
  ], damaged: [] },
  'nostr.list-relays': { relays: [{ url: 'wss://a.example', enabled: true }, { url: 'wss://b.example', enabled: false }] },
  'identity.nostr-encrypt-nip44': { ciphertext: 'locked' },
  'identity.nostr-decrypt-nip04': { plaintext: 'open' },
  'identity.nostr-sign': { sig: 's' },
  'identity.consent-answer': { ok: true },
};
vi.mock('@/api/rpc', async (load) => ({
  ...(await load<object>()),
  rpc: (method: string, params: unknown) => {
    calls.push([method, params]);
    return Promise.resolve(answers[method]);
  },
}));

const app = { id: 'files', title: 'Files', origin: 'https://home.local:18001' };
const ann: Signer = { id: 'ann', name: 'Ann', pubkey: 'a'.repeat(64), npub: 'npub1ann', isDefault: true };
const peer = 'c'.repeat(64);
beforeEach(() => {
  setActivePinia(createPinia());
  localStorage.clear();
  calls.length = 0;
});

describe('the desk', () => {
  it('has identities that can sign, and not the node’s own', async () => {
    expect(await useDesk().signers()).toEqual([ann]);
  });

  it.each<[Wanted, unknown, string | null, object]>([
    [{ method: 'getPublicKey', params: {} }, ann.pubkey, null, {}],
    [{ method: 'getRelays', params: {} }, { 'wss://a.example': { read: true, write: true } }, 'nostr.list-relays', {}],
    [{ method: 'signEvent', params: { event: { kind: 1 } } }, { sig: 's' }, 'identity.nostr-sign', { event: { kind: 1 } }],
    [{ method: 'nip44.encrypt', params: { pubkey: peer, plaintext: 'x' } }, 'locked', 'identity.nostr-encrypt-nip44', { pubkey: peer, plaintext: 'x' }],
    [{ method: 'nip04.decrypt', params: { pubkey: peer, ciphertext: 'x' } }, 'open', 'identity.nostr-decrypt-nip04', { pubkey: peer, ciphertext: 'x' }],
  ])('carries out $method for the app that was allowed', async (wanted, result, method, params) => {
    expect(await useDesk().run({ app, identity: 'ann', wanted }, ann, 'prompt-1')).toEqual(result);
    if (method === null) expect(calls).toEqual([]);
    else expect(calls[0]?.[0]).toBe(method);
    if (method?.startsWith('identity.')) expect(calls[0]?.[1]).toEqual({ ...params, id: 'ann', consent: { app_id: 'files', origin: app.origin, prompt_id: 'prompt-1' } });
  });

  it('asks with the whole request, so that the node can tell whether it is the same', async () => {
    const wanted: Wanted = { method: 'signEvent', params: { event: { kind: 1, content: 'x' } } };
    await useDesk().ask({ app, identity: 'ann', wanted });
    expect(calls).toEqual([['identity.consent-ask', { app_id: 'files', origin: app.origin, method: 'signEvent', identity_id: 'ann', params: wanted.params }]]);
  });

  it('keeps the identity of an app in this browser, for its origin', () => {
    const desk = useDesk();
    expect(desk.picked(app)).toBeNull();
    desk.pick(app, ann);
    expect(JSON.parse(localStorage.getItem('archipelago_app_identity_files') ?? '')).toEqual({ id: 'ann', name: 'Ann', origin: app.origin });
    expect(desk.picked(app)).toBe('ann');
    expect(desk.picked({ ...app, origin: 'https://home.local:18009' })).toBeNull();
    localStorage.setItem('archipelago_app_identity_files', '{"id":"shop","name":"Shop"}');
    expect(desk.picked(app)).toBe('shop');
    localStorage.setItem('archipelago_app_identity_files', 'broken');
    expect(desk.picked(app)).toBeNull();
  });

  it('waits for somebody to sign in, and lets administrators sign only', async () => {
    const [desk, session] = [useDesk(), useSession()];
    session.phase = 'out';
    let entered = false;
    const waiting = desk.signedIn().then(() => { entered = true; });
    await Promise.resolve();
    expect(entered).toBe(false);
    session.phase = 'in';
    await waiting;
    session.role = 'Viewer';
    await expect(desk.signedIn()).rejects.toThrow('administrator');
  });

  it('knows an app by its port', async () => {
    const node = useNode();
    node.data = { 'package-data': { files: { ports: [{ host: 18_001, protocol: 'tcp' }], manifest: { id: 'files', title: 'Files', interfaces: {} } } } } as never;
    expect(await useDesk().app(app.origin)).toEqual(app);
  });
});

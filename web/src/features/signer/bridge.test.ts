// The bridge against a node and a view that are played by the test.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { ConsentAsked, ConsentState } from '@/api/types';
import { type Ask, Bridge, type Desk, type Question, type Signer } from './bridge';
import type { Outgoing } from './messages';

const HERE = { origin: 'https://home.local', hostname: 'home.local' };
const APP = 'https://home.local:18001';
const ann: Signer = { id: 'ann', name: 'Ann', pubkey: 'a'.repeat(64), npub: 'npub1ann', isDefault: true };
const shop: Signer = { id: 'shop', name: 'Shop', pubkey: 'b'.repeat(64), npub: 'npub1shop', isDefault: false };

class FakeNode {
  signers = [ann, shop];
  picked: string | null = null;
  allowed = new Set<string>();
  denied = new Set<string>();
  asked: Ask[] = [];
  ran: { ask: Ask; prompt: string | undefined }[] = [];
  states = new Map<string, ConsentState>();
  waiting = new Map<string, ((state: ConsentState) => void)[]>();
  remembered: string[] = [];
  entered: Promise<void> = Promise.resolve();
  over: unknown = null;
  private prompts = new Map<string, string>();

  settle(prompt: string, state: ConsentState): void {
    this.states.set(prompt, state);
    for (const done of this.waiting.get(prompt) ?? []) done(state);
  }
  desk(): Desk {
    return {
      signedIn: () => this.entered,
      isOver: (error) => error === this.over && error !== null,
      app: async (origin) => ({ id: 'files', title: 'Files', origin }),
      signers: async () => this.signers,
      picked: () => this.picked,
      pick: (_app, signer) => { this.picked = signer.id; },
      ask: async (ask): Promise<ConsentAsked> => {
        this.asked.push(ask);
        if (this.allowed.has(ask.wanted.method)) return { state: 'allowed', prompt_id: null, shared: false };
        if (this.denied.has(ask.wanted.method)) return { state: 'denied', prompt_id: null, shared: false };
        const key = JSON.stringify([ask.identity, ask.wanted]);
        const prompt = this.prompts.get(key) ?? `prompt-${this.prompts.size + 1}`;
        this.prompts.set(key, prompt);
        return { state: 'open', prompt_id: prompt, shared: false };
      },
      wait: (prompt) => new Promise((done) => {
        const state = this.states.get(prompt);
        if (state) done(state);
        else this.waiting.set(prompt, [...(this.waiting.get(prompt) ?? []), done]);
      }),
      answer: async (prompt, decision, remember) => {
        if (remember) this.remembered.push(prompt);
        this.settle(prompt, decision === 'allow' ? 'allowed' : 'denied');
      },
      run: async (ask, signer, prompt) => {
        if (this.over) {
          const error = this.over;
          throw error;
        }
        this.ran.push({ ask, prompt });
        return `${ask.wanted.method} by ${signer.id}`;
      },
      alone: (_prompt, _signal, work) => work(),
    };
  }
}

let node: FakeNode, posted: Outgoing[], shown: (Question | null)[], bridge: Bridge;
const question = <K extends Question['what']>(what: K) => {
  const last = shown.at(-1);
  if (last?.what !== what) throw new Error(`no question of the kind ${what}`);
  return last as Extract<Question, { what: K }>;
};
const settle = () => vi.advanceTimersByTimeAsync(0);
const asks = (id: string | number, method: string, params: unknown = {}) => {
  bridge.receive(APP, { type: 'nostr-request', id, method, params });
  return settle();
};
const note = (content: string, more = {}) => ({ event: { kind: 1, content, tags: [], ...more } });
function make(way: 'frame' | 'around' = 'around', patience = 60_000): void {
  [node, posted, shown] = [new FakeNode(), [], []];
  bridge = new Bridge({ way, desk: node.desk(), post: (message) => posted.push(message), show: (it) => shown.push(it), patience, here: HERE });
}
beforeEach(() => {
  vi.useFakeTimers();
  make();
});

describe('a request', () => {
  it('is carried out when the owner allows it, once', async () => {
    await asks('1', 'signEvent', note('hello'));
    expect(question('consent').wanted.method).toBe('signEvent');
    expect(posted).toEqual([]);
    await question('consent').allow(ann, false);
    await settle();
    expect(posted).toEqual([{ type: 'nostr-response', id: '1', result: 'signEvent by ann' }]);
    expect(node.ran[0]?.prompt).toBe('prompt-1');
    expect(node.remembered).toEqual([]);
    expect(shown.at(-1)).toBeNull();
  });

  it('is refused by the owner, by the node, and by an answer for good', async () => {
    await asks('1', 'signEvent', note('hello'));
    await question('consent').refuse(true);
    await settle();
    expect(posted.at(-1)).toMatchObject({ id: '1', error: expect.stringContaining('refused') });
    expect(node.remembered).toEqual(['prompt-1']);
    node.denied.add('nip44.decrypt');
    await asks('2', 'nip44.decrypt', { pubkey: 'c'.repeat(64), ciphertext: 'x' });
    expect(posted.at(-1)).toMatchObject({ id: '2', error: expect.stringContaining('refused') });
    expect(node.ran).toEqual([]);
  });

  it('needs no question where the method was allowed for good', async () => {
    node.allowed.add('signEvent');
    await asks('1', 'sign', note('hello'));
    expect(posted).toEqual([{ type: 'nostr-response', id: '1', result: 'signEvent by ann' }]);
    expect(shown).toEqual([]);
    expect(node.ran[0]?.prompt).toBeUndefined();
  });

  it('that comes twice is one question and one signature, with an answer for each', async () => {
    await asks('1', 'signEvent', note('hello'));
    await asks('2', 'signEvent', note('hello'));
    expect(shown.filter(Boolean)).toHaveLength(1);
    await question('consent').allow(ann, false);
    await settle();
    expect(posted.map((one) => 'id' in one && one.id)).toEqual(['1', '2']);
    expect(node.ran).toHaveLength(1);
  });

  it('waits for the question before it, whose answer may be for good', async () => {
    await asks('1', 'signEvent', note('one'));
    await asks('2', 'signEvent', note('two'));
    expect(shown.filter(Boolean)).toHaveLength(1);
    node.allowed.add('signEvent');
    await question('consent').allow(ann, true);
    await settle();
    expect(shown.filter(Boolean)).toHaveLength(1);
    expect(node.ran.map(({ prompt }) => prompt)).toEqual(['prompt-1', undefined]);
  });

  it('is answered elsewhere: the question goes away by itself', async () => {
    await asks('1', 'signEvent', note('hello'));
    node.settle('prompt-1', 'allowed');
    await settle();
    expect(posted.at(-1)).toMatchObject({ id: '1', result: 'signEvent by ann' });
    expect(shown.at(-1)).toBeNull();
  });

  it('is over when nobody answers in time; the node hears nothing more of it', async () => {
    await asks('1', 'signEvent', note('hello'));
    await vi.advanceTimersByTimeAsync(59_000);
    expect(posted).toEqual([]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(posted).toMatchObject([{ id: '1', error: expect.stringContaining('in time') }]);
    expect(node.ran).toEqual([]);
  });

  it('is refused when its page is gone', async () => {
    await asks('1', 'signEvent', note('hello'));
    bridge.close();
    await settle();
    expect(node.states.get('prompt-1')).toBe('denied');
  });

  it('for an identity that it names is for no other; one that was chosen for the app comes before the default', async () => {
    await asks('1', 'signEvent', note('hello', { pubkey: shop.pubkey.toUpperCase() }));
    expect(question('consent')).toMatchObject({ fixed: true, signer: shop });
    await question('consent').allow(shop, false);
    await settle();
    expect(node.picked).toBeNull();
    node.picked = 'shop';
    await asks('2', 'getPublicKey');
    expect(question('consent')).toMatchObject({ fixed: false, signer: shop });
    // the owner takes another one: it is asked for anew, under its own prompt
    await question('consent').allow(ann, false);
    await settle();
    expect(node.picked).toBe('ann');
    expect(node.asked.at(-1)?.identity).toBe('ann');
    expect(posted.at(-1)).toMatchObject({ id: '2', result: 'getPublicKey by ann' });
  });

  it('says where to make an identity when there is none', async () => {
    node.signers = [];
    await asks('1', 'getPublicKey');
    expect(posted).toMatchObject([{ error: expect.stringContaining('System, Identities') }]);
  });

  it('waits for somebody to sign in, and begins anew when the session ends on the way', async () => {
    let enter: () => void = () => undefined;
    node.entered = new Promise((done) => { enter = done; });
    node.allowed.add('signEvent');
    await asks('1', 'signEvent', note('hello'));
    expect(node.asked).toEqual([]);
    node.over = new Error('the session ended');
    const run = vi.spyOn(node, 'entered', 'get').mockImplementation(() => { node.over = null; return Promise.resolve(); });
    enter();
    await settle();
    expect(run).toHaveBeenCalled();
    expect(posted.at(-1)).toMatchObject({ id: '1', result: 'signEvent by ann' });
  });
});

describe('who is listened to', () => {
  it('is a page of this host on another port, and only the one that is open', async () => {
    const request = { type: 'nostr-request', id: 1, method: 'getPublicKey', params: {} };
    for (const origin of ['https://evil.example', 'https://home.local', 'null', 'https://home.local.evil.example:18001', 'file://']) {
      expect(bridge.receive(origin, request), origin).toBe(false);
    }
    bridge.expect(APP);
    expect(bridge.receive('https://home.local:18002', request)).toBe(false);
    expect(bridge.receive(APP, 'text')).toBe(false);
    expect(bridge.receive(APP, request)).toBe(true);
    await settle();
    expect(node.asked).toHaveLength(1);
  });

  it('in a frame, is nobody before they said which app they are', async () => {
    make('frame');
    await asks('1', 'getPublicKey');
    expect(posted).toMatchObject([{ id: '1', error: expect.stringContaining('not told') }]);
    bridge.receive(APP, { type: 'archipelago:signer-init', appId: 'files', appName: 'Files' });
    await asks('2', 'getPublicKey');
    expect(question('consent').app.origin).toBe(APP);
  });
});

describe('an identity', () => {
  it('is chosen inside the dashboard, and the page learns it flat', async () => {
    bridge.receive(APP, { type: 'archipelago:identity:request', force: true });
    bridge.receive(APP, { type: 'archipelago:identity:request', force: true });
    await settle();
    expect(shown.filter(Boolean)).toHaveLength(1);
    await question('pick').choose(shop);
    await settle();
    expect(posted).toEqual([{ type: 'archipelago:identity', nostr_pubkey: shop.pubkey, nostr_npub: shop.npub, name: 'Shop' }]);
    expect(node.picked).toBe('shop');
  });

  it('is chosen in a frame, where the answer has another shape', async () => {
    make('frame');
    bridge.receive(APP, { type: 'archipelago:signer-init', appId: 'files' });
    bridge.receive(APP, { type: 'archipelago:signer-select-identity', force: true });
    await settle();
    await question('pick').choose(ann);
    await settle();
    expect(posted).toEqual([{ type: 'archipelago:signer-identity', identity: { nostr_pubkey: ann.pubkey, nostr_npub: ann.npub, name: 'Ann' } }]);
  });

  it('is not chosen: the page hears that', async () => {
    bridge.receive(APP, { type: 'archipelago:identity:request', force: true });
    await settle();
    await question('pick').refuse();
    await settle();
    expect(posted).toEqual([{ type: 'archipelago:identity-cancelled' }]);
    expect(node.picked).toBeNull();
  });

  it('that was chosen before is not asked for again, unless the page wants that', async () => {
    node.picked = 'shop';
    bridge.receive(APP, { type: 'archipelago:identity:request' });
    await settle();
    expect(shown).toEqual([]);
    expect(posted).toMatchObject([{ nostr_pubkey: shop.pubkey }]);
  });
});

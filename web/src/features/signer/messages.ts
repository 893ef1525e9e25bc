// What apps' pages send and get (`nostr-provider.js`), and which of it is listened to.

/** Methods that a page can ask for. */
export const METHODS = ['getPublicKey', 'signEvent', 'getRelays', 'nip04.encrypt', 'nip04.decrypt', 'nip44.encrypt', 'nip44.decrypt'] as const;
export type NostrMethod = (typeof METHODS)[number];

/** An event as a page wants it signed; what it leaves out, the node fills in. */
export interface Draft {
  kind?: number;
  content?: string;
  tags?: string[][];
  created_at?: number;
  pubkey?: string;
}

/** A request that holds what its method needs. */
export type Wanted =
  | { method: 'getPublicKey' | 'getRelays'; params: Record<string, never> }
  | { method: 'signEvent'; params: { event: Draft } }
  | { method: 'nip04.encrypt' | 'nip44.encrypt'; params: { pubkey: string; plaintext: string } }
  | { method: 'nip04.decrypt' | 'nip44.decrypt'; params: { pubkey: string; ciphertext: string } };

/** Longest list of parameters that is looked at (characters). */
const LONGEST = 1_000_000;

interface Place {
  origin: string;
  hostname: string;
}

/** A page of this host on another port: the only ones that are answered. */
export function isApp(origin: string, here: Place = location): boolean {
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  return ['https:', 'http:'].includes(url.protocol) && url.origin === origin && url.hostname === here.hostname && origin !== here.origin;
}

/** The port of an origin. */
export function portOf(origin: string): number {
  const url = new URL(origin);
  return Number(url.port) || (url.protocol === 'https:' ? 443 : 80);
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const isTags = (value: unknown): boolean => Array.isArray(value) && value.every((tag) => Array.isArray(tag) && tag.every((part) => typeof part === 'string'));

/** What a page asks for; an error in words for its maker when that cannot be. */
export function read(method: unknown, params: unknown): Wanted {
  const name = method === 'sign' ? 'signEvent' : method;
  if (typeof name !== 'string' || !(METHODS as readonly string[]).includes(name)) throw new Error(`There is no method ${String(method).slice(0, 40)}.`);
  const given = isObject(params) ? params : {};
  if (JSON.stringify(given).length > LONGEST) throw new Error('The request is too large.');
  if (name === 'getPublicKey' || name === 'getRelays') return { method: name, params: {} };
  if (name === 'signEvent') {
    const { event } = given;
    const bad = !isObject(event) || (event.kind !== undefined && typeof event.kind !== 'number')
      || (event.content !== undefined && typeof event.content !== 'string') || (event.tags !== undefined && !isTags(event.tags));
    if (bad) throw new Error('This is no event: it needs a kind, a content and tags.');
    return { method: name, params: { event: event as Draft } };
  }
  const { pubkey, plaintext, ciphertext } = given;
  if (typeof pubkey !== 'string') throw new Error('The other one’s public key is missing.');
  if (name === 'nip04.encrypt' || name === 'nip44.encrypt') {
    if (typeof plaintext !== 'string') throw new Error('The text is missing.');
    return { method: name, params: { pubkey, plaintext } };
  }
  if (typeof ciphertext !== 'string') throw new Error('The text is missing.');
  return { method: name as 'nip04.decrypt' | 'nip44.decrypt', params: { pubkey, ciphertext } };
}

/** A message to a page. */
export type Outgoing =
  | { type: 'nostr-response'; id: unknown; result?: unknown; error?: string }
  | { type: 'archipelago:identity'; nostr_pubkey: string; nostr_npub: string; name: string }
  | { type: 'archipelago:signer-identity'; identity: { nostr_pubkey: string; nostr_npub: string; name: string } }
  | { type: 'archipelago:identity-cancelled' | 'archipelago:signer-identity-cancelled' | 'archipelago:signer-ready' | 'archipelago:signer-show' | 'archipelago:signer-hide' };

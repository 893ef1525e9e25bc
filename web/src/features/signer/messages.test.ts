// What pages may send, and what becomes of it.
import { describe, expect, it } from 'vitest';
import type { PackageData } from '@/api/types';
import { appAt } from './desk';
import { kindText } from './kinds';
import { isApp, portOf, read } from './messages';

describe('a request that is read', () => {
  it('has what its method needs and nothing else', () => {
    const peer = 'c'.repeat(64);
    const cases: [unknown, unknown, unknown][] = [
      ['getPublicKey', { anything: 1 }, { method: 'getPublicKey', params: {} }],
      ['getRelays', null, { method: 'getRelays', params: {} }],
      ['sign', { event: { kind: 1 } }, { method: 'signEvent', params: { event: { kind: 1 } } }],
      ['nip04.encrypt', { pubkey: peer, plaintext: 'x', more: 1 }, { method: 'nip04.encrypt', params: { pubkey: peer, plaintext: 'x' } }],
      ['nip44.decrypt', { pubkey: peer, ciphertext: 'x' }, { method: 'nip44.decrypt', params: { pubkey: peer, ciphertext: 'x' } }],
    ];
    for (const [method, params, wanted] of cases) expect(read(method, params), String(method)).toEqual(wanted);
  });

  it('is refused where something is missing or odd, in words', () => {
    const cases: [unknown, unknown, RegExp][] = [
      ['exportKey', {}, /no method exportKey/],
      [{}, {}, /no method/],
      ['signEvent', {}, /no event/],
      ['signEvent', { event: { kind: '1' } }, /no event/],
      ['signEvent', { event: { content: 1 } }, /no event/],
      ['signEvent', { event: { tags: [['t', 1]] } }, /no event/],
      ['nip44.encrypt', { plaintext: 'x' }, /public key/],
      ['nip44.encrypt', { pubkey: 'c', ciphertext: 'x' }, /text is missing/],
      ['nip04.decrypt', { pubkey: 'c', plaintext: 'x' }, /text is missing/],
      ['signEvent', { event: { content: 'x'.repeat(1_000_001) } }, /too large/],
    ];
    for (const [method, params, error] of cases) expect(() => read(method, params), JSON.stringify(params).slice(0, 60)).toThrow(error);
  });
});

describe('where a page comes from', () => {
  it('is another port of the same host', () => {
    const here = { origin: 'https://home.local', hostname: 'home.local' };
    const cases: [string, boolean][] = [
      ['https://home.local:18001', true], ['http://home.local:18001', true], ['http://home.local', true],
      ['https://home.local', false], ['https://other.local:18001', false], ['null', false], ['ftp://home.local', false], ['https://home.local:18001/', false],
    ];
    for (const [origin, is] of cases) expect(isApp(origin, here), origin).toBe(is);
    expect([portOf('https://home.local'), portOf('http://home.local'), portOf('https://home.local:18001')]).toEqual([443, 80, 18001]);
  });

  it('says which app it is, whatever the page says of itself', () => {
    const app = (id: string, ports: object[], interfaces = {}) => ({ ports, manifest: { id, title: id.toUpperCase(), interfaces } }) as unknown as PackageData;
    const apps = [app('blog', [{ host: 18_000, protocol: 'tcp' }]), app('mqtt', [{ host: 18_001, protocol: 'udp' }]), app('files', [], { main: { port: 18_001 } })];
    expect(appAt('https://home.local:18001', apps)).toEqual({ id: 'files', title: 'FILES', origin: 'https://home.local:18001' });
    expect(appAt('https://home.local:18009', apps)).toEqual({ id: 'app-18009', title: 'home.local:18009', origin: 'https://home.local:18009' });
  });

  it('kinds are said in words', () => {
    expect([kindText(1), kindText(27_235), kindText(31_999)]).toEqual(['A public note', 'A login', 'An event of kind 31999']);
  });
});

import { describe, expect, it } from 'vitest';
import { Lines } from '@/api/logs';
import type { PackageData, PlanStep, Setting } from '@/api/types';
import { doors, framed, front, grouped, matches, publicUrl, sorted, verbs } from './apps';
import { unfit } from './fits';
import { changes, fault, fields } from './form';
import { bytes, moment, prose, span } from './format';
import { nextIn, press } from './gamepad';
import { leftover, summary } from './plan';
import { compareVersions, newer } from './version';

describe('formats', () => {
  it.each([[400, '0 sec'], [59_400, '59 sec'], [61_000, '1 min'], [119 * 60_000, '119 min'], [2 * 3_600_000, '2 hr'], [49 * 3_600_000, '2 days'], [-5, '0 sec']])('a span of %i ms', (ms, text) => expect(span(ms)).toBe(text));
  it.each([[0, '0 B'], [999, '999 B'], [1024, '1 KiB'], [1_300_000, '1.2 MiB'], [16.6e9, '15 GiB']])('%i bytes', (size, text) => expect(bytes(size)).toBe(text));
  it('a moment of another day has its day', () => {
    const now = new Date(2026, 3, 2, 12).getTime();
    expect(moment(now, now)).not.toContain('Apr');
    expect(moment(now - 86_400_000, now)).toContain('Apr 1');
  });
  it('prose has no digests, and code apart', () => expect(prose(`Pull a@sha256:${'0'.repeat(64)} with \`podman\`.`)).toEqual(['Pull a with ', 'podman', '.']));
});

describe('versions', () => {
  it.each([['1.10.0', '1.9.9', 1], ['v2.0', '2.0.0', 0], ['1.0-rc1', '1.0', -1], ['1.0-rc2', '1.0-rc10', -1], ['3', '2.9', 1]])('%s beside %s', (a, b, sign) => expect(Math.sign(compareVersions(a, b))).toBe(sign));
  it('only what is newer is offered', () => {
    expect(newer('1.1', '1.0')).toBe('1.1');
    expect(newer('1.0', '1.0')).toBeNull();
    expect(newer(undefined, '1.0')).toBeNull();
  });
});

const setting = (kind: Setting['kind'], more: Partial<Setting> = {}): Setting => ({ key: 'k', label: 'K', kind, is_set: false, required: false, ...more });
describe('forms', () => {
  it.each<[string, Setting, string, boolean]>([
    ['a text', setting('text'), 'x', true],
    ['nothing where something is needed', setting('text', { required: true }), '', false],
    ['a secret that is set stays', setting('secret', { required: true, is_set: true }), '', true],
    ['characters, not code units', setting('text', { max: 1 }), '😀', true],
    ['too short', setting('text', { min: 3 }), 'ab', false],
    ['a whole match', setting('text', { pattern: '[a-z]+' }), 'ab1', false],
    ['a pattern that browsers cannot read is left to the node', setting('text', { pattern: '(?P<a>x)' }), 'y', true],
    ['no number', setting('number'), '1x', false],
    ['white space is no number', setting('number'), '  ', false],
    ['too great', setting('number', { max: 5 }), '6', false],
    ['a port', setting('port'), '65535', true],
    ['no port', setting('port'), '65536', false],
    ['no port either', setting('port'), '80.5', false],
    ['not of the list', setting('choice', { choices: ['a'] }), 'b', false],
  ])('%s', (_name, it, held, good) => expect(fault(it, held) === null).toBe(good));

  it('tell only what changed, in its kind', () => {
    const list = [setting('text', { key: 'a', value: 'x' }), setting('number', { key: 'b', value: 1 }), setting('boolean', { key: 'c', value: true }), setting('secret', { key: 'd', is_set: true }), setting('text', { key: 'e', default: 'y' })];
    const held = fields(list);
    expect(held).toEqual({ a: 'x', b: '1', c: true, d: '', e: 'y' });
    expect(changes(list, held)).toEqual({});
    expect(changes(list, { ...held, a: '', b: '2', c: false, d: 'new' })).toEqual({ a: null, b: 2, c: false, d: 'new' });
  });
});

function app(more: Record<string, unknown> = {}, door: Record<string, unknown> = {}): PackageData {
  return {
    state: 'running', ports: [{ service: 'main', host: 8080, container: 80, protocol: 'tcp', 'loopback-only': false }],
    manifest: { title: 'A', interfaces: { main: { name: 'Page', description: '', type: 'ui', ui: true, port: 8080, protocol: 'http', path: '/x', 'opens-in': 'frame', ...door } } },
    installed: { 'interface-addresses': { main: { 'tor-address': '', 'lan-address': 'http://10.0.0.5:8080/x' } } },
    status: { state: 'running', since: 1 }, notes: [], ...more,
  } as unknown as PackageData;
}
const secure = { protocol: 'https:', hostname: 'home.local' };
describe('apps', () => {
  it('open on the host by which the page was opened', () => expect(front(app(), secure)?.url).toBe('http://home.local:8080/x'));
  it('are framed only where the browser will not refuse it', () => {
    const [door] = doors(app(), secure);
    expect(door && framed(door, secure)).toBe(false);
    expect(door && framed(door, { protocol: 'http:', hostname: 'x' })).toBe(true);
    expect(door && framed({ ...door, url: 'https://home.local:8080/' }, secure)).toBe(true);
  });
  it('have nothing to open when they are stopped, or answer on the node alone', () => {
    expect(front(app({ state: 'stopped' }), secure)).toBeNull();
    const inside = app({ ports: [{ service: 'main', host: 8080, container: 80, protocol: 'tcp', 'loopback-only': true }], installed: { 'interface-addresses': { main: { 'tor-address': '', 'lan-address': null } } } });
    expect(front(inside, secure)).toBeNull();
    expect(front(inside, { protocol: 'http:', hostname: 'localhost' })?.url).toBe('http://localhost:8080/x');
  });
  it('answer under the public name where the gate has its certificate', () => {
    const [door] = doors(app(), secure);
    expect(door && [publicUrl(door, 'home.example.org'), publicUrl({ ...door, url: 'https://home.local:8080/x' }, null)]).toEqual([null, null]);
    expect(door && publicUrl({ ...door, url: 'https://home.local:8080/x' }, 'home.example.org')).toBe('https://home.example.org:8080/x');
    expect(door && publicUrl({ ...door, url: 'https://home.local:8080/x' }, 'home.local')).toBeNull();
  });
  it('that are no web page have no address to click', () => expect(doors(app({}, { protocol: 'tcp' }), secure)[0]?.url).toBeNull());
  it('that need somebody come first', () => {
    const of = (title: string, state: string, since: number) => app({ manifest: { title, interfaces: {} }, status: { state, since } });
    const list = [of('b', 'running', 3), of('a', 'stopped', 9), of('d', 'failed', 1), of('c', 'starting', 2)];
    const names = (how: Parameters<typeof sorted>[1]) => sorted(list, how).map((one) => one.manifest.title).join('');
    expect([names('attention'), names('name'), names('recent')]).toEqual(['dcba', 'abcd', 'abcd']);
  });
  it('stand in groups, what needs somebody first and the rest last', () => {
    const of = (state: string, category: string | null) => app({ manifest: { title: state, category, interfaces: {} }, status: { state, since: 1 } });
    const list = [of('running', 'web'), of('stopped', null), of('failed', 'data'), of('waiting', 'web')];
    const told = (how: 'state' | 'category') => grouped(list, how).map(({ key, apps }) => `${key}:${apps.length}`);
    expect(told('state')).toEqual(['care:2', 'good:1', 'idle:1']);
    expect(told('category')).toEqual(['data:1', 'web:2', ':1']);
  });
  it('do not fit for a reason, and are not judged where nothing is known', () => {
    const needs = (more: object) => ({ needs: { memory_bytes: 1, storage_bytes: null, architectures: [], apps: [], ...more } });
    const host = { architecture: 'amd64', memory_total_bytes: 4 * 2 ** 30, disk_free_bytes: 2 ** 30 };
    expect(unfit(needs({ architectures: ['amd64'], storage_bytes: 2 ** 30 }), host)).toBeNull();
    expect(unfit(needs({ architectures: ['arm64'] }), host)).toContain('amd64');
    expect(unfit(needs({ memory_bytes: 5 * 2 ** 30 }), host)).toContain('5 GiB');
    expect(unfit(needs({ storage_bytes: 3 * 2 ** 30 }), host)).toContain('1 GiB are free');
    expect(unfit(needs({ memory_bytes: 5 * 2 ** 40 }), undefined)).toBeNull();
  });
  it('are found by every word', () => {
    expect(matches('wo PRESS', 'WordPress', null)).toBe(true);
    expect(matches('word x', 'WordPress')).toBe(false);
  });
  it('can be asked for what makes sense in their state', () => {
    expect(verbs(app({ status: { state: 'stopped' } }))).toEqual(['start']);
    expect(verbs(app({ status: { state: 'failed' } }))).toEqual(['restart', 'stop']);
    expect(verbs(app({ status: { state: 'removing' } }))).toEqual([]);
  });
});

const step = (kind: string, target?: string): PlanStep => ({ kind, text: kind, reason: '', ...(target ? { target } : {}) });
describe('plans', () => {
  it('are told by kind, in order', () => {
    const lines = summary([step('pull-image', 'a'), step('write-unit-file', 'x'), step('pull-image', 'b'), step('new-kind'), step('start-units', 'a.service, b.service')]);
    expect(lines.map((line) => line.text)).toEqual(['Download 2 images', 'Write 1 unit file', '1 more step', 'Start its 2 services']);
  });
  it('of a purge tell what stays without it', () => expect(leftover([step('stop-units'), step('purge-volume', 'v'), step('purge-data'), step('purge-secret', 's')])).toEqual({ data: true, volumes: ['v'], secrets: ['s'] }));
});

describe('the rest', () => {
  it('lines come whole, whatever the pieces', () => {
    const lines = new Lines();
    expect([lines.push('{"a"'), lines.push(':1}\n\n{"b":'), lines.push('2}\n')]).toEqual([[], ['{"a":1}'], ['{"b":2}']]);
  });
  it('a gamepad changes a choice and presses everything else', () => {
    document.body.innerHTML = '<select><option>a</option><option>b</option></select><button></button>';
    const [select, button] = [document.querySelector('select') as HTMLSelectElement, document.querySelector('button') as HTMLButtonElement];
    const seen: string[] = [];
    select.addEventListener('change', () => seen.push(select.value));
    button.addEventListener('click', () => seen.push('pressed'));
    for (const one of [select, select, button, null]) press(one);
    expect(seen).toEqual(['b', 'a', 'pressed']);
  });
  it('a gamepad goes to what lies next', () => {
    const box = (x: number, y: number) => ({ left: x, right: x + 10, top: y, bottom: y + 10 });
    const boxes = [box(100, 0), box(0, 50), box(60, 40)];
    expect([nextIn(box(0, 0), 'right', boxes), nextIn(box(0, 0), 'down', boxes), nextIn(box(0, 0), 'up', boxes)]).toEqual([0, 1, -1]);
  });
});

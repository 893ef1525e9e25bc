import { describe, expect, it } from 'vitest';
import type { JsonValue, PatchOperation } from '@/api/types';
import { applyPatch } from './patch';

const check = (document: JsonValue, patch: PatchOperation[], expected: JsonValue) => expect(applyPatch(document, patch)).toEqual(expected);
const fails = (document: JsonValue, operation: PatchOperation) => expect(() => applyPatch(document, [operation])).toThrow();

describe('a patch', () => {
  it.each<[string, JsonValue, PatchOperation, JsonValue]>([
    ['adds a member', { a: 1 }, { op: 'add', path: '/b', value: 2 }, { a: 1, b: 2 }],
    ['replaces one that is there already', { a: 1 }, { op: 'add', path: '/a', value: 2 }, { a: 2 }],
    ['inserts an element', [1, 3], { op: 'add', path: '/1', value: 2 }, [1, 2, 3]],
    ['adds at the end', { l: [1] }, { op: 'add', path: '/l/-', value: 2 }, { l: [1, 2] }],
    ['removes a member', { a: 1, b: 2 }, { op: 'remove', path: '/a' }, { b: 2 }],
    ['removes an element', [1, 2, 3], { op: 'remove', path: '/1' }, [1, 3]],
    ['replaces deep down', { a: { b: [{ c: 1 }] } }, { op: 'replace', path: '/a/b/0/c', value: null }, { a: { b: [{ c: null }] } }],
    ['replaces all', { a: 1 }, { op: 'replace', path: '', value: [1] }, [1]],
    ['moves', { a: { x: 1 }, b: {} }, { op: 'move', from: '/a/x', path: '/b/y' }, { a: {}, b: { y: 1 } }],
    ['copies', { a: [1] }, { op: 'copy', from: '/a', path: '/b' }, { a: [1], b: [1] }],
    ['reads escaped keys', { 'a/b': { '~': 1 } }, { op: 'replace', path: '/a~1b/~0', value: 2 }, { 'a/b': { '~': 2 } }],
    ['tests', { a: { b: [1, null] } }, { op: 'test', path: '/a', value: { b: [1, null] } }, { a: { b: [1, null] } }],
  ])('%s', (_name, document, operation, expected) => check(document, [operation], expected));

  it.each<[string, JsonValue, PatchOperation]>([
    ['a parent that is not there', {}, { op: 'add', path: '/a/b', value: 1 }],
    ['a member to remove', {}, { op: 'remove', path: '/a' }],
    ['a member to replace', {}, { op: 'replace', path: '/a', value: 1 }],
    ['a place beyond the list', [1], { op: 'add', path: '/3', value: 1 }],
    ['a place that is no number', [1], { op: 'replace', path: '/x', value: 1 }],
    ['a test that fails', { a: 1 }, { op: 'test', path: '/a', value: 2 }],
    ['what every object inherits', {}, { op: 'replace', path: '/toString', value: 1 }],
  ])('refuses %s', (_name, document, operation) => fails(document, operation));

  it('leaves the old document alone and keeps what it does not touch', () => {
    const before = { 'package-data': { a: { n: 1 }, b: { n: 1 } }, notices: [] };
    const after = applyPatch(before, [{ op: 'replace', path: '/package-data/a/n', value: 2 }]);
    expect(before['package-data'].a.n).toBe(1);
    expect(after['package-data'].a.n).toBe(2);
    expect(after['package-data'].b).toBe(before['package-data'].b);
    expect(after.notices).toBe(before.notices);
  });

  it('takes a key like __proto__ for data', () => {
    const after = applyPatch<{ [key: string]: JsonValue }>({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }]);
    expect(Object.hasOwn(after, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });
});

// JSON patches (RFC 6902), applied without changing the old document: what a patch does not touch stays the very
// same object, so that a page draws only the apps that changed.
import type { JsonValue, PatchOperation } from '@/api/types';

type Node = JsonValue | undefined;

/** The document after the operations. Throws when one does not fit: then the document is not what the server has. */
export function applyPatch<T>(document: T, operations: readonly PatchOperation[]): T {
  return operations.reduce<Node>((root, operation) => apply(root, operation), document as Node) as T;
}

function apply(root: Node, operation: PatchOperation): Node {
  const keys = tokens(operation.path);
  switch (operation.op) {
    case 'add':
      return change(root, keys, operation.value, 'add');
    case 'replace':
      read(root, keys);
      return change(root, keys, operation.value, 'replace');
    case 'remove':
      read(root, keys);
      return change(root, keys, undefined, 'remove');
    case 'copy':
      return change(root, keys, read(root, tokens(operation.from)), 'add');
    case 'move': {
      const from = tokens(operation.from);
      const value = read(root, from);
      return change(change(root, from, undefined, 'remove'), keys, value, 'add');
    }
    case 'test':
      if (!same(read(root, keys), operation.value)) throw new Error(`${operation.path} is not as expected`);
      return root;
  }
}

/** The parts of a JSON pointer (RFC 6901). */
export function tokens(pointer: string): string[] {
  if (pointer === '') return [];
  if (!pointer.startsWith('/')) throw new Error(`${pointer} is no pointer`);
  return pointer.slice(1).split('/').map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function read(root: Node, keys: string[]): JsonValue {
  let at: Node = root;
  for (const key of keys) {
    if (Array.isArray(at)) at = at[index(key, at.length - 1)];
    else if (isObject(at) && Object.hasOwn(at, key)) at = at[key];
    else at = undefined;
  }
  if (at === undefined) throw new Error(`/${keys.join('/')} is not there`);
  return at;
}

function change(at: Node, keys: string[], value: Node, how: 'add' | 'replace' | 'remove'): Node {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  const last = rest.length === 0;
  if (Array.isArray(at)) {
    const list = at.slice();
    const place = last && how === 'add' ? (key === '-' ? list.length : index(key, list.length)) : index(key, list.length - 1);
    if (!last) list[place] = change(list[place], rest, value, how) as JsonValue;
    else if (how === 'remove') list.splice(place, 1);
    else list.splice(place, how === 'add' ? 0 : 1, value as JsonValue);
    return list;
  }
  if (!isObject(at)) throw new Error(`${key} has no parent`);
  if (!last && !Object.hasOwn(at, key)) throw new Error(`${key} is not there`);
  const entries = { ...at };
  if (last && how === 'remove') delete entries[key];
  else set(entries, key, (last ? value : change(at[key], rest, value, how)) as JsonValue);
  return entries;
}

/** A key is data: `__proto__` is one like another. */
function set(entries: { [key: string]: JsonValue }, key: string, value: JsonValue): void {
  Object.defineProperty(entries, key, { value, writable: true, enumerable: true, configurable: true });
}

function index(key: string, max: number): number {
  const at = /^(0|[1-9]\d*)$/.test(key) ? Number(key) : Number.NaN;
  if (!(at <= max)) throw new Error(`${key} is no place of the list`);
  return at;
}

function isObject(value: Node): value is { [key: string]: JsonValue } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function same(a: Node, b: Node): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((one, at) => same(one, b[at]));
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && same(a[key], b[key]));
}

// Versions, compared as people number them.

/** Below nought when `a` is older than `b`, above when newer; numbers count as numbers, a suffix (`-rc1`) is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parse(a), parse(b)];
  for (let at = 0; at < Math.max(left.numbers.length, right.numbers.length); at += 1) {
    const apart = (left.numbers[at] ?? 0) - (right.numbers[at] ?? 0);
    if (apart !== 0) return apart;
  }
  if (left.suffix === right.suffix) return 0;
  if (left.suffix === '') return 1;
  if (right.suffix === '') return -1;
  return left.suffix.localeCompare(right.suffix, 'en', { numeric: true });
}

function parse(version: string): { numbers: number[]; suffix: string } {
  const [, head = '', suffix = ''] = /^v?([\d.]*)[-+_]?(.*)$/.exec(version.trim()) ?? [];
  return { numbers: head.split('.').filter(Boolean).map(Number), suffix };
}

/** The offered version when it is newer than the installed one. */
export function newer(offered: string | undefined, installed: string): string | null {
  return offered !== undefined && compareVersions(offered, installed) > 0 ? offered : null;
}

// From series of values to what a chart draws and what its table says.
import type { MetricKind, MetricsResult } from '@/api/types';

/** One line of a chart; values are a step apart, null where nothing was measured. */
export interface Line {
  name: string;
  values: (number | null)[];
}

/** A chart's drawing is so wide and so high; it is stretched to its place. */
export const WIDTH = 600;
export const HEIGHT = 120;
/** Lines that a chart shows at most: more cannot be told apart. */
export const MOST = 5;

/** Numbers at which an axis may end. */
const STEPS = [1, 2, 2.5, 5, 10];

/** The end of an axis: a round number above all values; sizes count by 1024. */
export function top(lines: readonly Line[], binary: boolean, least: number): number {
  let greatest = least;
  for (const line of lines) for (const value of line.values) if (value !== null && value > greatest) greatest = value;
  const base = binary ? 1024 ** Math.max(0, Math.floor(Math.log(greatest) / Math.log(1024))) : 1;
  const scaled = greatest / base;
  const ten = 10 ** Math.floor(Math.log10(scaled));
  return base * ten * (STEPS.find((step) => step * ten >= scaled) ?? 10);
}

/** The path of a line; a gap breaks it, and a value alone is a short stroke. */
export function path(values: readonly (number | null)[], end: number): string {
  const wide = WIDTH / Math.max(1, values.length - 1);
  const x = (at: number) => (at * wide).toFixed(1);
  const y = (value: number) => (HEIGHT - (HEIGHT * Math.min(Math.max(value, 0), end)) / end).toFixed(1);
  let out = '';
  values.forEach((value, at) => {
    if (value === null) return;
    const begins = at === 0 || values[at - 1] === null;
    out += `${begins ? 'M' : 'L'}${x(at)},${y(value)}`;
    if (begins && (values[at + 1] ?? null) === null) out += `h${Math.max(1, wide / 2).toFixed(1)}`;
  });
  return out;
}

/** The last value that was measured. */
export function last(values: readonly (number | null)[]): number | null {
  for (let at = values.length - 1; at >= 0; at -= 1) if (values[at] != null) return values[at] as number;
  return null;
}

/** Least, mean and greatest; null where nothing was measured. */
export function summary(values: readonly (number | null)[]): { low: number; mean: number; high: number } | null {
  const known = values.filter((value) => value !== null);
  if (!known.length) return null;
  return { low: known.reduce((a, b) => Math.min(a, b)), mean: known.reduce((a, b) => a + b, 0) / known.length, high: known.reduce((a, b) => Math.max(a, b)) };
}

/** Rows of a table of about `count` moments: when each begins, and the mean of each line. */
export function rows(lines: readonly Line[], from: number, step: number, count: number): { at: number; values: (number | null)[] }[] {
  const length = lines[0]?.values.length ?? 0;
  const each = Math.max(1, Math.ceil(length / count));
  const starts = Array.from({ length: Math.ceil(length / each) }, (_, n) => n * each);
  return starts
    .map((start) => ({ at: from + start * step, values: lines.map((line) => summary(line.values.slice(start, start + each))?.mean ?? null) }))
    .filter((row) => row.values.some((value) => value !== null));
}

/** The lines of a kind, those with the greatest values first where there are too many. */
export function linesOf(result: MetricsResult, kind: MetricKind): Line[] {
  const all = result.series.filter((one) => one.kind === kind).map((one) => ({ name: one.of, values: one.values }));
  if (all.length <= MOST) return all;
  const size = (line: Line) => summary(line.values)?.high ?? 0;
  return [...all].sort((a, b) => size(b) - size(a)).slice(0, MOST);
}

/** All series of a kind as one line. */
export function sumOf(result: MetricsResult, kind: MetricKind, name: string): Line | null {
  const all = result.series.filter((one) => one.kind === kind);
  if (!all.length) return null;
  const values = all[0]!.values.map((_, at) => {
    const known = all.map((one) => one.values[at] ?? null).filter((value) => value !== null);
    return known.length ? known.reduce((a, b) => a + b, 0) : null;
  });
  return { name, values };
}

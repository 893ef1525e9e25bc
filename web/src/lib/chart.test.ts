import { describe, expect, it } from 'vitest';
import type { MetricSeries, MetricsResult } from '@/api/types';
import { last, linesOf, path, rows, sumOf, summary, top } from './chart';

const line = (...values: (number | null)[]) => ({ name: '', values });

describe('charts', () => {
  it('end an axis at a round number', () => {
    expect(top([line(null, 3, 17)], false, 10)).toBe(20);
    expect(top([line(3)], false, 10)).toBe(10);
    expect(top([line(0)], false, 1)).toBe(1);
    expect(top([line(300 * 1024 * 1024)], true, 1024)).toBe(500 * 1024 * 1024);
    expect(top([line(2 ** 50)], true, 1024)).toBe(1024 ** 5);
  });

  it('break a line at a gap and show a value alone', () => {
    expect(path([0, 10, null, 5, 10], 10)).toBe('M0.0,120.0L150.0,0.0M450.0,60.0L600.0,0.0');
    expect(path([null, 5, null], 10)).toBe('M300.0,60.0h150.0');
    expect(path([null, null], 10)).toBe('');
    // nothing leaves the drawing
    expect(path([-5, 50], 10)).toBe('M0.0,120.0L600.0,0.0');
  });

  it('say in words what they show', () => {
    expect(last([1, 2, null])).toBe(2);
    expect(last([null])).toBe(null);
    expect(summary([null, 1, 3])).toEqual({ low: 1, mean: 2, high: 3 });
    expect(summary([])).toBe(null);
    expect(rows([line(1, 3, null, null, 5, 7)], 1000, 10, 3)).toEqual([{ at: 1000, values: [2] }, { at: 1040, values: [6] }]);
  });

  it('show the greatest lines where there are too many, and sums', () => {
    const series = [1, 9, 3, 4, 5, 6].map((value): MetricSeries => ({ kind: 'temperature', of: `s${value}`, limit: null, values: [value, null] }));
    const result: MetricsResult = { from: 0, step: 10, series };
    expect(linesOf(result, 'temperature').map((one) => one.name)).toEqual(['s9', 's6', 's5', 's4', 's3']);
    expect(sumOf(result, 'temperature', 'all')).toEqual({ name: 'all', values: [28, null] });
    expect(sumOf(result, 'cpu', 'all')).toBe(null);
  });
});

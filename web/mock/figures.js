// Made-up figures over time.
const RANGES = { hour: [10_000, 360], day: [300_000, 288], week: [1_800_000, 336] };

const wave = (count, from, step, middle, swing, seed) => Array.from({ length: count }, (_, n) => {
  if (n > count * 0.55 && n < count * 0.58) return null;
  const at = (from + n * step) / step;
  return Math.max(0, middle + swing * Math.sin(at / 17 + seed) + 0.4 * swing * Math.sin(at / 3.1 + 2 * seed));
});

function figures(range, all) {
  const [step, count] = RANGES[range ?? 'hour'];
  const from = (Math.floor(Date.now() / step) - count + 1) * step;
  const series = all.map(([kind, of, middle, swing, limit = null], seed) => ({ kind, of, limit, values: wave(count, from, step, middle, swing, seed) }));
  return { from, step, series };
}

export const ofNode = ({ range }) => figures(range, [
  ['cpu', '', 18, 9, 100], ['memory', '', 7.4e9, 4e8, 16.6e9], ['disk', '/var/lib/archipelago', 1.1e11, 2e8, 1.28e11],
  ['net-in', 'eth0', 4e5, 3e5], ['net-out', 'eth0', 9e4, 7e4], ['temperature', 'coretemp Package', 52, 6], ['temperature', 'nvme', 41, 2],
]);

export const ofApp = ({ range }) => figures(range, [
  ['cpu', 'main', 6, 5], ['cpu', 'db', 2, 1.5], ['memory', 'main', 1.9e8, 2e7, 5.4e8], ['memory', 'db', 9e7, 4e6],
  ['disk', '', 3.1e9, 1e7], ['net-in', 'main', 2e4, 1.5e4], ['net-out', 'main', 6e4, 5e4],
]);

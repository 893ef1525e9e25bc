import { expect, it } from 'vitest';
import { matches } from './matches';
import { decode, deviceName } from './push';

it('decodes keys', () => {
  expect([...decode('AQID-_8')]).toEqual([1, 2, 3, 251, 255]);
});

it('names a browser as people do', () => {
  expect(deviceName('Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0')).toBe('Firefox, Linux');
  expect(deviceName('Mozilla/5.0 (iPhone; CPU iPhone OS 20_0 like Mac OS X) AppleWebKit/605 Version/20.0 Safari/604.1')).toBe('Safari, iOS');
  expect(deviceName('')).toBe('Browser');
});

it('marks every match', () => {
  expect(matches('Disk full, disk low', 'disk')).toEqual(['', 'Disk', ' full, ', 'disk', ' low']);
  expect(matches('a', '')).toEqual(['a']);
});

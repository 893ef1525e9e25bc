// Spans, times, sizes and names as people read them.
import type { Actor } from '@/api/types';
import { locale, t, word } from '@/i18n';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const made = new Map<string, unknown>();
/** Formatters are dear to make, so each is made once for a language. */
function once<T>(name: string, make: (tag: string) => T): T {
  const tag = locale();
  const key = `${tag}:${name}`;
  if (!made.has(key)) made.set(key, make(tag));
  return made.get(key) as T;
}

function unit(value: number, name: string): string {
  const options = { style: 'unit', unit: name, unitDisplay: name === 'day' ? 'long' : 'short' } as const;
  return once(`unit-${name}`, (tag) => new Intl.NumberFormat(tag, options)).format(value);
}

/** A span in its greatest unit: `40 sec`, `3 min`, `5 hr`, `2 days`. */
export function span(ms: number): string {
  const left = Math.max(0, ms);
  if (left < MINUTE) return unit(Math.round(left / SECOND), 'second');
  if (left < 2 * HOUR) return unit(Math.floor(left / MINUTE), 'minute');
  if (left < 2 * DAY) return unit(Math.floor(left / HOUR), 'hour');
  return unit(Math.floor(left / DAY), 'day');
}

/** How long ago something was. */
export function ago(at: number, now: number): string {
  const age = now - at;
  return age < 10 * SECOND ? t('time.now') : t('time.ago', { span: span(age) });
}

/** A moment: the time of today, else with its day. */
export function moment(at: number, now: number): string {
  const today = new Date(at).toDateString() === new Date(now).toDateString();
  const options = today
    ? ({ timeStyle: 'short' } as const)
    : ({ day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' } as const);
  return once(`moment-${today}`, (tag) => new Intl.DateTimeFormat(tag, options)).format(at);
}

/** A moment in full. */
export function full(at: number): string {
  const options = { dateStyle: 'medium', timeStyle: 'medium' } as const;
  return once('full', (tag) => new Intl.DateTimeFormat(tag, options)).format(at);
}

/** The time of a log line. */
export function clockTime(at: number): string {
  return once('clock', (tag) => new Intl.DateTimeFormat(tag, { hour: '2-digit', minute: '2-digit', second: '2-digit' })).format(at);
}

const SIZES = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

/** A size in bytes with three digits at most. */
export function bytes(size: number): string {
  let value = Math.max(0, size);
  let at = 0;
  while (value >= 1000 && at < SIZES.length - 1) {
    value /= 1024;
    at += 1;
  }
  const maximumFractionDigits = value < 10 && at > 0 ? 1 : 0;
  return `${value.toLocaleString(locale(), { maximumFractionDigits })} ${SIZES[at]}`;
}

export function percent(part: number): string {
  return once('percent', (tag) => new Intl.NumberFormat(tag, { style: 'percent', maximumFractionDigits: 0 })).format(part / 100);
}

export function who(actor: Actor): string {
  return actor.kind === 'user' ? word('actor', actor.name) : t(`actor.${actor.kind}`);
}

/** A sentence of the node's without digests, which tell a person nothing; every second part is code. */
export function prose(text: string): string[] {
  return text.replace(/@sha256:[0-9a-f]{64}/g, '').split('`');
}

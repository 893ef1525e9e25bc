// Short messages at the edge of the page: what was done, what was not and what to do about it.
import { reactive } from 'vue';
import { asError } from '@/api/rpc';
import { said, t } from '@/i18n';

export interface Toast {
  id: number;
  tone: 'good' | 'bad';
  text: string;
  hint: string | undefined;
}

export const toasts = reactive<Toast[]>([]);
let last = 0;

export function tell(text: string): void {
  const id = add('good', text, undefined);
  setTimeout(() => dismiss(id), 5_000);
}

/** Says what went wrong; it stays until it is read. A session that ended says so where one logs in. */
export function complain(thrown: unknown): void {
  const error = asError(thrown);
  if (error.isSession) return;
  const { text, hint } = explain(error);
  toasts.filter((one) => one.tone === 'bad' && one.text === text).forEach((one) => dismiss(one.id));
  add('bad', text, hint);
}

/** What went wrong, in words, and what to do about it. */
export function explain(thrown: unknown): { text: string; hint: string | undefined } {
  const error = asError(thrown);
  if (error.code === 'no-answer') return { text: t('fault.noAnswer'), hint: undefined };
  if (error.code === 'bad-answer') return { text: t('fault.badAnswer'), hint: undefined };
  if (error.code === 'rate-limited' && error.retryAfter) return { text: t('door.wait', { n: error.retryAfter }), hint: undefined };
  const quote = error.logId ? t('fault.quote', { id: error.logId }) : undefined;
  const hint = error.hint ? said(error.hint).text : undefined;
  return { text: said(error.message).text, hint: [hint, quote].filter(Boolean).join(' ') || undefined };
}

export function dismiss(id: number): void {
  const at = toasts.findIndex((one) => one.id === id);
  if (at >= 0) toasts.splice(at, 1);
}

function add(tone: Toast['tone'], text: string, hint: string | undefined): number {
  last += 1;
  toasts.push({ id: last, tone, text, hint });
  if (toasts.length > 4) toasts.shift();
  return last;
}

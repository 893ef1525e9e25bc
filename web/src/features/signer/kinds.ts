// Kinds of events that people meet, in words.
import { type Key, t } from '@/i18n';

const KINDS: Readonly<Record<number, Key>> = {
  0: 'kind.profile', 1: 'kind.note', 3: 'kind.follows', 4: 'kind.message', 5: 'kind.deletion', 6: 'kind.repost', 7: 'kind.reaction',
  14: 'kind.message', 1059: 'kind.message', 1063: 'kind.file', 9734: 'kind.zap', 10002: 'kind.relays', 22242: 'kind.relayLogin', 24242: 'kind.file',
  27235: 'kind.login', 30023: 'kind.article',
};

/** What signing an event of this kind means. */
export function kindText(kind: number): string {
  const key = KINDS[kind];
  return key ? t(key) : t('kind.other', { kind: String(kind) });
}

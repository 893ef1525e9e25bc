// A form made of an app's settings: what its fields hold, whether that will do, and what changed.
import type { JsonValue, Setting } from '@/api/types';
import { t } from '@/i18n';

/** What a field holds: text as it was typed, or a switch. */
export type Field = string | boolean;
export type Fields = Record<string, Field>;

const PORTS = { min: 1, max: 65_535 };

/** The field of a setting as the node has it; a secret begins empty. */
export function field(setting: Setting): Field {
  const value = setting.value ?? setting.default ?? null;
  if (setting.kind === 'boolean') return value === true || value === 'true';
  return setting.kind === 'secret' || value === null ? '' : String(value);
}

export function fields(settings: readonly Setting[]): Fields {
  return Object.fromEntries(settings.map((setting) => [setting.key, field(setting)]));
}

/** Why the field will not do; nothing when it will. */
export function fault(setting: Setting, held: Field): string | null {
  if (typeof held === 'boolean') return null;
  if (held === '') {
    const kept = setting.kind === 'secret' && setting.is_set;
    return setting.required && !kept ? t('settings.e.required') : null;
  }
  switch (setting.kind) {
    case 'number':
      return numberFault(setting, held);
    case 'port':
      return /^\d+$/.test(held) && Number(held) >= PORTS.min && Number(held) <= PORTS.max ? numberFault(setting, held) : t('settings.e.port');
    case 'choice':
      return setting.choices?.includes(held) ? null : t('settings.e.choice');
    default:
      return textFault(setting, held);
  }
}

function numberFault({ min, max }: Setting, held: string): string | null {
  const value = Number(held.trim());
  if (held.trim() === '' || !Number.isFinite(value)) return t('settings.e.number');
  if (min !== undefined && min !== null && value < min) return t('settings.e.min', { min });
  if (max !== undefined && max !== null && value > max) return t('settings.e.max', { max });
  return null;
}

function textFault({ min, max, pattern }: Setting, held: string): string | null {
  const length = [...held].length;
  if (min !== undefined && min !== null && length < min) return t('settings.e.short', { n: min });
  if (max !== undefined && max !== null && length > max) return t('settings.e.long', { n: max });
  return pattern && matches(pattern, held) === false ? t('settings.e.pattern') : null;
}

/** Whether the whole text matches; nothing when the browser cannot read the pattern: then the node decides. */
function matches(pattern: string, text: string): boolean | null {
  try {
    return new RegExp(`^(?:${pattern})$`, 'u').test(text);
  } catch {
    return null;
  }
}

/** What the fields ask to be changed, as `package.config.set` takes it: null puts a setting back to its default. */
export function changes(settings: readonly Setting[], held: Fields): Record<string, JsonValue> {
  const out: Record<string, JsonValue> = {};
  for (const setting of settings) {
    const now = held[setting.key];
    if (now === undefined || now === field(setting)) continue;
    out[setting.key] = now === '' ? null : value(setting, now);
  }
  return out;
}

function value(setting: Setting, held: Field): JsonValue {
  return setting.kind === 'number' || setting.kind === 'port' ? Number(held) : held;
}

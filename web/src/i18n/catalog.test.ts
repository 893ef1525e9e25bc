// The catalog is whole: the same places are filled in every language, and no text is kept that nobody shows.
import { describe, expect, it } from 'vitest';
import { de } from './de';
import { en, type Key, type Text } from './en';
import { setLanguage, t } from '.';

const forms = (text: Text): string[] => (typeof text === 'string' ? [text] : [text.one, text.other]);
const places = (text: Text) => [...new Set(forms(text).flatMap((form) => form.match(/\{\w+\}/g) ?? []))].sort();
const sources = import.meta.glob('../**/*.{vue,ts}', { query: '?raw', import: 'default', eager: true }) as Record<string, string>;
/** Keys that are made of what the node says. */
const MADE = /^(state|unit|health|actor|step|work\.kind|work\.outcome|work\.step|discover\.source|identities\.purpose|identities\.from|signer\.method|rights|apps\.group|prefs\.mode|health\.area|health\.level|plan|do|prefs\.theme|users\.role|usage\.range|notices\.kind|ways\.channel|nodelog\.level)\./;

describe('the catalog', () => {
  it('has every text in German, with the same places to fill in', () => {
    for (const [key, text] of Object.entries(en)) {
      const other = de[key as Key];
      expect(typeof other, key).toBe(typeof text);
      expect(places(other), key).toEqual(places(text));
      expect(forms(other).every((form) => form.trim() !== ''), key).toBe(true);
    }
    expect(Object.keys(de).sort()).toEqual(Object.keys(en).sort());
  });

  it('has no text that nobody shows', () => {
    const code = Object.entries(sources).filter(([path]) => !path.includes('i18n')).map(([, text]) => text).join('\n');
    const unused = Object.keys(en).filter((key) => !MADE.test(key) && !code.includes(`'${key}'`));
    expect(unused).toEqual([]);
  });

  it('fills in values and chooses by number', async () => {
    expect(t('apps.summary.ok', { n: 1 })).toBe('Your app runs.');
    expect(t('apps.summary.ok', { n: 1234 })).toBe('All 1,234 apps run.');
    setLanguage('de');
    await expect.poll(() => t('apps.summary.ok', { n: 1234 })).toBe('Alle 1.234 Apps laufen.');
    setLanguage('en');
    expect(t('apps.open', { app: '{app}' })).toBe('Open {app}');
  });
});

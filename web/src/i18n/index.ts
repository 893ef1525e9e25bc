// Texts by key in the language that is spoken, and what the node says, translated where its sentence is known.
import { ref, shallowRef } from 'vue';
import { en, type Key, type Text } from './en';

export type { Key } from './en';

/** Languages by tag, named in themselves. */
export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;
/** A complete catalog. */
export type Catalog = { readonly [K in Key]: Text };
/** Sentences of the node's by their English text. */
export type Sentences = Readonly<Record<string, string>>;

type Values = Readonly<Record<string, string | number>>;

export const language = ref<Language>('en');
const catalog = shallowRef<Catalog>(en);
const sentences = shallowRef<Sentences>({});
let plural = new Intl.PluralRules('en');

function use(tag: Language, texts: Catalog, said: Sentences): void {
  catalog.value = texts;
  sentences.value = said;
  plural = new Intl.PluralRules(tag);
  language.value = tag;
}

/** Speaks it from now on; another one than English is fetched first. */
export function setLanguage(tag: Language): void {
  if (tag === 'en') use('en', en, {});
  else if (tag !== language.value) void import('./de').then(({ de, said }) => use('de', de, said));
}

/** How numbers and times are written: as the region of the browser does, where it speaks the language. */
export function locale(): string {
  return navigator.languages.find((tag) => tag.slice(0, 2) === language.value) ?? language.value;
}

/** The text of a key, filled in. Numbers are written as the language does. */
export function t(key: Key, values: Values = {}): string {
  const text = catalog.value[key];
  const form = typeof text === 'string' ? text : plural.select(Number(values.n)) === 'one' ? text.one : text.other;
  return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? value.toLocaleString(locale()) : value;
  });
}

/** Is there such a key? For keys that are made of what the node says. */
export function has(key: string): key is Key {
  return key in en;
}

/** The text of a key made of what the node says, or that itself. */
export function word(prefix: string, name: string): string {
  const key = `${prefix}.${name}`;
  return has(key) ? t(key) : name;
}

/** A sentence of the node's: translated where it is known, else as it is, in English. */
export function said(text: string): { text: string; lang: Language } {
  const known = sentences.value[text];
  return known === undefined ? { text, lang: 'en' } : { text: known, lang: language.value };
}

// What somebody chose on this browser: theme, language, how apps are sorted, how much detail is shown.
import { defineStore } from 'pinia';
import { computed, ref, watchEffect } from 'vue';
import { LANGUAGES, type Language, setLanguage } from '@/i18n';

export type Theme = 'auto' | 'light' | 'dark';
export type Sorting = 'attention' | 'name' | 'recent';
export type Grouping = 'none' | 'state' | 'category';

const PLACE = 'archipelago.prefs';

interface Prefs {
  theme: Theme;
  language: Language | 'auto';
  sorting: Sorting;
  grouping: Grouping;
  expert: boolean;
  /** Keys that do something by themselves. */
  keys: boolean;
}

const DEFAULTS: Prefs = { theme: 'auto', language: 'auto', sorting: 'attention', grouping: 'none', expert: false, keys: true };

function load(): Prefs {
  try {
    return { ...DEFAULTS, ...(JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Partial<Prefs>) };
  } catch {
    return { ...DEFAULTS };
  }
}

function spoken(): Language {
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2));
  return wanted.find((tag): tag is Language => tag in LANGUAGES) ?? 'en';
}

export const usePrefs = defineStore('prefs', () => {
  const first = load();
  const theme = ref(first.theme);
  const language = ref(first.language);
  const sorting = ref(first.sorting);
  const grouping = ref(first.grouping);
  const expert = ref(first.expert);
  const keys = ref(first.keys);
  const tongue = computed<Language>(() => (language.value === 'auto' ? spoken() : language.value));

  watchEffect(() => {
    const prefs: Prefs = { theme: theme.value, language: language.value, sorting: sorting.value, grouping: grouping.value, expert: expert.value, keys: keys.value };
    try {
      localStorage.setItem(PLACE, JSON.stringify(prefs));
    } catch {
      // a browser that keeps nothing starts with the defaults
    }
  });
  watchEffect(() => {
    if (theme.value === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme.value;
  });
  watchEffect(() => {
    setLanguage(tongue.value);
    document.documentElement.lang = tongue.value;
  });
  return { theme, language, sorting, grouping, expert, keys, tongue };
});

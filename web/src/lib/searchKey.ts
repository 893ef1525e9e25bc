// The key “/” goes to the search, unless somebody writes.
import { onBeforeUnmount, onMounted, type Ref } from 'vue';
import { usePrefs } from '@/stores/prefs';

export function useSearchKey(input: Ref<HTMLInputElement | null>): void {
  const prefs = usePrefs();
  function listen(event: KeyboardEvent): void {
    const at = event.target as HTMLElement;
    if (!prefs.keys || event.key !== '/' || event.ctrlKey || event.metaKey || at.closest('input, textarea, select, [contenteditable], [role=dialog]')) return;
    event.preventDefault();
    input.value?.focus();
  }
  onMounted(() => addEventListener('keydown', listen));
  onBeforeUnmount(() => removeEventListener('keydown', listen));
}

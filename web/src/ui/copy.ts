// Texts into the clipboard, and for two seconds which one it was.
import { onBeforeUnmount, ref } from 'vue';
import { t } from '@/i18n';
import { complain } from './toasts';

export function useCopy() {
  const copied = ref<string | null>(null);
  let timer: ReturnType<typeof setTimeout> | undefined;
  onBeforeUnmount(() => clearTimeout(timer));
  async function copy(text: string): Promise<void> {
    try {
      // browsers have no clipboard where the connection is not encrypted
      if (!('clipboard' in navigator)) throw new Error(t('fault.clipboard'));
      await navigator.clipboard.writeText(text);
      copied.value = text;
      clearTimeout(timer);
      timer = setTimeout(() => { copied.value = null; }, 2_000);
    } catch (error) {
      complain(error);
    }
  }
  return { copied, copy };
}

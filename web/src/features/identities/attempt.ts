// One piece of work of a form at a time, and in words why it went wrong.
import { ref } from 'vue';
import { explain } from '@/ui/toasts';

export function useAttempt() {
  const busy = ref(false);
  const fault = ref<string | null>(null);
  /** Does it unless something is being done; false when it went wrong, which the form then says. */
  async function attempt(work: () => Promise<unknown>): Promise<boolean> {
    if (busy.value) return false;
    busy.value = true;
    fault.value = null;
    try {
      await work();
      return true;
    } catch (thrown) {
      const { text, hint } = explain(thrown);
      fault.value = [text, hint].filter(Boolean).join(' ');
      return false;
    } finally {
      busy.value = false;
    }
  }
  return { busy, fault, attempt };
}

// Who is there: nobody yet, an owner who has to log in, or one who has.
import { defineStore } from 'pinia';
import { ref } from 'vue';
import { asError, rpc, watch } from '@/api/rpc';
import { useNode } from './node';

/** How far the way in is gone. */
export type Phase =
  /** the node was not asked yet */
  | 'asking'
  /** the node has no owner */
  | 'setup'
  /** it has one, who is not logged in here */
  | 'out'
  | 'in'
  /** the node does not answer, and nothing is known of it */
  | 'away';

export const useSession = defineStore('session', () => {
  const phase = ref<Phase>('asking');
  /** Why somebody has to log in: `ended`, `left`, or nothing to say. */
  const why = ref<'ended' | 'left' | null>(null);
  const node = useNode();

  watch({
    ended(code) {
      if (phase.value === 'in') why.value = 'ended';
      close(code === 'not-set-up' ? 'setup' : 'out');
    },
    clock: (at) => node.setClock(at),
  });

  function close(to: Phase): void {
    phase.value = to;
    node.forget();
  }

  function open(): void {
    phase.value = 'in';
    why.value = null;
    node.start();
  }

  /** Finds out; to be asked again when the node was away. */
  async function begin(): Promise<void> {
    try {
      await rpc('system.get-hostname', {}, { limit: 8_000 });
      open();
    } catch (thrown) {
      const error = asError(thrown);
      if (error.isSession) {
        const owned = error.code !== 'not-set-up' && (await rpc('auth.isSetup').catch(() => true));
        phase.value = owned ? 'out' : 'setup';
        return;
      }
      node.recall();
      // with what is known, the page is shown; its banner says that it is old
      if (node.data) open();
      else phase.value = 'away';
    }
  }

  async function enter(password: string): Promise<void> {
    await rpc('auth.login', { password });
    open();
  }

  /** Makes the one who is there the owner. The page goes on when `open` is called. */
  async function found(password: string): Promise<void> {
    await rpc('auth.setup', { password });
  }

  async function leave(): Promise<void> {
    await rpc('auth.logout');
    why.value = 'left';
    close('out');
  }

  return { phase, why, begin, enter, found, open, leave };
});

// Who is there: nobody yet, somebody who has to log in, or one who has.
import { defineStore } from 'pinia';
import { ref } from 'vue';
import { asError, rpc, watch } from '@/api/rpc';
import type { Role } from '@/api/types';
import { useNode } from './node';

/** How far the way in is gone. */
export type Phase =
  /** the node was not asked yet */
  | 'asking'
  /** the node has no owner */
  | 'setup'
  /** it has one, and nobody is logged in here */
  | 'out'
  /** it has an owner, who has not gone through the first steps */
  | 'steps'
  | 'in'
  /** somebody who may open apps and nothing else */
  | 'guest'
  /** the node does not answer, and nothing is known of it */
  | 'away';

export const useSession = defineStore('session', () => {
  const phase = ref<Phase>('asking');
  /** Why somebody has to log in: `ended`, `left`, or nothing to say. */
  const why = ref<'ended' | 'left' | null>(null);
  const user = ref('owner');
  const role = ref<Role>('Admin');
  /** The recovery seed was not written down yet. */
  const seedDue = ref(false);
  const node = useNode();

  watch({
    ended(code) {
      if (phase.value === 'asking' || phase.value === 'out') return;
      if (phase.value !== 'setup') why.value = 'ended';
      close(code === 'not-set-up' ? 'setup' : 'out');
    },
    clock: (at) => node.setClock(at),
  });

  function close(to: Phase): void {
    phase.value = to;
    node.forget();
  }

  function open(): void {
    why.value = null;
    if (role.value === 'AppUser') {
      phase.value = 'guest';
      return;
    }
    phase.value = 'in';
    node.start();
  }

  /** Who it is, and whether they have first steps to go. */
  async function learn(): Promise<'steps' | 'in'> {
    const who = await rpc('auth.whoami', {}, { limit: 8_000 });
    user.value = who.user;
    role.value = who.role;
    if (who.role !== 'Admin') return 'in';
    const steps = await rpc('auth.onboarding');
    seedDue.value = steps.seed !== 'confirmed';
    return steps.complete || who.user !== 'owner' ? 'in' : 'steps';
  }

  async function go(): Promise<void> {
    if ((await learn()) === 'steps') phase.value = 'steps';
    else open();
  }

  /** Finds out; to be asked again when the node was away. */
  async function begin(): Promise<void> {
    try {
      await go();
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

  /** Logs in; `code` when a second factor is asked for as well. */
  async function enter(password: string, name: string, remember: boolean): Promise<'in' | 'code'> {
    const step = await rpc('auth.login', { password, ...(name ? { user: name } : {}), ...(remember ? { remember } : {}) });
    if (step) return 'code';
    await go();
    return 'in';
  }

  /** Ends a login with a code of the second factor; those of six digits are the app's, others are backup codes. */
  async function prove(code: string): Promise<void> {
    const digits = /^\d{3}\s?\d{3}$/.test(code.trim());
    await rpc(digits ? 'auth.login.totp' : 'auth.login.backup', { code });
    await go();
  }

  /** Makes the one who is there the owner. */
  async function found(password: string, name: string): Promise<void> {
    await rpc('auth.setup', { password, ...(name ? { name } : {}) });
    await go();
  }

  async function leave(): Promise<void> {
    await rpc('auth.logout');
    why.value = 'left';
    close('out');
  }

  return { phase, why, user, role, seedDue, begin, enter, prove, go, found, open, leave };
});

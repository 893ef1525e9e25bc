// What the bridge asks of the node, of this browser and of its other tabs.
import { watch } from 'vue';
import { asError, rpc } from '@/api/rpc';
import type { NostrDecryptParams, NostrEncryptParams, PackageData } from '@/api/types';
import { useNode } from '@/stores/node';
import { useSession } from '@/stores/session';
import type { AppRef, Ask, Desk, Signer } from './bridge';
import { portOf } from './messages';

/** A linked signer's owner may take a minute to approve (ms). */
const SIGNING = 150_000;
/** The node answers a wait after 20 seconds at the latest (ms). */
const WAITING = 40_000;
/** How long the state of the node is waited for (ms). */
const STATE = 10_000;

/** The app whose port an origin has; what a page says of itself does not count. */
export function appAt(origin: string, apps: readonly PackageData[]): AppRef {
  const port = portOf(origin);
  const has = (app: PackageData): boolean => app.ports.some((one) => one.host === port && one.protocol === 'tcp')
    || Object.values(app.manifest.interfaces).some((card) => card.port === port);
  const app = apps.find(has);
  return app ? { id: app.manifest.id, title: app.manifest.title, origin } : { id: `app-${port}`, title: new URL(origin).host, origin };
}

const kept = (app: AppRef): string => `archipelago_app_identity_${app.id.replace(/[^A-Za-z0-9_-]/g, '_')}`;

async function signers(): Promise<Signer[]> {
  const { identities } = await rpc('identity.list');
  return identities.flatMap((one) => one.is_node || !one.nostr_pubkey ? [] : [{
    id: one.id, name: one.name, pubkey: one.nostr_pubkey, npub: one.nostr_npub ?? '', isDefault: one.is_default,
  }]);
}

function run({ app, identity, wanted }: Ask, signer: Signer, prompt: string | undefined): Promise<unknown> {
  const consent = { app_id: app.id, origin: app.origin, ...(prompt ? { prompt_id: prompt } : {}) };
  const limit = { limit: SIGNING };
  const more = { id: identity, consent };
  switch (wanted.method) {
    case 'getPublicKey':
      return Promise.resolve(signer.pubkey);
    case 'getRelays':
      return rpc('nostr.list-relays').then(({ relays }) =>
        Object.fromEntries(relays.filter((one) => one.enabled).map((one) => [one.url, { read: true, write: true }])));
    case 'signEvent':
      return rpc('identity.nostr-sign', { ...wanted.params, ...more }, limit);
    case 'nip04.encrypt':
    case 'nip44.encrypt': {
      const params = { ...wanted.params, ...more } satisfies NostrEncryptParams;
      const method = wanted.method === 'nip04.encrypt' ? 'identity.nostr-encrypt-nip04' : 'identity.nostr-encrypt-nip44';
      return rpc(method, params, limit).then(({ ciphertext }) => ciphertext);
    }
    default: {
      const params = { ...wanted.params, ...more } satisfies NostrDecryptParams;
      const method = wanted.method === 'nip04.decrypt' ? 'identity.nostr-decrypt-nip04' : 'identity.nostr-decrypt-nip44';
      return rpc(method, params, limit).then(({ plaintext }) => plaintext);
    }
  }
}

/** Comes back when `met`, or after a while. */
function until(met: () => boolean, ms = Infinity): Promise<void> {
  if (met()) return Promise.resolve();
  return new Promise((done) => {
    const stop = watch(met, (now) => { if (now) end(); });
    const timer = ms === Infinity ? undefined : setTimeout(end, ms);
    function end(): void {
      stop();
      clearTimeout(timer);
      done();
    }
  });
}

export function useDesk(): Desk {
  const session = useSession();
  const node = useNode();
  return {
    async signedIn() {
      await until(() => session.phase === 'in' || session.phase === 'guest');
      if (session.role !== 'Admin') throw new Error('Only an administrator of this node can sign.');
    },
    isOver: (error) => asError(error).isSession,
    async app(origin) {
      await until(() => node.data !== null, STATE);
      return appAt(origin, node.apps);
    },
    signers,
    picked(app) {
      try {
        const pick = JSON.parse(localStorage.getItem(kept(app)) ?? 'null') as { id?: unknown; origin?: unknown } | null;
        const elsewhere = typeof pick?.origin === 'string' && pick.origin !== app.origin;
        return typeof pick?.id === 'string' && !elsewhere ? pick.id : null;
      } catch {
        return null;
      }
    },
    pick(app, signer) {
      try {
        localStorage.setItem(kept(app), JSON.stringify({ id: signer.id, name: signer.name, origin: app.origin }));
      } catch {
        // without room it is asked for again
      }
    },
    ask: ({ app, identity, wanted }) => rpc('identity.consent-ask', { app_id: app.id, origin: app.origin, method: wanted.method, identity_id: identity, params: wanted.params }),
    wait: (prompt, signal) => rpc('identity.consent-wait', { prompt_id: prompt }, { signal, limit: WAITING }).then(({ state }) => state),
    answer: async (prompt, decision, remember) => { await rpc('identity.consent-answer', { prompt_id: prompt, decision, remember }); },
    run,
    async alone(prompt, signal, work) {
      // without https there are no locks; then each tab asks, and one answer ends them all
      if (!('locks' in navigator)) return work();
      return await navigator.locks.request(`signer-${prompt}`, { signal }, work);
    },
  };
}

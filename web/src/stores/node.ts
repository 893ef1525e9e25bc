// What the node says of itself and its apps; the last known of it outlives a page that was closed.
import { defineStore } from 'pinia';
import { computed, ref, shallowRef } from 'vue';
import { RpcError, rpc } from '@/api/rpc';
import type { PackageData, StateData } from '@/api/types';
import { Link, type Reach } from './link';

const KEPT = 'archipelago.last-known';
/** The last known state is written at most so often (ms). */
const KEEP_EVERY = 5_000;
/** Differences of the clocks below this are the network's (ms). */
const SKEW = 2_000;

interface Kept {
  data: StateData;
  heardAt: number;
}

export const useNode = defineStore('node', () => {
  const data = shallowRef<StateData | null>(null);
  const reach = ref<Reach>('asking');
  /** When something was last heard of the node, by this browser's clock. */
  const heardAt = ref(0);
  const lostAt = ref(0);
  /** The node's clock minus this one's (ms). */
  const skew = ref(0);
  /** Seconds until the next attempt; nought while one is under way. */
  const nextTry = ref(0);
  /** This browser's clock, once a second. */
  const clock = ref(Date.now());

  const now = computed(() => clock.value + skew.value);
  const apps = computed<PackageData[]>(() => Object.values(data.value?.['package-data'] ?? {}));
  const info = computed(() => data.value?.server_info ?? null);
  const notices = computed(() => data.value?.notices ?? []);
  /** What is shown may no longer be so: for how long (ms), and why. */
  const age = computed(() => Math.max(0, clock.value - heardAt.value));
  const away = computed(() => reach.value === 'lost' && clock.value - lostAt.value > 1_500);

  let version: string | null = null;
  let keptAt = 0;
  let timer: ReturnType<typeof setInterval> | undefined;

  const link = new Link(
    {
      socket: (since) => {
        const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
        const query = since === null ? '' : `?since=${since}`;
        return new WebSocket(`${scheme}://${location.host}/ws/state${query}`);
      },
      ask: () => rpc('server.get-state', {}, { limit: 8_000 }),
      now: () => Date.now(),
      after: (ms, what) => {
        const id = setTimeout(what, ms);
        return () => clearTimeout(id);
      },
      isOver: (error) => error instanceof RpcError && error.isSession,
    },
    {
      state(fresh) {
        const current = fresh.server_info.version;
        // another daemon brings another page
        if (version !== null && version !== current) location.reload();
        version = current;
        data.value = fresh;
        keep();
      },
      reach(how) {
        if (how === 'lost' && reach.value !== 'lost') lostAt.value = Date.now();
        reach.value = how;
      },
      heard(at) {
        heardAt.value = Date.now();
        if (at !== undefined) setClock(at);
      },
    },
  );

  function setClock(at: number): void {
    const off = at - Date.now();
    if (Math.abs(off - skew.value) > SKEW) skew.value = Math.abs(off) > SKEW ? off : 0;
  }

  function keep(): void {
    if (Date.now() - keptAt < KEEP_EVERY) return;
    if (!data.value) return;
    keptAt = Date.now();
    try {
      const kept: Kept = { data: data.value, heardAt: keptAt };
      localStorage.setItem(KEPT, JSON.stringify(kept));
    } catch {
      // without room it is not kept
    }
  }

  /** Shows what was known when this browser last saw the node. */
  function recall(): void {
    if (data.value) return;
    try {
      const kept = JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Kept | null;
      if (!kept?.data?.['package-data']) return;
      data.value = kept.data;
      heardAt.value = kept.heardAt;
    } catch {
      localStorage.removeItem(KEPT);
    }
  }

  function start(): void {
    link.start();
    timer ??= setInterval(() => {
      clock.value = Date.now();
      nextTry.value = link.due ? Math.max(0, Math.ceil((link.due - clock.value) / 1000)) : 0;
    }, 1000);
  }

  /** Ends the connection; nothing stays to be read. */
  function forget(): void {
    link.stop();
    clearInterval(timer);
    timer = undefined;
    data.value = null;
    version = null;
    reach.value = 'asking';
    localStorage.removeItem(KEPT);
  }

  const retry = (): void => link.retry();
  addEventListener('online', retry);
  document.addEventListener('visibilitychange', () => {
    if (!document.hidden && reach.value !== 'live') retry();
  });

  return { data, reach, heardAt, nextTry, clock, now, apps, info, notices, age, away, start, forget, recall, retry, setClock };
});

// What the page makes of an app: the tone of its state, where it opens, what can be done with it.
import type { AppState, InterfaceCard, PackageData, PackageState, PortState } from '@/api/types';

export type Tone = 'good' | 'warn' | 'bad' | 'busy' | 'idle';

const TONES: Record<AppState, Tone> = {
  running: 'good',
  unhealthy: 'bad',
  failed: 'bad',
  waiting: 'warn',
  unknown: 'warn',
  stopped: 'idle',
  installing: 'busy',
  updating: 'busy',
  starting: 'busy',
  stopping: 'busy',
  removing: 'busy',
};
export const tone = (state: AppState): Tone => TONES[state];

/** What needs somebody comes first, then what is at work, then what is well. */
const WEIGHT: Record<Tone, number> = { bad: 0, warn: 1, busy: 2, good: 3, idle: 4 };

export type Sorting = 'attention' | 'name' | 'recent';

export function sorted(apps: readonly PackageData[], how: Sorting): PackageData[] {
  const byName = (a: PackageData, b: PackageData) => a.manifest.title.localeCompare(b.manifest.title);
  const orders: Record<Sorting, (a: PackageData, b: PackageData) => number> = {
    attention: (a, b) => WEIGHT[tone(a.status.state)] - WEIGHT[tone(b.status.state)] || byName(a, b),
    name: byName,
    recent: (a, b) => b.status.since - a.status.since || byName(a, b),
  };
  return [...apps].sort(orders[how]);
}

export interface Group {
  /** `care`, `busy`, `good`, `idle`, or a category; empty for the rest of them. */
  key: string;
  apps: PackageData[];
}

const PARTS: Record<Tone, string> = { bad: 'care', warn: 'care', busy: 'busy', good: 'good', idle: 'idle' };
const STATES = ['care', 'busy', 'good', 'idle'];

/** Apps in their order, put together by what they are or by how they are. */
export function grouped(apps: readonly PackageData[], how: 'state' | 'category'): Group[] {
  const groups = new Map<string, PackageData[]>();
  for (const app of apps) {
    const key = how === 'state' ? PARTS[tone(app.status.state)] : app.manifest.category ?? '';
    const group = groups.get(key) ?? [];
    group.push(app);
    groups.set(key, group);
  }
  const rank = (key: string): number => (how === 'state' ? STATES.indexOf(key) : Number(key === ''));
  return [...groups].map(([key, of]) => ({ key, apps: of })).sort((a, b) => rank(a.key) - rank(b.key) || a.key.localeCompare(b.key));
}

/** Whether name, id, category or description hold every word of the query. */
export function matches(query: string, ...texts: (string | null | undefined)[]): boolean {
  const hay = texts.filter(Boolean).join(' ').toLocaleLowerCase();
  return query.toLocaleLowerCase().split(/\s+/).every((part) => hay.includes(part));
}

/** Needs somebody to look at it. */
export const needsCare = (app: PackageData): boolean => ['bad', 'warn'].includes(tone(app.status.state));

/** Something is being done with it now. */
export function atWork(app: PackageData): boolean {
  return Boolean(app.operation && !app.operation.error);
}

/** States in which an app may answer at its addresses. */
const ALIVE: ReadonlySet<PackageState> = new Set<PackageState>(['running', 'waiting']);

/** Where an app answers. */
export interface Door {
  key: string;
  name: string;
  description: string;
  card: InterfaceCard;
  /** Address in the network, with the host that this page was opened by; null when only the node itself reaches it. */
  url: string | null;
  /** Address in Tor, empty when there is none. */
  tor: string;
  /** The page of a person, not of a program. */
  ui: boolean;
}

interface Place {
  protocol: string;
  hostname: string;
}

const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

/** The doors of an app, those for people first. `here` is where this page was opened. */
export function doors(app: PackageData, here: Place = location): Door[] {
  const made = Object.entries(app.manifest.interfaces).map(([key, card]): Door => {
    const addresses = app.installed['interface-addresses'][key];
    return {
      key,
      name: card.name || key,
      description: card.description,
      card,
      url: address(card, portOf(app, card), addresses?.['lan-address'] ?? null, here),
      tor: addresses?.['tor-address'] ?? '',
      ui: card.ui,
    };
  });
  return made.sort((a, b) => Number(b.ui) - Number(a.ui));
}

/** The address under the operator's public name: only where the app gate stands, which has its certificate. */
export function publicUrl(door: Pick<Door, 'card' | 'url'>, host: string | null): string | null {
  if (!host || !door.url?.startsWith('https:') || !URL.canParse(door.url)) return null;
  const url = new URL(door.url);
  if (url.hostname === host) return null;
  url.hostname = host;
  return url.href;
}

function portOf(app: PackageData, card: InterfaceCard): PortState | undefined {
  return app.ports.find((port) => port.host === card.port && port.protocol === 'tcp');
}

/** The address as the node gives it, on the host of this page: a name that reached the node reaches its apps. */
function address(card: InterfaceCard, port: PortState | undefined, lan: string | null, here: Place): string | null {
  if (!['http', 'https'].includes(card.protocol)) return null;
  if (lan !== null && URL.canParse(lan)) {
    const url = new URL(lan);
    url.hostname = here.hostname;
    return url.href;
  }
  const reachable = !port?.['loopback-only'] || LOOPBACK.has(here.hostname);
  return reachable ? `${card.protocol}://${here.hostname}:${card.port}${card.path}` : null;
}

/** The page that opens with the app; nothing when it has none or does not run. */
export function front(app: PackageData, here: Place = location): Door | null {
  if (!ALIVE.has(app.state)) return null;
  return doors(app, here).find((door) => door.ui && door.url !== null) ?? null;
}

/** It may be shown inside the dashboard: it asks for that, and the browser will not refuse it as unencrypted. */
export function framed(door: Door, here: Place = location): boolean {
  return door.card['opens-in'] === 'frame' && door.url !== null && (here.protocol === 'http:' || door.url.startsWith('https:'));
}

/** Host ports that the whole network reaches. */
export function openPorts(app: PackageData): number[] {
  return [...new Set(app.ports.filter((port) => !port['loopback-only']).map((port) => port.host))];
}

export type Verb = 'start' | 'stop' | 'restart';

/** What can be asked of an app in its state, apart from its repair. */
export function verbs(app: PackageData): Verb[] {
  const { state } = app.status;
  if (state === 'removing' || state === 'installing') return [];
  const out: Verb[] = [];
  if (state === 'stopped') out.push('start');
  if (['running', 'unhealthy', 'waiting', 'unknown', 'failed'].includes(state)) out.push('restart');
  if (!['stopped', 'stopping'].includes(state)) out.push('stop');
  return out;
}

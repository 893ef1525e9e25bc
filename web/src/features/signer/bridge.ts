// Between an app's page and the node: takes the page's requests, asks the owner one thing at a time, gives the answers.
// It knows neither the view nor the network, so that it can be tested.
import type { ConsentAsked, ConsentState } from '@/api/types';
import { isApp, type Outgoing, read, type Wanted } from './messages';

/** How long a person may take (ms); the node keeps a question as long. */
export const PATIENCE = 10 * 60_000;

/** An identity that can sign. */
export interface Signer {
  id: string;
  name: string;
  pubkey: string;
  npub: string;
  isDefault: boolean;
}

/** The app that a page belongs to. */
export interface AppRef {
  id: string;
  title: string;
  origin: string;
}

export interface Ask {
  app: AppRef;
  identity: string;
  wanted: Wanted;
}

/** What is asked of the node. */
export interface Desk {
  /** Comes back when somebody is signed in who may sign. */
  signedIn(): Promise<void>;
  /** The session ended meanwhile. */
  isOver(error: unknown): boolean;
  app(origin: string): Promise<AppRef>;
  signers(): Promise<Signer[]>;
  /** The identity that was chosen for an app. */
  picked(app: AppRef): string | null;
  pick(app: AppRef, signer: Signer): void;
  ask(ask: Ask): Promise<ConsentAsked>;
  wait(prompt: string, signal: AbortSignal): Promise<ConsentState>;
  answer(prompt: string, decision: 'allow' | 'deny', remember: boolean): Promise<void>;
  run(ask: Ask, signer: Signer, prompt: string | undefined): Promise<unknown>;
  /** Does it when no other tab shows the same question. */
  alone<T>(prompt: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

interface Shown {
  app: AppRef;
  signers: Signer[];
  /** The identity that is chosen so far. */
  signer: Signer | null;
}
/** What the owner is asked. */
export type Question =
  | (Shown & { what: 'consent'; wanted: Wanted; fixed: boolean; allow(signer: Signer, remember: boolean): Promise<void>; refuse(remember: boolean): Promise<void> })
  | (Shown & { what: 'pick'; choose(signer: Signer): Promise<void>; refuse(): Promise<void> });

interface Options {
  /** In a hidden frame of the page, or around a page in a frame. */
  way: 'frame' | 'around';
  desk: Desk;
  post(message: Outgoing, origin: string): void;
  show(question: Question | null): void;
  patience?: number;
  here?: { origin: string; hostname: string };
}

/** Words for the page; the provider hands them to the app. */
const NO = 'The owner of the node refused.';
const LATE = 'Nobody answered the request in time.';
const NOBODY = 'There is no identity yet: make one in the dashboard, under System, Identities.';

export class Bridge {
  private readonly running = new Map<string, Promise<unknown>>();
  private line: Promise<unknown> = Promise.resolve();
  private origin: string | null = null;
  private greeted: boolean;
  private choosing = false;
  private queued = 0;
  private readonly stops = new Set<() => void>();
  private readonly gone = new AbortController();

  constructor(private readonly options: Options) {
    this.greeted = options.way === 'around';
  }

  /** Only this origin is listened to from now on. */
  expect(origin: string): void {
    this.origin = origin;
  }

  /** Ends every question: the page is gone. */
  close(): void {
    this.gone.abort();
  }

  /** The owner wants none of what is asked for now. */
  refuse(): void {
    for (const stop of [...this.stops]) stop();
  }

  /** A message of the page's window; false when its sender is not listened to. */
  receive(origin: string, data: unknown): boolean {
    if (!isApp(origin, this.options.here) || (this.origin !== null && this.origin !== origin)) return false;
    if (typeof data !== 'object' || data === null) return false;
    const message = data as Record<string, unknown>;
    const framed = this.options.way === 'frame';
    if (framed && message.type === 'archipelago:signer-init') {
      this.origin = origin;
      this.greeted = true;
    } else if (message.type === 'nostr-request') {
      void this.request(origin, message);
    } else if (message.type === (framed ? 'archipelago:signer-select-identity' : 'archipelago:identity:request') && this.greeted) {
      void this.select(origin, message.force === true);
    }
    return true;
  }

  private async request(origin: string, message: Record<string, unknown>): Promise<void> {
    const { id } = message;
    if (typeof id !== 'string' && typeof id !== 'number') return;
    const say = (answer: { result: unknown } | { error: string }): void => this.options.post({ type: 'nostr-response', id, ...answer }, origin);
    try {
      if (!this.greeted) throw new Error('The signer was not told yet which app asks.');
      const wanted = read(message.method, message.params);
      say({ result: await this.once(origin, wanted) });
    } catch (error) {
      say({ error: error instanceof Error ? error.message : String(error) });
    }
  }

  /** The same request is carried out once, however often it comes meanwhile. */
  private once(origin: string, wanted: Wanted): Promise<unknown> {
    const key = JSON.stringify([wanted.method, wanted.params]);
    const known = this.running.get(key);
    if (known) return known;
    const work = this.signed(() => this.carryOut(origin, wanted)).finally(() => this.running.delete(key));
    this.running.set(key, work);
    return work;
  }

  /** Does it as somebody who is signed in; again when their session ends on the way. */
  private async signed<T>(work: () => Promise<T>): Promise<T> {
    for (let again = 0; ; again += 1) {
      await this.within(this.options.desk.signedIn());
      try {
        return await work();
      } catch (error) {
        if (again >= 2 || !this.options.desk.isOver(error)) throw error;
      }
    }
  }

  private async carryOut(origin: string, wanted: Wanted): Promise<unknown> {
    const { desk } = this.options;
    const app = await desk.app(origin);
    const { signers, signer, fixed } = await this.whose(app, wanted);
    if (!signer) throw new Error(NOBODY);
    const ask = { app, identity: signer.id, wanted };
    const asked = await desk.ask(ask);
    if (asked.state === 'allowed') return desk.run(ask, signer, undefined);
    if (asked.state !== 'open' || !asked.prompt_id) throw new Error(NO);
    const granted = await this.inLine((waited) => this.consent(ask, { app, signers, signer }, fixed, asked.prompt_id!, waited));
    return desk.run({ ...ask, identity: granted.signer.id }, granted.signer, granted.prompt);
  }

  /** The identity that a request is for: the one that an event names, the one chosen for the app, or the default. */
  private async whose(app: AppRef, wanted: Wanted): Promise<{ signers: Signer[]; signer: Signer | null; fixed: boolean }> {
    const { desk } = this.options;
    const signers = await desk.signers();
    const named = wanted.method === 'signEvent' ? wanted.params.event.pubkey : undefined;
    const owner = named ? signers.find((one) => one.pubkey === named.toLowerCase() || one.npub === named) : undefined;
    if (owner) return { signers, signer: owner, fixed: true };
    const picked = desk.picked(app);
    const signer = signers.find((one) => one.id === picked) ?? signers.find((one) => one.isDefault) ?? signers[0] ?? null;
    return { signers, signer, fixed: false };
  }

  /** Asks whether the page may; comes back when it may. */
  private async consent(ask: Ask, shown: Shown & { signer: Signer }, fixed: boolean, prompt: string, waited: boolean): Promise<{ signer: Signer; prompt: string | undefined }> {
    const { desk } = this.options;
    if (waited) {
      // an answer to the question before may have been for good
      const now = await desk.ask(ask);
      if (now.state === 'allowed') return { signer: shown.signer, prompt: undefined };
      if (now.state !== 'open' || !now.prompt_id) throw new Error(NO);
      prompt = now.prompt_id;
    }
    return this.put<{ signer: Signer; prompt: string | undefined }>((done, fail, over) => {
      let deciding = false;
      let elsewhere: ConsentState | null = null;
      const settle = (): void => {
        if (deciding || elsewhere === null) return;
        if (elsewhere === 'allowed') done({ signer: shown.signer, prompt });
        else fail(new Error(elsewhere === 'denied' ? NO : LATE));
      };
      /** What is decided here counts, also when the node tells of it before it answers. */
      const decide = async (work: () => Promise<void>): Promise<void> => {
        deciding = true;
        try {
          await work();
        } finally {
          deciding = false;
          settle();
        }
      };
      const allow = (signer: Signer, remember: boolean): Promise<void> => decide(async () => {
        const other = signer.id === shown.signer.id ? null : await desk.ask({ ...ask, identity: signer.id });
        const mine = other?.prompt_id ?? prompt;
        await desk.answer(mine, 'allow', remember);
        if (!fixed) desk.pick(shown.app, signer);
        done({ signer, prompt: mine });
        if (mine !== prompt && !remember) void desk.answer(prompt, 'deny', false).catch(() => undefined);
      });
      const refuse = (remember: boolean): Promise<void> => decide(async () => {
        await desk.answer(prompt, 'deny', remember);
        fail(new Error(NO));
      });
      void this.follow(prompt, over).then((state) => { elsewhere = state; settle(); }, () => undefined);
      void desk.alone(prompt, over, async () => {
        if (over.aborted) return;
        this.options.show({ ...shown, what: 'consent', wanted: ask.wanted, fixed, allow, refuse });
        await new Promise<void>((end) => over.addEventListener('abort', () => end(), { once: true }));
      }).catch(() => undefined);
      // a page that is gone leaves no question behind
      this.gone.signal.addEventListener('abort', () => void desk.answer(prompt, 'deny', false).catch(() => undefined), { once: true, signal: over });
    });
  }

  /** Waits for an answer, wherever it is given. */
  private async follow(prompt: string, over: AbortSignal): Promise<ConsentState> {
    for (let faults = 0; ;) {
      try {
        const state = await this.options.desk.wait(prompt, over);
        if (state !== 'open') return state;
        faults = 0;
      } catch (error) {
        if (over.aborted) throw error;
        faults += 1;
      }
      if (faults) await new Promise((end) => setTimeout(end, Math.min(faults, 10) * 1_000));
    }
  }

  private async select(origin: string, force: boolean): Promise<void> {
    const { way, desk, post } = this.options;
    // the page learns the same choice, however often it asked
    if (this.choosing) return;
    this.choosing = true;
    try {
      const signer = await this.signed(async () => {
        const app = await desk.app(origin);
        const signers = await desk.signers();
        const picked = signers.find((one) => one.id === desk.picked(app)) ?? null;
        if (picked && !force) return picked;
        const chosen = await this.inLine(() => this.choose({ app, signers, signer: picked ?? signers.find((one) => one.isDefault) ?? signers[0] ?? null }));
        desk.pick(app, chosen);
        return chosen;
      });
      const identity = { nostr_pubkey: signer.pubkey, nostr_npub: signer.npub, name: signer.name };
      post(way === 'frame' ? { type: 'archipelago:signer-identity', identity } : { type: 'archipelago:identity', ...identity }, origin);
    } catch {
      post({ type: way === 'frame' ? 'archipelago:signer-identity-cancelled' : 'archipelago:identity-cancelled' }, origin);
    } finally {
      this.choosing = false;
    }
  }

  private choose(shown: Shown): Promise<Signer> {
    return this.put<Signer>((done, fail) => {
      this.options.show({ ...shown, what: 'pick', choose: async (signer) => done(signer), refuse: async () => fail(new Error(NO)) });
    });
  }

  /** One question at a time; `waited` when another one was before. */
  private inLine<T>(work: (waited: boolean) => Promise<T>): Promise<T> {
    const waited = this.queued > 0;
    this.queued += 1;
    const mine = this.line.then(() => {
      if (this.gone.signal.aborted) throw new Error(LATE);
      return work(waited);
    }).finally(() => { this.queued -= 1; });
    this.line = mine.catch(() => undefined);
    return mine;
  }

  /** Puts a question until it is answered, or nobody did in time. */
  private put<T>(ask: (done: (value: T) => void, fail: (error: Error) => void, over: AbortSignal) => void): Promise<T> {
    const over = new AbortController();
    const answered = new Promise<T>((done, fail) => ask(done, fail, over.signal));
    return this.within(answered).finally(() => {
      over.abort();
      this.options.show(null);
    });
  }

  /** As long as a person may take, and as the page is there. */
  private within<T>(work: Promise<T>): Promise<T> {
    return new Promise((done, fail) => {
      const late = (): void => fail(new Error(LATE));
      const stop = (): void => fail(new Error(NO));
      const timer = setTimeout(late, this.options.patience ?? PATIENCE);
      this.stops.add(stop);
      this.gone.signal.addEventListener('abort', late, { once: true });
      void work.then(done, fail).finally(() => {
        clearTimeout(timer);
        this.stops.delete(stop);
        this.gone.signal.removeEventListener('abort', late);
      });
    });
  }
}

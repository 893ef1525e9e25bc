// The connection to the node: a subscription that is resumed by sequence number, and questions now and then while
// there is none. It knows nothing of the page, so that its tests need no page.
import type { GetStateResult, StateData, StateFrame } from '@/api/types';
import { applyPatch } from './patch';

/** Frames come at least every 15 s (heartbeat); a quieter connection is dead (ms). */
export const QUIET = 35_000;
/** How often the state is asked for while there is no subscription (ms). */
export const POLL = 5_000;
/** Longest pause between two attempts (ms). */
export const PATIENCE = 15_000;
/** A subscription that has not brought a frame by then will not (ms). */
const FIRST_FRAME = 8_000;
/** While asking works, a subscription is tried only with every so many questions. */
const EVERY = 3;

/** How the node is reached. */
export type Reach =
  /** not yet */
  | 'asking'
  /** by subscription: every change is shown at once */
  | 'live'
  /** by asking now and then */
  | 'polling'
  /** not at all */
  | 'lost';

/** What the link says to its owner. */
export interface Listener {
  state(data: StateData, seq: number): void;
  reach(reach: Reach): void;
  /** Something was heard of the node; `clock` is its own (ms since 1970), where it was told. */
  heard(clock?: number): void;
}

/** What the link needs of the world. */
export interface World {
  socket(since: number | null): WebSocket;
  /** `server.get-state`; rejects when the node does not answer. */
  ask(): Promise<GetStateResult>;
  now(): number;
  after(ms: number, what: () => void): () => void;
  /** The error means that the session is over: no use in trying again. */
  isOver(error: unknown): boolean;
}

export class Link {
  private data: StateData | null = null;
  private seq: number | null = null;
  private socket: WebSocket | null = null;
  private cancel: (() => void) | null = null;
  private heardAt = 0;
  private begunAt = 0;
  /** Questions in a row that brought no answer. */
  private failures = 0;
  /** Questions since a subscription last held. */
  private asks = 0;
  private running = false;
  /** Answers of questions that were asked before this one was set do not count. */
  private turn = 0;
  /** When the next attempt is due (ms since 1970); nought while one is under way. */
  due = 0;

  constructor(private readonly world: World, private readonly listener: Listener) {}

  start(): void {
    if (this.running) return;
    this.running = true;
    this.failures = 0;
    this.asks = 0;
    this.subscribe();
  }

  /** Ends it and forgets what was known. */
  stop(): void {
    this.running = false;
    this.drop();
    this.data = null;
    this.seq = null;
  }

  /** Tries again at once. */
  retry(): void {
    if (!this.running || this.socket) return;
    this.failures = 0;
    this.asks = 0;
    void this.poll();
  }

  private subscribe(): void {
    this.drop();
    const turn = this.turn;
    let socket: WebSocket;
    try {
      socket = this.world.socket(this.seq);
    } catch {
      this.missed();
      return;
    }
    this.socket = socket;
    this.heardAt = this.world.now();
    this.begunAt = this.heardAt;
    let fed = false;
    socket.onmessage = (event: MessageEvent<string>) => {
      if (turn !== this.turn) return;
      this.heardAt = this.world.now();
      if (!this.take(JSON.parse(event.data) as StateFrame)) return;
      if (!fed) this.watch(QUIET);
      fed = true;
      this.failures = 0;
      if (this.data) this.listener.reach('live');
    };
    socket.onclose = () => {
      if (turn === this.turn) this.missed();
    };
    this.watch(FIRST_FRAME);
  }

  /** False when the frame did not fit: then it is subscribed afresh. */
  private take(frame: StateFrame): boolean {
    if ('heartbeat' in frame) {
      this.listener.heard(frame.heartbeat);
      return true;
    }
    this.listener.heard();
    if ('snapshot' in frame) {
      this.set(frame.snapshot, frame.seq);
      return true;
    }
    if (this.data !== null && frame.from === this.seq) {
      try {
        this.set(applyPatch(this.data, frame.patch), frame.seq);
        return true;
      } catch {
        // something was missed: a snapshot tells
      }
    }
    this.seq = null;
    this.subscribe();
    return false;
  }

  private set(data: StateData, seq: number): void {
    this.data = data;
    this.seq = seq;
    this.listener.state(data, seq);
  }

  /** Looks after the subscription: a connection can die without a word. */
  private watch(limit: number): void {
    this.cancel?.();
    const left = this.heardAt + limit - this.world.now();
    this.cancel = this.world.after(Math.max(left, 50), () => {
      if (this.world.now() - this.heardAt >= limit) this.missed();
      else this.watch(limit);
    });
  }

  /** There is no subscription: is the node there at all? */
  private missed(): void {
    if (this.socket && this.heardAt - this.begunAt > PATIENCE) this.asks = 0;
    this.drop();
    if (this.running) void this.poll();
  }

  private async poll(): Promise<void> {
    this.drop();
    const turn = this.turn;
    try {
      const { data, seq } = await this.world.ask();
      if (turn !== this.turn || !this.running) return;
      this.listener.heard();
      this.set(data, seq);
      if (this.failures > 0) {
        this.failures = 0;
        this.asks = 0;
        this.listener.reach('polling');
      }
      this.asks += 1;
      // the first time it was perhaps no more than a hiccup
      if (this.asks === 1 || this.asks % EVERY === 0) {
        this.subscribe();
        return;
      }
      this.listener.reach('polling');
      this.wait(POLL);
    } catch (error) {
      if (turn !== this.turn || !this.running || this.world.isOver(error)) return;
      this.failures += 1;
      this.listener.reach('lost');
      this.wait(Math.min(1000 * 1.6 ** (this.failures - 1), PATIENCE));
    }
  }

  private wait(ms: number): void {
    this.due = this.world.now() + ms;
    this.cancel = this.world.after(ms, () => void this.poll());
  }

  private drop(): void {
    this.turn += 1;
    this.cancel?.();
    this.cancel = null;
    this.due = 0;
    const { socket } = this;
    this.socket = null;
    if (socket) {
      socket.onclose = null;
      socket.onmessage = null;
      socket.close();
    }
  }
}

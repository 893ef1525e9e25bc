// The link against a node that is played by the test: no network, no clock.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { StateData, StateFrame } from '@/api/types';
import { Link, POLL, QUIET, type Reach } from './link';

const state = (n: number) => ({ n }) as unknown as StateData;
class FakeSocket {
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  closed = false;
  constructor(readonly since: number | null) {}
  close(): void { this.closed = true; }
  send(frame: StateFrame): void { this.onmessage?.({ data: JSON.stringify(frame) }); }
}

let sockets: FakeSocket[], reaches: Reach[], states: [unknown, number][], answers: (() => Promise<{ data: StateData; seq: number }>)[], link: Link;
const last = () => sockets.at(-1) as FakeSocket;
const settle = () => vi.advanceTimersByTimeAsync(0);
const snapshot = (n: number, seq: number) => last().send({ seq, snapshot: state(n) });

beforeEach(() => {
  vi.useFakeTimers();
  [sockets, reaches, states, answers] = [[], [], [], []];
  link = new Link(
    {
      socket: (since) => {
        sockets.push(new FakeSocket(since));
        return last() as unknown as WebSocket;
      },
      ask: () => (answers.shift() ?? (() => Promise.reject(new Error('away'))))(),
      now: () => Date.now(),
      after: (ms, what) => {
        const id = setTimeout(what, ms);
        return () => clearTimeout(id);
      },
      isOver: (error) => (error as Error).message === 'over',
    },
    { state: (data, seq) => states.push([data, seq]), reach: (how) => { if (reaches.at(-1) !== how) reaches.push(how); }, heard: () => undefined },
  );
  link.start();
});

describe('the link', () => {
  it('takes a snapshot, then patches by number', () => {
    snapshot(1, 7);
    last().send({ seq: 8, from: 7, patch: [{ op: 'replace', path: '/n', value: 2 }] });
    expect(states).toEqual([[state(1), 7], [state(2), 8]]);
    expect(reaches).toEqual(['live']);
  });

  it('asks for a snapshot when a patch was missed or does not fit', () => {
    snapshot(1, 7);
    last().send({ seq: 10, from: 9, patch: [] });
    expect([sockets.length, last().since, sockets[0]?.closed]).toEqual([2, null, true]);
    snapshot(3, 10);
    last().send({ seq: 11, from: 10, patch: [{ op: 'remove', path: '/nothing' }] });
    expect([sockets.length, last().since]).toEqual([3, null]);
  });

  it('goes on from its number when the connection broke', async () => {
    snapshot(1, 7);
    answers.push(() => Promise.resolve({ data: state(1), seq: 7 }));
    last().onclose?.();
    await settle();
    expect([sockets.length, last().since]).toEqual([2, 7]);
    last().send({ heartbeat: 0 });
    expect(reaches.at(-1)).toBe('live');
  });

  it('asks every few seconds when subscriptions do not come through', async () => {
    for (let n = 0; n < 6; n += 1) answers.push(() => Promise.resolve({ data: state(n), seq: n }));
    last().onclose?.(); // asks, and tries once more
    await settle();
    last().onclose?.();
    await settle();
    expect(reaches.at(-1)).toBe('polling');
    const tried = sockets.length;
    await vi.advanceTimersByTimeAsync(POLL);
    expect(states.length).toBeGreaterThan(2);
    expect(sockets.length).toBe(tried + 1);
    snapshot(9, 9);
    expect(reaches.at(-1)).toBe('live');
  });

  it('says that the node is away, tries again, and comes back', async () => {
    snapshot(1, 7);
    last().onclose?.();
    await settle();
    expect(reaches.at(-1)).toBe('lost');
    expect(link.due).toBeGreaterThan(Date.now());
    answers.push(() => Promise.resolve({ data: state(2), seq: 9 }));
    link.retry();
    await settle();
    expect(states.at(-1)).toEqual([state(2), 9]);
    last().send({ heartbeat: 0 });
    expect(reaches.at(-1)).toBe('live');
  });

  it('does not trust a connection that is silent', async () => {
    snapshot(1, 7);
    await vi.advanceTimersByTimeAsync(QUIET + 100);
    expect(sockets[0]?.closed).toBe(true);
    expect(reaches.at(-1)).toBe('lost');
  });

  it('ends with the session, and says nothing after its end', async () => {
    answers.push(() => Promise.reject(new Error('over')));
    last().onclose?.();
    await settle();
    expect(reaches).toEqual([]);
    const late = last();
    link.stop();
    late.send({ seq: 1, snapshot: state(1) });
    expect(states).toEqual([]);
  });
});

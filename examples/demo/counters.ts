/**
 * What a node does with the sessions it owns: it serves them from memory and writes each change through to a store, with its fencing token. An
 * owner that was paused, and has a successor by now, is refused there: that, and not its own belief, is what keeps a session whole.
 */
import type { Ownership } from '../../src/index.ts';

export interface Session {
  readonly value: number;
  /** Additions that have been done: a repeated one is known by its number. */
  readonly step: number;
}

interface Cached extends Session {
  /** The token under which it was read: under another it may have changed meanwhile. */
  readonly token: number;
}

export class Counters {
  readonly #store: string;
  readonly #sessions: Map<string, Cached> = new Map();
  /** One addition after the other in each session. */
  readonly #turns: Map<string, Promise<unknown>> = new Map();

  /** `store`: the URL of the {@link Store}. */
  constructor(store: string) {
    this.#store = store;
  }

  /** Adds one to the session, once per step. Rejects when the store refuses: somebody else owns the session now. */
  add(session: string, step: number, { shard, epoch: token }: Ownership): Promise<Session> {
    const before = this.#turns.get(session) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(() => this.#add(session, step, { shard, token }));
    this.#turns.set(session, turn);
    return turn;
  }

  async #add(session: string, step: number, at: { readonly shard: number; readonly token: number }): Promise<Session> {
    const cached = this.#sessions.get(session);
    const known = cached?.token === at.token ? cached : await this.#ask(session, { ...at });
    if (step <= known.step) return known;
    const next = { value: known.value + 1, step };
    await this.#ask(session, { ...at, ...next });
    this.#sessions.set(session, { ...next, token: at.token });
    return next;
  }

  async #ask(session: string, write: object): Promise<Session> {
    const body = JSON.stringify(write);
    const answer = await fetch(`${this.#store}/${encodeURIComponent(session)}`, { method: 'POST', body });
    if (!answer.ok) throw new Error(`the store refused: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as Session;
  }
}

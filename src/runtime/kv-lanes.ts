/**
 * The sessions of one client: each carries as many requests at a time as the cluster keeps answers for, and a busy client has several
 * (raft.md 6.4). Numbers of requests rise within a lane and are never used again, also when its session had to be made anew.
 */
import { BusyError } from './kv-errors.ts';

/** Below the 64 answers that are kept for a session. */
const WINDOW = 60;
const LANES_MAX = 32;
const QUEUE_MAX = 10_000;

export class Lane {
  readonly #open: () => Promise<number>;
  readonly #unanswered: Set<number> = new Set();
  #session: Promise<number> | undefined;
  #nextSeq = 1;

  constructor(open: () => Promise<number>) {
    this.#open = open;
  }

  get hasRoom(): boolean {
    return this.#nextSeq - this.ackedBelow < WINDOW;
  }

  /** All requests with a smaller number have been answered. */
  get ackedBelow(): number {
    for (const seq of this.#unanswered) return seq;
    return this.#nextSeq;
  }

  take(): number {
    const seq = this.#nextSeq;
    this.#nextSeq += 1;
    this.#unanswered.add(seq);
    return seq;
  }

  release(seq: number): void {
    this.#unanswered.delete(seq);
  }

  /** Opens one when there is none; when that fails, the next call tries again. */
  session(): Promise<number> {
    if (this.#session !== undefined) return this.#session;
    const session = this.#open();
    this.#session = session;
    session.catch(() => {
      if (this.#session === session) this.#session = undefined;
    });
    return session;
  }

  /** The cluster does not know it any more; the next request opens another. */
  async forget(session: number): Promise<void> {
    const held = this.#session;
    const id = await held?.catch(() => undefined);
    if (id === session && this.#session === held) this.#session = undefined;
  }

  /** The session, if one is open. */
  async opened(): Promise<number | undefined> {
    return await this.#session?.catch(() => undefined);
  }
}

/** A place in a lane, until it is released. */
export interface Ticket {
  readonly lane: Lane;
  readonly seq: number;
}

export class Lanes {
  readonly #lanes: Lane[] = [];
  readonly #open: () => Promise<number>;
  readonly #waiting: ((ticket: Ticket) => void)[] = [];

  constructor(open: () => Promise<number>) {
    this.#open = open;
  }

  get all(): readonly Lane[] {
    return this.#lanes;
  }

  /** Now, or when there is room. Throws {@link BusyError} when too many wait. */
  take(): Ticket | Promise<Ticket> {
    const ticket = this.#takeFree();
    if (ticket !== undefined) return ticket;
    if (this.#waiting.length >= QUEUE_MAX) throw new BusyError(`${QUEUE_MAX} requests of this client wait already`);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  release({ lane, seq }: Ticket): void {
    lane.release(seq);
    while (this.#waiting.length > 0) {
      const ticket = this.#takeFree();
      if (ticket === undefined) return;
      this.#waiting.shift()?.(ticket);
    }
  }

  #takeFree(): Ticket | undefined {
    let lane = this.#lanes.find((one) => one.hasRoom);
    if (lane === undefined && this.#lanes.length < LANES_MAX) {
      lane = new Lane(this.#open);
      this.#lanes.push(lane);
    }
    return lane === undefined ? undefined : { lane, seq: lane.take() };
  }
}

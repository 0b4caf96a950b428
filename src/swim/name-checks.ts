/**
 * Whether the bearer of a name that another process claims still answers. It is pinged directly and at once, out of the prober's turn:
 * when it is silent, a node that was started again need not wait until its former process has been missed by everyone.
 */
import { assert } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { encodePing } from '../wire/memberlist/messages.ts';
import type { SwimContext } from './context.ts';
import type { Outbox } from './outbox.ts';
import { sourceFields } from './prober.ts';

/**
 * Pings, a probe timeout apart, before silence is believed. At 10 % loss each way one live bearer in thirty is missed; that does harm only
 * where two live processes bear one name, and is mended by the vote that they hold.
 */
const PINGS = 2;
/** Names under check; a peer can invent conflicts without end. */
const CHECKS_MAX = 64;
/** A bearer that has just answered is not asked again. */
const TRUSTED_MS = 5_000;

export interface NameCheck {
  readonly name: string;
  /** Of the bearer. */
  readonly bearer: Endpoint;
  onAnswer(): void;
  onSilence(): void;
}

interface Running {
  check: NameCheck;
  sequence: number;
  pings: number;
}

export class NameChecks {
  readonly #context: SwimContext;
  readonly #outbox: Outbox;
  readonly #running: Map<string, Running> = new Map();
  readonly #bySequence: Map<number, Running> = new Map();
  readonly #deadlines: DeadlineHeap<string> = new DeadlineHeap();
  /** When a bearer last answered, by name. */
  readonly #answeredAt: Map<string, MonotonicMs> = new Map();

  constructor(context: SwimContext, outbox: Outbox) {
    this.#context = context;
    this.#outbox = outbox;
  }

  /** A check of that name that is under way goes on, for the newest claim. */
  begin(check: NameCheck): void {
    const running = this.#running.get(check.name);
    if (running !== undefined) {
      running.check = check;
      return;
    }
    const answeredAt = this.#answeredAt.get(check.name) ?? Number.NEGATIVE_INFINITY;
    if (this.#running.size >= CHECKS_MAX || this.#context.now - answeredAt < TRUSTED_MS) return;
    const fresh: Running = { check, sequence: 0, pings: 0 };
    this.#running.set(check.name, fresh);
    this.#ping(fresh);
  }

  /** Whether the ack was for one of our pings here. */
  onAck(sequence: number): boolean {
    const running = this.#bySequence.get(sequence);
    if (running === undefined) return false;
    this.#end(running);
    this.#answeredAt.delete(running.check.name);
    this.#answeredAt.set(running.check.name, this.#context.now);
    const oldest = this.#answeredAt.keys().next();
    if (this.#answeredAt.size > CHECKS_MAX && !oldest.done) this.#answeredAt.delete(oldest.value);
    running.check.onAnswer();
    return true;
  }

  tick(): void {
    const { now } = this.#context;
    for (let name = this.#deadlines.popDue(now); name !== undefined; name = this.#deadlines.popDue(now)) {
      const running = this.#running.get(name);
      assert(running !== undefined, 'a deadline belongs to a check under way');
      if (running.pings < PINGS) {
        this.#ping(running);
        continue;
      }
      this.#end(running);
      running.check.onSilence();
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  /** We stood still: its answer may wait in our socket. */
  postpone(byMs: number): void {
    for (const name of this.#running.keys()) {
      const deadline = this.#deadlines.deadlineOf(name);
      if (deadline !== undefined) this.#deadlines.set(name, deadline + byMs);
    }
  }

  check(): void {
    assert(this.#running.size <= CHECKS_MAX, 'checks are bounded');
    assert(this.#running.size === this.#bySequence.size, 'every check waits for one answer');
  }

  #ping(running: Running): void {
    const { config, now } = this.#context;
    this.#bySequence.delete(running.sequence);
    running.sequence = this.#context.nextSequence();
    running.pings += 1;
    this.#bySequence.set(running.sequence, running);
    this.#deadlines.set(running.check.name, now + config.probeTimeoutMs);
    const { name: node, bearer } = running.check;
    const ping = encodePing({ kind: 'ping', node, sequence: running.sequence, ...sourceFields(config) });
    this.#outbox.send(bearer, ping);
  }

  #end(running: Running): void {
    this.#running.delete(running.check.name);
    this.#bySequence.delete(running.sequence);
    this.#deadlines.delete(running.check.name);
  }
}

/**
 * Who is gone, remembered for longer than its row. A row is dropped a while after the death (wire-gossip.md 8.7); a member that slept
 * through that time still holds the dead one for alive, and would bring it back to everybody by its next push/pull. What is kept here
 * is one name, address and incarnation per member that is gone, the oldest first to be forgotten.
 *
 * An alive claim above that incarnation is the member's own refutation and is none of our business. One that is not above it is
 * either word of the dead, or of a new process of that name, which begins at incarnation 1 as memberlist's do. The claimed address is
 * asked: it hears at which incarnation it is held for gone, in the words of the protocol (a suspicion, which nobody whom it does not
 * concern takes for a verdict), and is pinged.
 *
 *  - Whoever runs there refutes, and is admitted with its next gossip; of a name that failed, its ack alone is enough, and takes a
 *    round trip. One that took leave and is still there to answer pings does not come back by that: it refutes only when it is new.
 *  - Silence to all pings, the last by TCP, refuses the claim, and the others are told of a suspicion, as memberlist does with a dead
 *    record in a push/pull (8.5): whoever holds the dead one for alive then asks it, too.
 */
import { assert, present } from '../base/assert.ts';
import { DeadlineHeap } from '../base/deadline-heap.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { encodePing, encodeSuspect } from '../wire/memberlist/messages.ts';
import { sameAddress } from './claim.ts';
import type { SwimContext } from './context.ts';
import { endpointOf, type Row } from './member-table.ts';
import type { SwimClaim } from './messages.ts';
import type { Outbox } from './outbox.ts';
import { sourceFields } from './prober.ts';
import type { Streams } from './streams.ts';

/** Pings by UDP, a probe timeout apart. At 10 % loss each way one process in 150 is missed by all three; then TCP asks. */
const PINGS = 3;
/** A name that was found silent is not asked again sooner: its claim comes with every packet of somebody's gossip. */
const SILENT_MS = 1_000;

interface Tombstone {
  readonly name: string;
  readonly incarnation: number;
  /** It took leave itself. */
  readonly hasLeft: boolean;
  readonly since: MonotonicMs;
  silentAt: MonotonicMs;
}

/** A claim whose address is being asked. */
interface Inquiry {
  readonly claim: SwimClaim;
  readonly endpoint: Endpoint;
  /** Who brought it. */
  readonly from: Endpoint | undefined;
  readonly ping: Uint8Array;
  readonly sequence: number;
  pings: number;
}

export interface TombstonesParts {
  readonly outbox: Outbox;
  readonly streams: Streams;
  /** The claim is believed: a process of that name answers at its address. */
  admit(claim: SwimClaim, from: Endpoint | undefined): void;
}

export class Tombstones {
  readonly #context: SwimContext;
  readonly #parts: TombstonesParts;
  /** By name, the oldest first. */
  readonly #stones: Map<string, Tombstone> = new Map();
  readonly #inquiries: Map<string, Inquiry> = new Map();
  readonly #bySequence: Map<number, Inquiry> = new Map();
  readonly #deadlines: DeadlineHeap<string> = new DeadlineHeap();

  constructor(context: SwimContext, parts: TombstonesParts) {
    this.#context = context;
    this.#parts = parts;
  }

  get size(): number {
    return this.#stones.size;
  }

  /** The row of a member that is gone is dropped. At most one stone per row of a full table, for the configured time. */
  add(row: Row): void {
    const { config, now } = this.#context;
    if (config.tombstoneMs === 0) return;
    this.#stones.delete(row.name);
    const { name, incarnation } = row;
    const hasLeft = row.state === 'left';
    this.#stones.set(name, { name, incarnation, hasLeft, since: row.changedAt, silentAt: Number.NEGATIVE_INFINITY });
    for (const stone of this.#stones.values()) {
      if (this.#stones.size <= config.membersMax && now - stone.since <= config.tombstoneMs) break;
      this.forget(stone.name);
    }
  }

  /** The name is somebody's again. */
  forget(name: string): void {
    this.#stones.delete(name);
    this.#end(name);
  }

  /** Whether an alive claim about a name without a row must not be believed, for now or at all: word of the dead, as far as we know. */
  holdsBack(claim: SwimClaim, from: Endpoint | undefined): boolean {
    const { config, isLeaving, now } = this.#context;
    const stone = this.#stones.get(claim.name);
    if (stone === undefined || claim.incarnation > stone.incarnation || now - stone.since > config.tombstoneMs)
      return false;
    if (now - stone.silentAt < SILENT_MS || isLeaving) return true;
    const underWay = this.#inquiries.get(claim.name);
    if (underWay === undefined || !sameAddress(underWay.claim, claim)) this.#ask(claim, from);
    return true;
  }

  /** Whether the ack was for a ping of ours here. */
  onAck(sequence: number): boolean {
    const inquiry = this.#bySequence.get(sequence);
    if (inquiry === undefined) return false;
    const { claim, from } = inquiry;
    const stone = present(this.#stones.get(claim.name), 'who is asked about has a tombstone');
    this.#end(claim.name);
    if (stone.hasLeft) return true;
    this.forget(claim.name);
    this.#parts.admit(claim, from);
    return true;
  }

  tick(): void {
    const { config, now } = this.#context;
    for (let name = this.#deadlines.popDue(now); name !== undefined; name = this.#deadlines.popDue(now)) {
      const inquiry = present(this.#inquiries.get(name), 'a deadline belongs to an inquiry under way');
      if (inquiry.pings < PINGS) this.#ping(inquiry);
      else if (inquiry.pings === PINGS && config.tcpPing) this.#pingByTcp(inquiry);
      else this.#onSilence(inquiry);
    }
  }

  nextDeadline(): MonotonicMs {
    return this.#deadlines.next();
  }

  /** We stood still: the answers may wait in our socket. */
  postpone(byMs: number): void {
    for (const name of this.#inquiries.keys()) {
      const deadline = this.#deadlines.deadlineOf(name);
      if (deadline !== undefined) this.#deadlines.set(name, deadline + byMs);
    }
  }

  check(): void {
    const { config, table } = this.#context;
    assert(this.#stones.size <= config.membersMax, 'tombstones are bounded');
    assert(this.#inquiries.size === this.#bySequence.size, 'every inquiry waits for one answer');
    assert(this.#inquiries.size === this.#deadlines.size, 'every inquiry has a deadline');
    for (const name of this.#inquiries.keys()) assert(this.#stones.has(name), 'who is asked about has a tombstone');
    for (const name of this.#stones.keys()) assert(table.get(name) === undefined, 'who has a row has no tombstone');
  }

  #ask(claim: SwimClaim, from: Endpoint | undefined): void {
    const { config } = this.#context;
    this.#end(claim.name);
    const sequence = this.#context.nextSequence();
    const ping = encodePing({ kind: 'ping', node: claim.name, sequence, ...sourceFields(config) });
    const endpoint = endpointOf(claim.addressBytes, claim.port);
    const inquiry: Inquiry = { claim, endpoint, from, ping, sequence, pings: 0 };
    this.#inquiries.set(claim.name, inquiry);
    this.#bySequence.set(sequence, inquiry);
    this.#ping(inquiry);
  }

  /** With what we hold against it in front: its answer to that may ride on the ack. */
  #ping(inquiry: Inquiry): void {
    const { config, now } = this.#context;
    const { name } = inquiry.claim;
    const { incarnation } = present(this.#stones.get(name), 'who is asked about has a tombstone');
    const doubt = encodeSuspect({ kind: 'suspect', incarnation, node: name, from: config.name });
    inquiry.pings += 1;
    this.#deadlines.set(name, now + config.probeTimeoutMs);
    this.#parts.outbox.send(inquiry.endpoint, doubt, inquiry.ping);
  }

  #pingByTcp(inquiry: Inquiry): void {
    const { config, now } = this.#context;
    inquiry.pings += 1;
    const deadline = now + config.probeTimeoutMs;
    this.#deadlines.set(inquiry.claim.name, deadline);
    const { sequence } = inquiry;
    const onMessage = (message: { readonly kind: string; readonly sequence?: number }): void => {
      if (message.kind === 'ack' && message.sequence === sequence) this.onAck(sequence);
    };
    this.#parts.streams.open(inquiry.endpoint, inquiry.ping, {
      client: { onMessage, onFailed: () => undefined },
      deadline,
    });
  }

  #onSilence({ claim, from }: Inquiry): void {
    const { config, now, queue } = this.#context;
    const { name } = claim;
    const stone = present(this.#stones.get(name), 'who is asked about has a tombstone');
    this.#end(name);
    stone.silentAt = now;
    const accusation = { node: name, incarnation: stone.incarnation, from: config.name };
    queue.add(encodeSuspect({ kind: 'suspect', ...accusation }), { name });
    this.#context.drop('wordOfTheDead', from);
  }

  #end(name: string): void {
    const inquiry = this.#inquiries.get(name);
    if (inquiry === undefined) return;
    this.#inquiries.delete(name);
    this.#bySequence.delete(inquiry.sequence);
    this.#deadlines.delete(name);
  }
}

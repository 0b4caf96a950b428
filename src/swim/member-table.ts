/** The member table: every node we know of, in any state, and the order in which we probe them. wire-gossip.md 8, 9.1, 10.4. */
import { assert, present } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { randomBelow, shuffle } from '../base/random.ts';
import type { Random } from '../base/random.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { hostOfAddress } from '../wire/memberlist/address.ts';
import { isPresent } from './claim.ts';
import type { SwimClaim, SwimMember, SwimMemberState } from './messages.ts';
import type { Suspicion } from './suspicion.ts';

/** A row; changed only through the table. */
export interface Row {
  readonly name: string;
  addressBytes: Uint8Array;
  port: number;
  /** The address, readable; made once since it is asked for with every packet. */
  endpoint: Endpoint;
  meta: Uint8Array;
  versions: Uint8Array;
  incarnation: number;
  state: SwimMemberState;
  changedAt: MonotonicMs;
  suspicion: Suspicion | undefined;
  /** When we last told it what we hold against it. */
  toldAt: MonotonicMs;
}

export class MemberTable {
  readonly #random: Random;
  readonly #rows: Map<string, Row> = new Map();
  /** All rows in probing order. */
  #order: Row[] = [];
  #cursor = 0;
  /** Rows per endpoint: two names may have been seen at one address. */
  readonly #byEndpoint: Map<string, Set<Row>> = new Map();
  readonly #counts: Record<SwimMemberState, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };

  constructor(random: Random) {
    this.#random = random;
  }

  /** The n of the formulas: rows of every state, ourselves included. */
  get size(): number {
    return this.#rows.size;
  }

  get presentCount(): number {
    return this.#counts.alive + this.#counts.suspect;
  }

  count(state: SwimMemberState): number {
    return this.#counts[state];
  }

  get(name: string): Row | undefined {
    return this.#rows.get(name);
  }

  /** The row whose member is reached at `endpoint`, the present one of several. */
  at(endpoint: Endpoint): Row | undefined {
    const rows = this.#byEndpoint.get(formatEndpoint(endpoint));
    if (rows === undefined) return undefined;
    let any: Row | undefined;
    for (const row of rows) {
      if (isPresent(row.state)) return row;
      any ??= row;
    }
    return any;
  }

  rows(): IterableIterator<Row> {
    return this.#rows.values();
  }

  /** A new row, dead with incarnation 0 so that any alive claim supersedes it, at a random place of the probing order (8.1). */
  insert(claim: SwimClaim, now: MonotonicMs): Row {
    assert(!this.#rows.has(claim.name), 'a name has one row');
    const { name, addressBytes, port, meta, versions } = claim;
    const endpoint = endpointOf(addressBytes, port);
    const row: Row = {
      name,
      addressBytes,
      port,
      endpoint,
      meta,
      versions,
      incarnation: 0,
      state: 'dead',
      changedAt: now,
      suspicion: undefined,
      toldAt: Number.NEGATIVE_INFINITY,
    };
    this.#rows.set(name, row);
    this.#order.push(row);
    const at = randomBelow(this.#random, this.#order.length);
    this.#order[this.#order.length - 1] = present(this.#order[at], 'the random place is in the list');
    this.#order[at] = row;
    this.#index(row);
    this.#counts.dead += 1;
    return row;
  }

  setState(row: Row, state: SwimMemberState, now: MonotonicMs): void {
    if (row.state === state) return;
    this.#counts[row.state] -= 1;
    this.#counts[state] += 1;
    row.state = state;
    row.changedAt = now;
  }

  setAddress(row: Row, addressBytes: Uint8Array, port: number): void {
    this.#unindex(row);
    row.addressBytes = addressBytes;
    row.port = port;
    row.endpoint = endpointOf(addressBytes, port);
    this.#index(row);
  }

  /** Goes on in the probing order to the next row that `isWanted`; after a full turn without one, undefined. At the end calls `onTurn`. */
  nextInOrder(isWanted: (row: Row) => boolean, onTurn: () => void): Row | undefined {
    for (let checked = 0; checked < this.#order.length; checked++) {
      if (this.#cursor >= this.#order.length) {
        onTurn();
        this.#cursor = 0;
      }
      const row = this.#order[this.#cursor];
      this.#cursor += 1;
      if (row !== undefined && isWanted(row)) return row;
    }
    return undefined;
  }

  /** Drops the rows that `isGone`, and shuffles the probing order (8.7). Answers with what was dropped. */
  sweep(isGone: (row: Row) => boolean): Row[] {
    const gone = this.#order.filter(isGone);
    for (const row of gone) {
      this.#rows.delete(row.name);
      this.#unindex(row);
      this.#counts[row.state] -= 1;
    }
    if (gone.length > 0) this.#order = this.#order.filter((row) => this.#rows.has(row.name));
    shuffle(this.#random, this.#order);
    return gone;
  }

  /** Up to `count` different rows that are `isWanted`, at random (10.4, the newer rule). */
  pick(count: number, isWanted: (row: Row) => boolean): Row[] {
    const size = this.#order.length;
    if (size < 3 * count) return shuffle(this.#random, this.#order.filter(isWanted)).slice(0, count);
    const picked = new Set<Row>();
    for (let draw = 0; draw < 3 * size && picked.size < count; draw++) {
      const row = present(this.#order[randomBelow(this.#random, size)], 'a random index is in the list');
      if (isWanted(row)) picked.add(row);
    }
    return [...picked];
  }

  check(): void {
    assert(this.#order.length === this.#rows.size, 'the probing order holds every row once');
    const counted: Record<SwimMemberState, number> = { alive: 0, suspect: 0, dead: 0, left: 0 };
    for (const row of this.#order) {
      assert(this.#rows.get(row.name) === row, 'the probing order holds the rows of the table');
      assert(this.#byEndpoint.get(formatEndpoint(row.endpoint))?.has(row) === true, 'a row is found by its endpoint');
      counted[row.state] += 1;
    }
    for (const state of ['alive', 'suspect', 'dead', 'left'] as const) {
      assert(counted[state] === this.#counts[state], `the count of ${state} members is right`);
    }
  }

  #index(row: Row): void {
    const key = formatEndpoint(row.endpoint);
    const rows = this.#byEndpoint.get(key);
    if (rows === undefined) this.#byEndpoint.set(key, new Set([row]));
    else rows.add(row);
  }

  #unindex(row: Row): void {
    const key = formatEndpoint(row.endpoint);
    const rows = present(this.#byEndpoint.get(key), 'a row is found by its endpoint');
    rows.delete(row);
    if (rows.size === 0) this.#byEndpoint.delete(key);
  }
}

export function memberOf(row: Row): SwimMember {
  return {
    name: row.name,
    addressBytes: row.addressBytes,
    address: row.endpoint,
    meta: row.meta,
    versions: row.versions,
    incarnation: row.incarnation,
    state: row.state,
    changedAt: row.changedAt,
  };
}

/** Claims are checked before they reach the table, so the bytes are an address. */
export function endpointOf(addressBytes: Uint8Array, port: number): Endpoint {
  return { host: present(hostOfAddress(addressBytes), 'an address of 4 or 16 bytes'), port };
}

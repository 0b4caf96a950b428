/**
 * Anti-entropy: two nodes tell each other everything. At a join, and from time to time with one member at random.
 * wire-gossip.md 7.3, 8.6, 11.1, 11.3.
 */
import { assert } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { randomBetween } from '../base/random.ts';
import { formatEndpoint } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { RequestId } from '../model/ids.ts';
import { encodeAck } from '../wire/memberlist/messages.ts';
import { encodePushPull, encodeStreamUser } from '../wire/memberlist/stream.ts';
import type { NodeRecord, PushPull, StreamMessage } from '../wire/memberlist/stream.ts';
import { versionConflict } from './claim.ts';
import type { SwimContext } from './context.ts';
import type { Membership } from './membership.ts';
import type { SwimClaim } from './messages.ts';
import type { StreamAnswer, Streams } from './streams.ts';

/** Exchanges of one join under way at a time; more addresses wait their turn. */
const JOIN_PARALLEL_MAX = 8;
/** Cluster size up to which the interval is as configured. */
const SCALING_FROM = 32;

interface Join {
  readonly requestId: RequestId;
  readonly waiting: Endpoint[];
  underWay: number;
  count: number;
  readonly errors: string[];
}

/** 11.3: the larger the cluster, the rarer each node's exchanges. */
export function pushPullIntervalMs(intervalMs: number, memberCount: number): number {
  if (memberCount <= SCALING_FROM) return intervalMs;
  return intervalMs * (Math.ceil(Math.log2(memberCount) - Math.log2(SCALING_FROM)) + 1);
}

export class PushPulls {
  readonly #context: SwimContext;
  readonly #membership: Membership;
  readonly #streams: Streams;
  readonly #joins: Set<Join> = new Set();
  #nextAt: MonotonicMs = Number.POSITIVE_INFINITY;

  constructor(context: SwimContext, membership: Membership, streams: Streams) {
    this.#context = context;
    this.#membership = membership;
    this.#streams = streams;
  }

  start(): void {
    const { config, now, random } = this.#context;
    if (config.pushPullIntervalMs === 0) return;
    // memberlist waits a whole interval longer. Early gossip, sent few times while the cluster is small, misses somebody now and
    // then, and this is what repairs it.
    this.#nextAt = now + randomBetween(random, 0, config.pushPullIntervalMs);
  }

  join(requestId: RequestId, addresses: readonly Endpoint[]): void {
    const join: Join = { requestId, waiting: [...addresses], underWay: 0, count: 0, errors: [] };
    this.#joins.add(join);
    this.#advance(join);
  }

  /** The server's side of a stream. */
  onRequest(message: StreamMessage, from: Endpoint): StreamAnswer | undefined {
    switch (message.kind) {
      case 'pushPull':
        // Our answer must not yet hold what we are about to learn: the peer knows that already.
        return { bytes: this.#localState(message.join), after: () => this.#onRemoteState(message, from) };
      case 'ping':
        if (message.node !== '' && !this.#context.isSelf(message.node)) {
          this.#context.drop('pingForAnother', from);
          return undefined;
        }
        return {
          bytes: encodeAck({ kind: 'ack', sequence: message.sequence, payload: undefined }),
          after: () => undefined,
        };
      case 'user': {
        const answer = this.#context.delegate.answerRequest(message.bytes, from, this.#context.now);
        if (answer !== undefined) return { bytes: encodeStreamUser(answer), after: () => undefined };
        this.#context.delegate.onUserMessage(message.bytes, from, this.#context.now, this.#context.effects);
        return undefined;
      }
      case 'ack':
      case 'err':
        this.#context.drop('unexpectedOnStream', from);
        return undefined;
    }
  }

  tick(): void {
    const { now, table } = this.#context;
    if (this.#nextAt > now) return;
    this.#nextAt = now + this.#interval();
    const [peer] = table.pick(1, (row) => row.state === 'alive' && !this.#context.isSelf(row.name));
    if (peer !== undefined) this.#exchange(peer.endpoint, false, () => undefined);
  }

  nextDeadline(): MonotonicMs {
    return this.#nextAt;
  }

  check(): void {
    for (const join of this.#joins) {
      assert(
        join.underWay > 0 && join.underWay <= JOIN_PARALLEL_MAX,
        'a join that is not over has exchanges under way',
      );
    }
  }

  #interval(): number {
    return pushPullIntervalMs(this.#context.config.pushPullIntervalMs, this.#context.table.size);
  }

  #advance(join: Join): void {
    while (join.underWay < JOIN_PARALLEL_MAX) {
      const address = join.waiting.shift();
      if (address === undefined) break;
      join.underWay += 1;
      this.#exchange(address, true, (error) => {
        join.underWay -= 1;
        if (error === undefined) join.count += 1;
        else join.errors.push(`${formatEndpoint(address)}: ${error}`);
        this.#advance(join);
      });
    }
    if (join.underWay > 0 || !this.#joins.delete(join)) return;
    const { requestId, count, errors } = join;
    this.#context.effects.push({ kind: 'reply', requestId, outcome: { kind: 'joined', count, errors } });
  }

  /** The client's side. `onDone` hears why it failed, or undefined. */
  #exchange(peer: Endpoint, join: boolean, onDone: (error: string | undefined) => void): void {
    const { stats } = this.#context;
    const fail = (reason: string): void => {
      stats.pushPullsFailed += 1;
      this.#context.emit({ kind: 'pushPullFailed', peer, reason });
      onDone(reason);
    };
    const onMessage = (message: StreamMessage): void => {
      if (message.kind === 'err') {
        fail(`the peer refused: ${message.error}`);
        return;
      }
      if (message.kind !== 'pushPull') {
        fail(`the peer answered with a message of kind ${message.kind}`);
        return;
      }
      const refusal = this.#onRemoteState({ ...message, join }, peer);
      if (refusal === undefined) onDone(undefined);
      else onDone(refusal);
    };
    stats.pushPulls += 1;
    this.#streams.open(peer, this.#localState(join), { client: { onMessage, onFailed: fail } });
  }

  #localState(join: boolean): Uint8Array {
    const nodes: NodeRecord[] = [];
    for (const row of this.#context.table.rows()) {
      const { name, addressBytes: address, port, meta, versions, incarnation, state } = row;
      nodes.push({ name, address, port, meta, versions, incarnation, state });
    }
    return encodePushPull({ join, nodes, userState: this.#context.delegate.localState(join) });
  }

  /** Believes a peer's state, or says why not. Both sides judge for themselves. */
  #onRemoteState(state: PushPull, peer: Endpoint): string | undefined {
    const { delegate, effects, now, stats, table } = this.#context;
    const claims = state.nodes.map(claimOf);
    const refusal =
      versionConflict(claims, [...table.rows()]) ?? (state.join ? delegate.refuseMerge(claims) : undefined);
    if (refusal !== undefined) {
      stats.pushPullsFailed += 1;
      this.#context.emit({ kind: 'mergeRefused', reason: refusal, peer });
      return refusal;
    }
    this.#membership.merge(claims, peer);
    if (state.userState.length > 0) delegate.mergeRemoteState(state.userState, state.join, now, effects);
    return undefined;
  }
}

function claimOf(record: NodeRecord): SwimClaim {
  return {
    name: record.name,
    addressBytes: record.address ?? EMPTY_BYTES,
    port: record.port,
    meta: record.meta ?? EMPTY_BYTES,
    versions: record.versions ?? EMPTY_BYTES,
    incarnation: record.incarnation,
    state: record.state,
  };
}

/** Drives the Serf core: what it answers, what it reports, and whom a join was for. */
import { assert, unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { GossipRequest } from '../model/gossip-request.ts';
import type { RequestId } from '../model/ids.ts';
import type { SerfEffect, SerfEvent, SerfInput, SerfOutcome } from '../serf/messages.ts';
import type { Serf } from '../serf/serf.ts';
import { drop, notify } from './core.ts';
import { EndpointBook } from './endpoint-book.ts';
import type { ClusterEffect, ClusterOutcome, ClusterRequest } from './messages.ts';
import { refusal } from './steward.ts';

type JoinRequest = ClusterRequest & { readonly kind: 'join' };

export interface GossipHost {
  onMembers(now: MonotonicMs): void;
  /** An address that we tried by ourselves has answered, or not. */
  onJoinEnded(endpoint: Endpoint, now: MonotonicMs): void;
  onLeft(effects: ClusterEffect[]): void;
}

export class Gossip {
  readonly #serf: Serf;
  readonly #host: GossipHost;
  /** Joins under way: our own tries by their address, those of callers without. */
  readonly #joins: Map<RequestId, Endpoint | undefined> = new Map();
  /** Requests of callers that gossip has not answered yet. */
  readonly #asked: Set<RequestId> = new Set();
  readonly #endpoints: EndpointBook = new EndpointBook();
  #leaving: RequestId | undefined;

  constructor(serf: Serf, host: GossipHost) {
    this.#serf = serf;
    this.#host = host;
  }

  step(input: SerfInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: SerfEffect[] = [];
    this.#serf.step(input, now, out);
    this.#perform(out, now, effects);
  }

  tick(now: MonotonicMs, effects: ClusterEffect[]): void {
    const out: SerfEffect[] = [];
    this.#serf.tick(now, out);
    this.#perform(out, now, effects);
  }

  /** Undefined when these can be the tags of this node; else what stands against it. */
  checkTags(tags: ReadonlyMap<string, string>): string | undefined {
    return this.#serf.checkTags(tags);
  }

  /** For a caller, who is answered. */
  join(requestId: RequestId, request: JoinRequest, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#joins.set(requestId, undefined);
    this.step({ ...request, requestId }, now, effects);
  }

  /** By ourselves: an address was found, or a failed member may be back. */
  tryJoin(endpoint: Endpoint, requestId: RequestId, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#joins.set(requestId, endpoint);
    this.step({ kind: 'join', requestId, addresses: [endpoint] }, now, effects);
  }

  /** Whatever else gossip does for a caller, who is answered. */
  ask(requestId: RequestId, request: GossipRequest, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#asked.add(requestId);
    this.step({ ...request, requestId }, now, effects);
  }

  leave(requestId: RequestId, now: MonotonicMs, effects: ClusterEffect[]): void {
    this.#leaving = requestId;
    this.step({ kind: 'leave', requestId }, now, effects);
  }

  #perform(out: readonly SerfEffect[], now: MonotonicMs, effects: ClusterEffect[]): void {
    for (const effect of out) {
      if (effect.kind === 'sendDatagram') effects.push({ ...effect, channel: 'gossip' });
      else if (effect.kind === 'reply') this.#onReply(effect.requestId, effect.outcome, now, effects);
      else if (effect.kind === 'notify') this.#onEvent(effect.event, now, effects);
      else effects.push(effect);
    }
  }

  #onReply(requestId: RequestId, outcome: SerfOutcome, now: MonotonicMs, effects: ClusterEffect[]): void {
    if (requestId === this.#leaving) {
      this.#host.onLeft(effects);
      return;
    }
    if (this.#asked.delete(requestId)) {
      assert(outcome.kind !== 'joined' && outcome.kind !== 'left', 'gossip answers what it was asked');
      effects.push({ kind: 'reply', requestId, outcome: { kind: 'gossip', outcome } });
      return;
    }
    if (!this.#joins.has(requestId)) return;
    const endpoint = this.#joins.get(requestId);
    this.#joins.delete(requestId);
    if (endpoint !== undefined) this.#host.onJoinEnded(endpoint, now);
    else effects.push({ kind: 'reply', requestId, outcome: joinOutcome(outcome) });
  }

  #onEvent(event: SerfEvent, now: MonotonicMs, effects: ClusterEffect[]): void {
    switch (event.kind) {
      case 'memberJoined':
      case 'memberLeft':
      case 'memberFailed':
      case 'memberUpdated':
      case 'memberReaped':
        this.#host.onMembers(now);
        notify(event, effects);
        for (const change of this.#endpoints.note(event.member)) notify(change, effects);
        return;
      case 'nameConflict': {
        const text = `two processes bear the name ${event.name}: one of them must be renamed (--node-id)`;
        notify({ kind: 'warning', text }, effects);
        return;
      }
      case 'nameLost':
        effects.push({ kind: 'stop', reason: `${event.reason}: give this node another --node-id`, exitCode: 78 });
        return;
      case 'mergeRefused':
        notify({ kind: 'warning', text: `gossip was not merged: ${event.reason}` }, effects);
        return;
      case 'queueDeep': {
        const given = event.dropped === 0 ? '' : `; ${event.dropped} were given up`;
        const text = `gossip does not keep up: ${event.depth} messages wait in the ${event.queue} queue${given}`;
        notify({ kind: 'warning', text }, effects);
        return;
      }
      case 'tagsMissing': {
        const more = event.unwarned === 0 ? '' : ` (and ${event.unwarned} such failures before)`;
        const text = `the tags of ${event.node} are not complete here: ${event.reason}${more}`;
        notify({ kind: 'warning', text }, effects);
        return;
      }
      case 'keyringNotSaved':
        notify({ kind: 'warning', text: `the changed keyring was not written to its file: ${event.reason}` }, effects);
        return;
      case 'keysChanged':
      case 'userEvent':
      case 'queryAsked':
      case 'queryAck':
      case 'queryResponse':
      case 'queryEnded':
        notify(event, effects);
        return;
      case 'dropped':
        drop('gossip', event.reason, effects);
        return;
      default:
        unreachable(event);
    }
  }
}

function joinOutcome(outcome: SerfOutcome): ClusterOutcome {
  if (outcome.kind === 'joined' && outcome.count > 0) return { kind: 'done', count: outcome.count };
  if (outcome.kind === 'joined') return refusal('JOIN_FAILED', outcome.errors.join('; '));
  return refusal('JOIN_FAILED', outcome.kind === 'refused' ? outcome.reason : 'gossip was left meanwhile');
}

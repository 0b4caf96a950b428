/** What callers ask of the node: each request is handed to whom it concerns and ends in exactly one reply. */
import { unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { NO_INDEX, type RequestId } from '../model/ids.ts';
import type { RaftOutcome } from '../raft/messages.ts';
import { TAG_CLUSTER_ID, TAG_SET } from '../model/tags.ts';
import type { Core } from './core.ts';
import type { Gossip } from './gossip.ts';
import type { LeaveTaking } from './leave-taking.ts';
import type { ClusterEffect, ClusterOutcome, ClusterRequest } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { refusal } from './steward.ts';

/** As long as an id is. */
const NO_CLUSTER_ID: string = '0'.repeat(22);

export interface RequestsHost {
  core(): Core;
  readonly gossip: Gossip;
  readonly neighbourhood: Neighbourhood;
  readonly leaveTaking: LeaveTaking;
}

export class Requests {
  readonly #host: RequestsHost;
  /** Transfers of leadership under way. */
  readonly #transfers: Set<RequestId> = new Set();

  constructor(host: RequestsHost) {
    this.#host = host;
  }

  onRequest(requestId: RequestId, request: ClusterRequest, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { gossip, leaveTaking } = this.#host;
    switch (request.kind) {
      case 'join':
        gossip.join(requestId, request, now, effects);
        return;
      case 'setTags':
        effects.push({ kind: 'reply', requestId, outcome: this.#changeTags(request.tags, now, effects) });
        return;
      case 'addNode':
      case 'removeNode':
      case 'stepDown':
        this.#onLeaderRequest(requestId, request, now, effects);
        return;
      case 'gossip':
        gossip.ask(requestId, request.request, now, effects);
        return;
      case 'drain':
        leaveTaking.drain(requestId, now, effects);
        return;
      case 'copy':
        effects.push({ kind: 'reply', requestId, outcome: this.#copy(now) });
        return;
      case 'leave':
        leaveTaking.leave(requestId, now, effects);
        return;
      default:
        unreachable(request);
    }
  }

  onRaftReply(requestId: RequestId, outcome: RaftOutcome, effects: ClusterEffect[]): void {
    if (!this.#transfers.delete(requestId)) return;
    const reply = (answer: ClusterOutcome): void => {
      effects.push({ kind: 'reply', requestId, outcome: answer });
    };
    if (outcome.kind === 'transferred') reply({ kind: 'done', count: 1 });
    else if (outcome.kind === 'refused') reply(refusal('REFUSED', outcome.reason));
    else reply(refusal('OUTCOME_UNKNOWN', 'leadership changed on the way'));
  }

  #onLeaderRequest(
    requestId: RequestId,
    request: Extract<ClusterRequest, { kind: 'addNode' | 'removeNode' | 'stepDown' }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const { self, replica, steward } = this.#host.core();
    const done = (outcome: ClusterOutcome, _now: MonotonicMs, out: ClusterEffect[]): void => {
      out.push({ kind: 'reply', requestId, outcome });
    };
    if (!replica.isLeader) {
      const { leader } = replica.knownLeader(self, now);
      done(refusal('NOT_LEADER', 'this node does not lead', leader), now, effects);
    } else if (request.kind !== 'stepDown' && replica.isShortOfRoom) {
      done(
        refusal('STORAGE_FULL', 'the disk of the leader is full: free some room, or make another node lead'),
        now,
        effects,
      );
    } else if (request.kind === 'addNode') steward.addNode(request.node, done, now, effects);
    else if (request.kind === 'removeNode') steward.removeNode(request.node, done, now, effects);
    else {
      this.#transfers.add(requestId);
      const avoid = this.#host.neighbourhood.unfit();
      replica.step({ kind: 'transferLeader', requestId, avoid }, now, effects);
    }
  }

  #copy(now: MonotonicMs): ClusterOutcome {
    const { self, replica, holding } = this.#host.core();
    const copied = replica.copy();
    const { founding } = replica.state;
    if (copied === undefined || founding === undefined)
      return refusal('REFUSED', 'this node has no state of a cluster: it gossips only, or has not joined yet');
    const { leader, term } = replica.knownLeader(self, now);
    const { meta, bytes: image } = copied;
    const mapVersion = holding.sharding.activeMap()?.version ?? NO_INDEX;
    const ledBy = leader ?? '';
    return { kind: 'copy', copy: { meta, image, term, ledBy, uncertain: 0, mapVersion, ...founding } };
  }

  #changeTags(
    changes: ReadonlyMap<string, string | undefined>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): ClusterOutcome {
    const { gossip, neighbourhood } = this.#host;
    const tags = neighbourhood.tagsWith(changes);
    if (tags.has(TAG_SET)) return refusal('REFUSED', `tag ${TAG_SET} is set by the node itself`);
    // An undecided node will bear the id of its cluster, too.
    const problem = gossip.checkTags(new Map([[TAG_CLUSTER_ID, NO_CLUSTER_ID], ...tags]));
    if (problem !== undefined) return refusal('TAGS_TOO_LARGE', problem);
    if (neighbourhood.setTags(tags)) gossip.step({ kind: 'setTags', tags }, now, effects);
    return { kind: 'done', count: 1 };
  }
}

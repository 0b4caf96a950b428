/** What callers ask of the node: each request is handed to whom it concerns and ends in exactly one reply. */
import { unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { type LogIndex, NO_INDEX, type RequestId } from '../model/ids.ts';
import type { RaftOutcome } from '../raft/messages.ts';
import type { ShardSettingsChange, ShardWhatIf } from '../model/shard-plan.ts';
import { TAG_CLUSTER_ID, TAG_SET } from '../model/tags.ts';
import { encodeCommand } from '../wire/command/command.ts';
import { encodeShardCommand } from '../wire/sharding/map-entry.ts';
import type { Core } from './core.ts';
import type { Gossip } from './gossip.ts';
import type { LeaveTaking } from './leave-taking.ts';
import type { ClusterEffect, ClusterOutcome, ClusterRequest } from './messages.ts';
import type { Neighbourhood } from './neighbourhood.ts';
import { refusal } from './steward.ts';

const NOT_READY = 'this node has just begun to lead: ask again in a second';
/** As long as an id is. */
const NO_CLUSTER_ID: string = '0'.repeat(22);

type LeaderRequest =
  | 'addNode'
  | 'removeNode'
  | 'stepDown'
  | 'planShards'
  | 'configureShards'
  | 'takePermit'
  | 'givePermit';

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
  /** Changes of shard settings under way, and where in the log they are committed. */
  readonly #configures: Map<RequestId, LogIndex | undefined> = new Map();

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
      case 'planShards':
      case 'configureShards':
      case 'takePermit':
      case 'givePermit':
        this.#onLeaderRequest(requestId, request, now, effects);
        return;
      case 'gossip':
        gossip.ask(requestId, request.request, now, effects);
        return;
      case 'drain':
        leaveTaking.drain(requestId, now, effects);
        return;
      case 'undrain':
        leaveTaking.undrain(requestId, now, effects);
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
    if (this.#configures.has(requestId)) {
      this.#onConfigured(requestId, outcome, effects);
      return;
    }
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
    request: Extract<ClusterRequest, { kind: LeaderRequest }>,
    now: MonotonicMs,
    effects: ClusterEffect[],
  ): void {
    const { self, replica, steward, permits } = this.#host.core();
    const done = (outcome: ClusterOutcome, _now: MonotonicMs, out: ClusterEffect[]): void => {
      out.push({ kind: 'reply', requestId, outcome });
    };
    if (!replica.isLeader) {
      const { leader } = replica.knownLeader(self, now);
      done(refusal('NOT_LEADER', 'this node does not lead', leader), now, effects);
    } else if (request.kind === 'planShards') {
      done(this.#whatIf(request.question, now), now, effects);
    } else if (request.kind !== 'stepDown' && replica.isShortOfRoom) {
      done(
        refusal('STORAGE_FULL', 'the disk of the leader is full: free some room, or make another node lead'),
        now,
        effects,
      );
    } else if (request.kind === 'addNode') steward.addNode(request.node, done, now, effects);
    else if (request.kind === 'removeNode') steward.removeNode(request.node, done, now, effects);
    else if (request.kind === 'configureShards') this.#configure(requestId, request.change, now, effects);
    else if (request.kind === 'takePermit') permits.take(request, done, now, effects);
    else if (request.kind === 'givePermit') permits.give(request.holder, done, now, effects);
    else {
      this.#transfers.add(requestId);
      const avoid = this.#host.neighbourhood.unfit();
      replica.step({ kind: 'transferLeader', requestId, avoid }, now, effects);
    }
  }

  #whatIf(question: ShardWhatIf, now: MonotonicMs): ClusterOutcome {
    const report = this.#host.core().holding.sharding.whatIf(question, now);
    if (report === undefined) return refusal('REFUSED', NOT_READY);
    return 'problem' in report ? refusal('REFUSED', report.problem) : { kind: 'shardPlan', report };
  }

  #configure(requestId: RequestId, change: ShardSettingsChange, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica, holding } = this.#host.core();
    const command = holding.sharding.configure(change);
    if (command === undefined || 'problem' in command) {
      const reason = command?.problem ?? NOT_READY;
      effects.push({ kind: 'reply', requestId, outcome: refusal('REFUSED', reason) });
      return;
    }
    this.#configures.set(requestId, undefined);
    const bytes = encodeCommand({ kind: 'shard', bytes: encodeShardCommand(command) });
    replica.step({ kind: 'propose', requestId, items: [bytes] }, now, effects);
  }

  /** What was committed is answered once it is applied here. */
  onApplied(effects: ClusterEffect[]): void {
    if (this.#configures.size === 0) return;
    const { replica, holding } = this.#host.core();
    for (const [requestId, index] of this.#configures) {
      if (index === undefined || index > replica.state.appliedIndex) continue;
      this.#configures.delete(requestId);
      const { settings } = holding.sharding;
      // Two changes that were made from the same settings: the first one counts.
      const isOurs = settings.version >= index;
      const outcome: ClusterOutcome = isOurs
        ? { kind: 'shardSettings', settings }
        : refusal('REFUSED', 'somebody else changed the settings at the same time: look at them, and ask again');
      effects.push({ kind: 'reply', requestId, outcome });
    }
  }

  #onConfigured(requestId: RequestId, outcome: RaftOutcome, effects: ClusterEffect[]): void {
    if (outcome.kind === 'committed') {
      this.#configures.set(requestId, outcome.indexes[0]);
      this.onApplied(effects);
      return;
    }
    this.#configures.delete(requestId);
    const answer =
      outcome.kind === 'refused'
        ? refusal('REFUSED', outcome.reason)
        : refusal('OUTCOME_UNKNOWN', 'leadership changed on the way');
    effects.push({ kind: 'reply', requestId, outcome: answer });
  }

  #copy(now: MonotonicMs): ClusterOutcome {
    const { self, replica, holding } = this.#host.core();
    const copied = replica.copy();
    const { founding } = replica.state;
    if (copied === undefined || founding === undefined)
      return refusal('REFUSED', 'this node has no state of a cluster: it gossips only, or has not joined yet');
    const { leader, term } = replica.knownLeader(self, now);
    const { bytes: image } = copied;
    // Where etcd keeps the log nobody votes; a copy is of a cluster that somebody could go on with.
    const { configuration: agreed } = copied.meta;
    const configuration = replica.etcd === undefined ? agreed : { ...agreed, voters: [self] };
    const meta = { ...copied.meta, configuration };
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

/** A node without a cluster: a NodeHandle whose view, numbers and answers a test sets. Nothing here waits or listens. */
import { callListenerSoon } from '../src/runtime/node-loop.ts';
import { Kv } from '../src/kv/kv.ts';
import type { Backup } from '../src/model/backup.ts';
import { parseEndpoint, type Endpoint } from '../src/model/endpoint.ts';
import type { GossipOutcome, GossipRequest } from '../src/model/gossip-request.ts';
import {
  memberId,
  type Boot,
  type ClusterId,
  type LogIndex,
  type NodeId,
  type ShardId,
  type Stamp,
  type Term,
} from '../src/model/ids.ts';
import type { KvAnswer, KvReply, KvRequest } from '../src/model/kv.ts';
import type { Configuration } from '../src/model/log.ts';
import type { NodeEvent } from '../src/model/node-event.ts';
import type { NodeState } from '../src/model/node-state.ts';
import type { NodeStats } from '../src/model/node-stats.ts';
import type { MemberView, NodeView } from '../src/model/node-view.ts';
import type { RoutingReport } from '../src/model/routing-report.ts';
import type { Ownership, ShardMap } from '../src/model/shard-map.ts';
import { TAG_EP_MANAGEMENT, TAG_EP_RAFT, TAG_EP_SERF, TAG_ROLE, TAG_SERVICE_NAME } from '../src/model/tags.ts';
import type { ShardPlanReport, ShardSettingsChange, ShardWhatIf } from '../src/model/shard-plan.ts';
import type { ShardSettings } from '../src/model/shard-settings.ts';
import {
  AlreadyMemberError,
  JoinFailedError,
  NotLeaderError,
  RefusedError,
  UnknownNodeError,
} from '../src/runtime/handle-errors.ts';
import { doneOrError, type KvDone } from '../src/runtime/kv-errors.ts';
import type { CallOptions, Discovered, NodeHandle, PermitRequest } from '../src/runtime/node-handle.ts';
import { zeroStats } from './fake-node-stats.ts';

export interface FakeCall {
  readonly name:
    | 'join'
    | 'setTags'
    | 'gossip'
    | 'addNode'
    | 'removeNode'
    | 'stepDown'
    | 'drain'
    | 'undrain'
    | 'takeRestartPermit'
    | 'giveRestartPermit'
    | 'backup'
    | 'kv'
    | 'planShards'
    | 'configureShards'
    | 'confirmShardMap'
    | 'released'
    | 'discovered';
  readonly argument: unknown;
}

/** Replaces the answer of one call: what it resolves or rejects with, after looking at the signal if it likes. */
export interface FakeAnswers {
  join?: (addresses: readonly Endpoint[], options?: CallOptions) => Promise<number>;
  gossip?: (request: GossipRequest) => Promise<GossipOutcome>;
  addNode?: (node: NodeId, options?: CallOptions) => Promise<void>;
  removeNode?: (node: NodeId, options?: CallOptions) => Promise<void>;
  stepDown?: (options?: CallOptions) => Promise<void>;
  drain?: (options?: CallOptions) => Promise<void>;
  backup?: () => Promise<Backup>;
  kv?: (request: KvRequest) => KvAnswer | undefined;
  planShards?: (question: ShardWhatIf) => Promise<ShardPlanReport>;
  configureShards?: (change: ShardSettingsChange) => Promise<ShardSettings>;
  confirmShardMap?: (node: NodeId, version: number) => { success: boolean; currentIndex: number };
}

export class FakeNodeHandle implements NodeHandle {
  readonly calls: FakeCall[] = [];
  readonly reports: RoutingReport[] = [];
  readonly answers: FakeAnswers;
  /** What `now()` says; a test moves it. */
  monotonicMs = 60_000;
  #view: NodeView;
  #stats: NodeStats;
  readonly #listeners = new Set<(event: NodeEvent) => void>();
  #lastEvent: NodeEvent | undefined;
  readonly #kv: Kv = new Kv();
  #lastIndex = 0;

  constructor(view: NodeView, answers: FakeAnswers = {}) {
    this.#view = view;
    this.#stats = zeroStats();
    this.answers = answers;
  }

  /** How many listen; 0 after everything that subscribed has closed. */
  get listenerCount(): number {
    return this.#listeners.size;
  }

  /** A new view with these fields changed. Tells nobody; see {@link emit}. */
  change(patch: Partial<NodeView>): void {
    this.#view = { ...this.#view, ...patch };
  }

  /** Enters `state` and tells of it, as a node does. */
  enter(state: NodeState): void {
    const from = this.#view.state;
    this.change({ state, stateSince: this.monotonicMs });
    this.emit({ kind: 'stateChanged', from, to: state });
  }

  emit(event: NodeEvent): void {
    if (event.kind === 'stopped') this.#lastEvent = event;
    for (const listener of [...this.#listeners]) listener(event);
  }

  setStats(patch: Partial<NodeStats>): void {
    this.#stats = { ...this.#stats, ...patch };
  }

  view(): NodeView {
    return this.#view;
  }

  stats(): NodeStats {
    return this.#stats;
  }

  now(): number {
    return this.monotonicMs;
  }

  subscribe(listener: (event: NodeEvent) => void): () => void {
    if (this.#lastEvent !== undefined) return callListenerSoon(listener, this.#lastEvent);
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  owns(shard: ShardId): Ownership | undefined {
    const { shardMap, holdsLease, id, boot } = this.#view;
    if (shardMap === undefined || !holdsLease) return undefined;
    const owner = shardMap.owners[shardMap.ownerOf[shard] ?? -1];
    if (owner === undefined || owner.node !== id || owner.boot !== boot) return undefined;
    return { shard, epoch: (shardMap.epochs[shard] ?? 0) as LogIndex };
  }

  released(version: number): void {
    this.calls.push({ name: 'released', argument: version });
  }

  routed(report: RoutingReport): void {
    this.reports.push(report);
  }

  discovered(found: Discovered): void {
    this.calls.push({ name: 'discovered', argument: found });
  }

  join(addresses: readonly Endpoint[], options?: CallOptions): Promise<number> {
    this.calls.push({ name: 'join', argument: addresses });
    if (this.answers.join !== undefined) return this.answers.join(addresses, options);
    if (addresses.length === 0) return Promise.reject(new JoinFailedError('no address answered'));
    return Promise.resolve(addresses.length);
  }

  gossip(request: GossipRequest): Promise<GossipOutcome> {
    this.calls.push({ name: 'gossip', argument: request });
    return this.answers.gossip?.(request) ?? Promise.resolve({ kind: 'done' });
  }

  setTags(tags: ReadonlyMap<string, string | undefined>): Promise<void> {
    this.calls.push({ name: 'setTags', argument: tags });
    const members = this.#view.members.map((member) => {
      if (member.name !== this.#view.id) return member;
      const all = [...new Map<string, string | undefined>([...member.tags, ...tags])];
      return { ...member, tags: new Map(all.filter((entry): entry is [string, string] => entry[1] !== undefined)) };
    });
    this.change({ members });
    return Promise.resolve();
  }

  addNode(node: NodeId, options?: CallOptions): Promise<void> {
    this.calls.push({ name: 'addNode', argument: node });
    return this.answers.addNode?.(node, options) ?? this.#changeVoters(node, 'add');
  }

  removeNode(node: NodeId, options?: CallOptions): Promise<void> {
    this.calls.push({ name: 'removeNode', argument: node });
    return this.answers.removeNode?.(node, options) ?? this.#changeVoters(node, 'remove');
  }

  stepDown(options?: CallOptions): Promise<void> {
    this.calls.push({ name: 'stepDown', argument: undefined });
    if (this.answers.stepDown !== undefined) return this.answers.stepDown(options);
    if (this.#view.role !== 'Leader') return Promise.reject(new NotLeaderError(this.#view.leader));
    const other = this.#view.members.find((member) => member.raft === 'Voter' && member.name !== this.#view.id);
    if (other === undefined) return Promise.reject(new RefusedError('there is no other voter to lead'));
    this.change({ role: 'Follower', leader: other.name as NodeId });
    return Promise.resolve();
  }

  drain(options?: CallOptions): Promise<void> {
    this.calls.push({ name: 'drain', argument: undefined });
    if (this.answers.drain !== undefined) return this.answers.drain(options);
    this.enter('Draining');
    return Promise.resolve();
  }

  undrain(): Promise<void> {
    this.calls.push({ name: 'undrain', argument: undefined });
    this.enter('Operational');
    return Promise.resolve();
  }

  takeRestartPermit(asked: PermitRequest): Promise<void> {
    this.calls.push({ name: 'takeRestartPermit', argument: asked });
    const held = this.#view.restartPermit;
    if (this.#view.role !== 'Leader') return Promise.reject(new NotLeaderError(this.#view.leader));
    if (held !== undefined && held.holder !== asked.holder)
      return Promise.reject(new RefusedError(`${held.holder} has the permit`));
    this.#lastIndex += 1;
    this.change({ restartPermit: { ...asked, boot: 0 as Boot, index: this.#lastIndex as LogIndex } });
    return Promise.resolve();
  }

  giveRestartPermit(holder: string): Promise<void> {
    this.calls.push({ name: 'giveRestartPermit', argument: holder });
    const held = this.#view.restartPermit;
    if (this.#view.role !== 'Leader') return Promise.reject(new NotLeaderError(this.#view.leader));
    if (held !== undefined && held.holder !== holder)
      return Promise.reject(new RefusedError(`${held.holder} has the permit`));
    this.change({ restartPermit: undefined });
    return Promise.resolve();
  }

  /** By a store of its own, as a cluster of this node alone would. */
  kv(request: KvRequest): Promise<KvDone> {
    this.calls.push({ name: 'kv', argument: request });
    this.#lastIndex += 1;
    const replies =
      request.kind === 'read'
        ? [this.#kv.range(request.query)]
        : this.#kv.apply(this.#lastIndex as LogIndex, 1 as Term, { timeMs: this.monotonicMs, items: [request] });
    const outcome = this.answers.kv?.(request) ?? { kind: 'reply', reply: replies[0] as KvReply };
    const done = doneOrError(outcome);
    return done instanceof Error ? Promise.reject(done) : Promise.resolve(done);
  }

  planShards(question: ShardWhatIf): Promise<ShardPlanReport> {
    this.calls.push({ name: 'planShards', argument: question });
    return this.answers.planShards?.(question) ?? Promise.reject(new NotLeaderError(this.#view.leader));
  }
  configureShards(change: ShardSettingsChange): Promise<ShardSettings> {
    this.calls.push({ name: 'configureShards', argument: change });
    return this.answers.configureShards?.(change) ?? Promise.reject(new NotLeaderError(this.#view.leader));
  }

  backup(): Promise<Backup> {
    this.calls.push({ name: 'backup', argument: undefined });
    return this.answers.backup?.() ?? Promise.reject(new RefusedError('this node has no state of a cluster'));
  }

  confirmShardMap(node: NodeId, version: number): { readonly success: boolean; readonly currentIndex: number } {
    this.calls.push({ name: 'confirmShardMap', argument: { node, version } });
    if (this.answers.confirmShardMap !== undefined) return this.answers.confirmShardMap(node, version);
    const current = this.#view.pendingVersion ?? 0;
    return { success: version === current, currentIndex: current };
  }

  #changeVoters(node: NodeId, what: 'add' | 'remove'): Promise<void> {
    const view = this.#view;
    if (view.role !== 'Leader') return Promise.reject(new NotLeaderError(view.leader));
    const held = view.configuration.voters.find((voter) => voter.startsWith(`${node}@`));
    const member = view.members.find((one) => one.name === node);
    if (what === 'add') {
      if (held !== undefined) return Promise.reject(new AlreadyMemberError(node));
      if (member === undefined) return Promise.reject(new UnknownNodeError(node, 'gossip does not know it'));
      if (!member.tags.has(TAG_EP_RAFT))
        return Promise.reject(new UnknownNodeError(node, `it has no tag ${TAG_EP_RAFT}`));
      this.#setVoters([...view.configuration.voters, member.memberId ?? fakeMemberId(node)].sort());
      return Promise.resolve();
    }
    if (held === undefined) return Promise.reject(new UnknownNodeError(node, 'it is no member'));
    this.#setVoters(view.configuration.voters.filter((voter) => voter !== held));
    return Promise.resolve();
  }

  #setVoters(voters: Configuration['voters']): void {
    const names = new Set(voters.map((voter) => voter.slice(0, voter.lastIndexOf('@'))));
    this.change({
      configuration: { ...this.#view.configuration, voters },
      members: this.#view.members.map((member) => ({ ...member, raft: names.has(member.name) ? 'Voter' : '' })),
    });
    this.emit({ kind: 'configurationChanged', voters: [...names] as NodeId[], learners: [] });
  }
}

export function fakeStamp(node: string): Stamp {
  const digits = [...node].map((letter) => letter.charCodeAt(0).toString(16)).join('');
  return digits.padEnd(16, '0').slice(0, 16) as Stamp;
}

export function fakeMemberId(node: string): ReturnType<typeof memberId> {
  return memberId(node as NodeId, fakeStamp(node));
}

export interface FakeMember {
  readonly name: string;
  readonly raft?: MemberView['raft'];
  readonly status?: MemberView['status'];
  /** Published as `ep.clusterfunk.management`. */
  readonly management?: Endpoint;
  readonly tags?: Readonly<Record<string, string>>;
}

/** A member as a funknode publishes itself; `raft` defaults to Voter, and only then there is an `ep.raft`. */
export function fakeMember(member: FakeMember, position = 1): MemberView {
  const raft = member.raft ?? 'Voter';
  const tags = new Map<string, string>([
    [TAG_SERVICE_NAME, 'demo'],
    [TAG_EP_SERF, `10.0.0.${position}:7946`],
    ...(raft === '' ? [] : [[TAG_EP_RAFT, `10.0.0.${position}:7947`] as const, [TAG_ROLE, 'voter'] as const]),
    ...(member.management === undefined
      ? []
      : [[TAG_EP_MANAGEMENT, `${member.management.host}:${member.management.port}`] as const]),
    ...Object.entries(member.tags ?? {}),
  ]);
  return {
    name: member.name,
    address: { host: `10.0.0.${position}`, port: 7946 },
    status: member.status ?? 'alive',
    tags,
    tagsComplete: true,
    versions: [1, 5, 2, 2, 5, 4],
    raft,
    memberId: raft === '' ? undefined : fakeMemberId(member.name),
    knownSince: 10_000,
    lastHeard: 59_500,
  };
}

/** Shards dealt in turn to `owners`; every epoch is `committedAt`. */
export function fakeShardMap(owners: readonly string[], shardCount = 100, version = 40): ShardMap {
  const names = [...owners].sort();
  return {
    version: version as LogIndex,
    committedAt: (version + 1) as LogIndex,
    shardCount,
    owners: names.map((node, position) => ({ node: node as NodeId, boot: fakeBoot(node), workerId: position + 2 })),
    ownerOf: Uint16Array.from({ length: shardCount }, (_, shard) => shard % names.length),
    epochs: new Float64Array(shardCount).fill(version + 1),
  };
}

export function fakeBoot(node: string): Boot {
  return [...node].reduce((sum, letter) => sum * 31 + letter.charCodeAt(0), 7) as Boot;
}

export interface FakeViewOptions {
  readonly id: string;
  /** Absent: nobody leads. */
  readonly leader?: string;
  readonly members?: readonly FakeMember[];
  readonly state?: NodeState;
  readonly shardCount?: number;
}

/** An Operational node of cluster `demo`; it leads when `leader` names it. Its members default to itself, n2 and n3. */
export function fakeView(options: FakeViewOptions): NodeView {
  const given = options.members ?? ['n1', 'n2', 'n3'].map((name) => ({ name }));
  const members = given
    .map((member, position) => fakeMember(member, position + 1))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const voters = members.filter((member) => member.raft === 'Voter').map((member) => fakeMemberId(member.name));
  const learners = members.filter((member) => member.raft === 'Staging').map((member) => fakeMemberId(member.name));
  const owners = members.filter((member) => member.raft === 'Voter').map((member) => member.name);
  const own = members.find((member) => member.name === options.id);
  const endpoints = new Map<string, Endpoint>();
  for (const [name, value] of own?.tags ?? []) {
    const endpoint = name.startsWith('ep.') ? parseEndpoint(value) : undefined;
    if (endpoint !== undefined) endpoints.set(name, endpoint);
  }
  return {
    id: options.id as NodeId,
    stamp: fakeStamp(options.id),
    boot: fakeBoot(options.id),
    kind: 'voter',
    clusterName: 'demo',
    clusterId: 'AAAAAAAAAAAAAAAAAAAAAA' as ClusterId,
    clusterCreatedMs: 1_700_000_000_000,
    state: options.state ?? 'Operational',
    stateSince: 50_000,
    role: options.leader === options.id ? 'Leader' : 'Follower',
    term: 3 as Term,
    leader: options.leader as NodeId | undefined,
    members,
    configuration: { voters, votersOutgoing: [], learners, learnersNext: [], autoLeave: false },
    commitIndex: 42 as LogIndex,
    appliedIndex: 42 as LogIndex,
    shardMap: owners.length === 0 ? undefined : fakeShardMap(owners, options.shardCount ?? 100),
    pendingVersion: undefined,
    restartPermit: undefined,
    holdsLease: true,
    waiting: undefined,
    room: 'enough',
    ailment: undefined,
    endpoints,
  };
}

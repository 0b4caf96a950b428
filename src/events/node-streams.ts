/**
 * The public streams of a node. They are readings of its events: hot, never in error, complete when the node has stopped.
 * Delivery is outside the node's own turn and from a bounded queue, so a subscriber may call the node from within, and one
 * that is slow or gone costs the node nothing. What must be exact is asked of the node (`view`, `owns`), not of a stream.
 * A subscriber that throws is rxjs's unhandled error: it is thrown in a turn of its own, and ends a process that does not catch it.
 */
import { createRequire } from 'node:module';
import type { Observable, ReplaySubject, Subject } from 'rxjs';
import { EndpointTable, endpointChangeOf, endpointsNow, type EndpointChange } from '../model/endpoint-table.ts';
import type { NodeId } from '../model/ids.ts';
import type { NodeEvent } from '../model/node-event.ts';
import type { NodeState } from '../model/node-state.ts';
import type { MemberView } from '../model/node-view.ts';
import type { ShardMap } from '../model/shard-map.ts';
import { type IncomingQuery, incomingQuery } from './incoming-query.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';

/** Hot streams that never fail and complete when the node has stopped. Catch inside a subscriber: what it throws, rxjs throws as uncaught. */
export interface NodeStreams {
  /** Everything the node tells, in order, from the moment of subscribing. Beyond 10,000 waiting the oldest are forgotten. */
  readonly events: Observable<NodeEvent>;
  /** The state now, then every new one. */
  readonly states: Observable<NodeState>;
  /** Who leads now, then every change; undefined while nobody is known to. */
  readonly leaders: Observable<NodeId | undefined>;
  /** The active shard map, as soon as there is one, then every new one. */
  readonly shardMaps: Observable<ShardMap>;
  /** The members now, then again after every change among them; changes that come together are one list. */
  readonly members: Observable<readonly MemberView[]>;
  /** Every endpoint published now as `added`, then every change. */
  readonly endpoints: Observable<EndpointChange>;
  /** Serf's user events, each once, those of this node too. */
  readonly userEvents: Observable<NodeEvent & { readonly kind: 'userEvent' }>;
  /** Queries meant for this node, to be answered with `respond`. */
  readonly queries: Observable<IncomingQuery>;
  /** Ends all streams. They end by themselves when the node tells that it has stopped. */
  close(): void;
}

/** Events that wait for delivery; a turn of the node makes a handful. Beyond it the oldest are forgotten. */
const QUEUED_MAX = 10_000;

/** Loaded with the first streams: its two hundred files are a tenth of a start, and the program `funknode` has no use for them. */
function loadRxjs(): typeof import('rxjs') {
  return createRequire(import.meta.url)('rxjs') as typeof import('rxjs');
}

export function nodeStreams(handle: NodeHandle): NodeStreams {
  const rxjs = loadRxjs();
  const { concat, defer, from, mergeMap } = rxjs;
  const feed = new StreamFeed(handle, rxjs);
  return {
    events: feed.events.asObservable(),
    states: feed.states.asObservable(),
    leaders: feed.leaders.asObservable(),
    shardMaps: feed.shardMaps.asObservable(),
    members: feed.members.asObservable(),
    // The table and the subscription are taken in one synchronous step, so nothing falls between them.
    endpoints: defer(() => concat(from(feed.endpointTable.present()), feed.endpoints)),
    userEvents: feed.events.pipe(mergeMap((event) => (event.kind === 'userEvent' ? [event] : []))),
    queries: feed.events.pipe(
      mergeMap((event) => {
        const query = incomingQuery(event, handle);
        return query === undefined ? [] : [query];
      }),
    ),
    close: () => feed.close(),
  };
}

class StreamFeed {
  readonly events: Subject<NodeEvent>;
  readonly states: ReplaySubject<NodeState>;
  readonly leaders: ReplaySubject<NodeId | undefined>;
  readonly shardMaps: ReplaySubject<ShardMap>;
  readonly members: ReplaySubject<readonly MemberView[]>;
  readonly endpoints: Subject<EndpointChange>;
  readonly endpointTable: EndpointTable;
  readonly #handle: NodeHandle;
  readonly #unsubscribe: () => void;
  #queue: NodeEvent[] = [];
  #scheduled = false;
  #closed = false;
  /** Events were forgotten: what was last told must be compared with the node itself. */
  #lost = false;
  #state: NodeState;
  #leader: NodeId | undefined;
  #shardMap: ShardMap | undefined;

  constructor(handle: NodeHandle, { ReplaySubject, Subject }: ReturnType<typeof loadRxjs>) {
    this.events = new Subject();
    this.states = new ReplaySubject(1);
    this.leaders = new ReplaySubject(1);
    this.shardMaps = new ReplaySubject(1);
    this.members = new ReplaySubject(1);
    this.endpoints = new Subject();
    this.#handle = handle;
    const view = handle.view();
    this.#state = view.state;
    this.states.next(view.state);
    this.#leader = view.leader;
    this.leaders.next(view.leader);
    this.#publishShardMap(view.shardMap);
    this.members.next(view.members);
    this.endpointTable = new EndpointTable(endpointsNow(view.members));
    this.#unsubscribe = handle.subscribe((event) => this.#enqueue(event));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#unsubscribe();
    this.#queue = [];
    for (const stream of [this.events, this.states, this.leaders, this.shardMaps, this.members, this.endpoints]) {
      stream.complete();
    }
  }

  #enqueue(event: NodeEvent): void {
    this.#queue.push(event);
    if (this.#queue.length > QUEUED_MAX) {
      this.#queue.shift();
      this.#lost = true;
    }
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    this.#scheduled = false;
    const batch = this.#queue;
    this.#queue = [];
    let membersChanged = false;
    for (const event of batch) {
      if (this.#closed) return;
      membersChanged ||= isMemberEvent(event);
      if (event.kind === 'eventsForgotten') this.#lost = true;
      this.#publish(event);
      if (event.kind === 'stopped') {
        this.#publishMembers(membersChanged);
        this.close();
        return;
      }
    }
    this.#publishMembers(membersChanged || this.#lost);
    if (this.#lost) this.#catchUp();
  }

  /** Replayed values must be the latest whatever was forgotten. */
  #catchUp(): void {
    this.#lost = false;
    const view = this.#handle.view();
    this.#publishState(view.state);
    this.#publishLeader(view.leader);
    this.#publishShardMap(view.shardMap);
    for (const change of this.endpointTable.replace(endpointsNow(view.members))) this.endpoints.next(change);
  }

  #publish(event: NodeEvent): void {
    switch (event.kind) {
      case 'stateChanged':
        this.#publishState(event.to);
        break;
      case 'leaderChanged':
        this.#publishLeader(event.leader);
        break;
      case 'leaderLost':
        this.#publishLeader(undefined);
        break;
      case 'shardMapChanged':
        this.#publishShardMap(event.map);
        break;
      case 'endpointChanged': {
        const change = this.endpointTable.apply(endpointChangeOf(event));
        if (change !== undefined) this.endpoints.next(change);
        break;
      }
      default:
        break;
    }
    this.events.next(event);
  }

  #publishState(state: NodeState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.states.next(state);
  }

  #publishShardMap(map: ShardMap | undefined): void {
    if (map === undefined || map === this.#shardMap) return;
    this.#shardMap = map;
    this.shardMaps.next(map);
  }

  #publishLeader(leader: NodeId | undefined): void {
    if (leader === this.#leader) return;
    this.#leader = leader;
    this.leaders.next(leader);
  }

  /** Once per batch: a push/pull that brings a thousand members is one new list, not a thousand. */
  #publishMembers(changed: boolean): void {
    if (changed && !this.#closed) this.members.next(this.#handle.view().members);
  }
}

function isMemberEvent(event: NodeEvent): boolean {
  switch (event.kind) {
    case 'memberJoined':
    case 'memberLeft':
    case 'memberFailed':
    case 'memberUpdated':
    case 'memberReaped':
    case 'configurationChanged':
      return true;
    default:
      return false;
  }
}

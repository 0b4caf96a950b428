/** What one client has opened: event streams, its monitor, its queries, and the queries of others that it may answer. */
import { unreachable } from '../base/assert.ts';
import type { AgentEvent } from '../model/agent-event.ts';
import type { GossipEvent, QueryParameters } from '../model/gossip-request.ts';
import type { NodeEvent } from '../model/node-event.ts';
import { encodeRpcAnswer, type RpcBody } from '../wire/serf/rpc-answer.ts';
import { RPC_ERRORS } from './errors.ts';
import { parseEventFilter } from './event-filter.ts';
import type { RpcLogLevel } from './log-lines.ts';
import type { Outlet, RecordSink } from './outlet.ts';
import type { RpcHost } from './rpc-host.ts';

/** Event streams and queries of one client together. */
const OPEN_MAX = 64;
/** Queries that a client has been told of and has not answered. */
const PENDING_MAX = 1_024;
/** Two records for each member of the largest cluster we know, and its end: a query must not lose what it asked for. */
const QUERY_RECORDS_MAX = 4_096;

interface Pending {
  readonly token: number;
  readonly deadline: number;
  isAnswered: boolean;
}

interface OwnQuery {
  readonly seq: number;
  readonly sink: RecordSink;
  /** Records wait until the answer to the request has been written. */
  held: Uint8Array[] | undefined;
}

export class OpenStreams {
  readonly #outlet: Outlet;
  readonly #host: RpcHost;
  readonly #events: Map<number, { readonly sink: RecordSink; readonly end: () => void }> = new Map();
  readonly #queries: Map<number, OwnQuery> = new Map();
  readonly #pending: Map<number, Pending> = new Map();
  #monitor: { readonly seq: number; readonly end: () => void } | undefined;
  #nextPendingId = 1;
  #unsubscribe: (() => void) | undefined;

  constructor(outlet: Outlet, host: RpcHost) {
    this.#outlet = outlet;
    this.#host = host;
  }

  /** Answers with Serf's word against it, or opens the stream; `start` is to be called when the answer is written. */
  openEvents(seq: number, type: string): string | { readonly start: () => void } {
    const passes = parseEventFilter(type);
    if (this.#events.has(seq)) return RPC_ERRORS.streamExists;
    if (passes === undefined) return RPC_ERRORS.invalidFilter;
    if (this.#events.size + this.#queries.size >= OPEN_MAX) return `a client opens ${OPEN_MAX} streams at most`;
    const sink = this.#outlet.open();
    const { events, log } = this.#host;
    const listener = (event: AgentEvent): void => {
      if (passes(event)) sink.push(encodeRpcAnswer(seq, '', this.#recordOf(event)));
    };
    const unsubscribe = { now: (): void => undefined };
    const end = (): void => {
      unsubscribe.now();
      sink.end();
    };
    this.#events.set(seq, { sink, end });
    const start = (): void => {
      unsubscribe.now = events(listener);
      log.note('DEBUG', 'agent.ipc', `stream ${seq} opened: ${JSON.stringify(type.slice(0, 128))}`);
    };
    return { start };
  }

  /** The same for the monitor, of which a client has one. */
  openMonitor(seq: number, least: RpcLogLevel): string | { readonly start: () => void } {
    if (this.#monitor !== undefined) return RPC_ERRORS.monitorExists;
    const line = (text: string): Uint8Array => encodeRpcAnswer(seq, '', { kind: 'log', line: text });
    const sink = this.#outlet.open((lost) =>
      line(`[WARN] agent.ipc: ${lost} lines were lost: they are read too slowly`),
    );
    const unsubscribe = { now: (): void => undefined };
    const end = (): void => {
      unsubscribe.now();
      sink.end();
    };
    this.#monitor = { seq, end };
    const start = (): void => {
      const { log } = this.#host;
      for (const kept of log.recent(least)) sink.push(line(kept));
      unsubscribe.now = log.subscribe(least, (text) => sink.push(line(text)));
    };
    return { start };
  }

  /** Ends the stream or the monitor that was opened with `seq`, if there is one. */
  stop(seq: number): void {
    this.#events.get(seq)?.end();
    this.#events.delete(seq);
    if (this.#monitor?.seq !== seq) return;
    this.#monitor.end();
    this.#monitor = undefined;
  }

  /** Asks; a word against it when gossip does not take it. Otherwise records come behind `start` until the time is up. */
  async ask(seq: number, parameters: QueryParameters): Promise<string | { readonly start: () => void }> {
    const { handle, nextQuery } = this.#host;
    if (this.#events.size + this.#queries.size >= OPEN_MAX) return `a client opens ${OPEN_MAX} streams at most`;
    const query = nextQuery();
    const open: OwnQuery = { seq, sink: this.#outlet.open(undefined, QUERY_RECORDS_MAX), held: [] };
    this.#queries.set(query, open);
    this.#unsubscribe ??= handle.subscribe((event) => this.#onOwnQuery(event));
    const outcome = handle.gossip({ kind: 'query', query, parameters });
    // Gossip answers a query at its end, but takes requests in order: one about a query that nobody has tells that this is open.
    const barrier = handle.gossip({ kind: 'closeQuery', query: 0 }).then(() => undefined);
    const refused = await Promise.race([
      outcome.then((said) => (said.kind === 'refused' ? said.reason : undefined), String),
      barrier.catch(() => undefined),
    ]);
    if (refused !== undefined) {
      this.#endQuery(query);
      return refused;
    }
    outcome.then(
      () => this.#endQuery(query),
      () => this.#endQuery(query),
    );
    return { start: () => this.#release(open) };
  }

  /** Answers a query of someone else by the id under which this client was told of it. Empty when it was taken. */
  async respond(id: number, payload: Uint8Array): Promise<string> {
    this.#forgetOverdue();
    const pending = this.#pending.get(id);
    if (pending === undefined) return RPC_ERRORS.invalidQueryId;
    if (pending.isAnswered) return RPC_ERRORS.alreadyAnswered;
    const outcome = await this.#host.handle.gossip({ kind: 'respond', token: pending.token, payload });
    if (outcome.kind === 'refused') return `failed to respond to key query: ${outcome.reason}`;
    pending.isAnswered = true;
    return '';
  }

  close(): void {
    for (const seq of [...this.#events.keys()]) this.stop(seq);
    if (this.#monitor !== undefined) this.stop(this.#monitor.seq);
    this.#unsubscribe?.();
    for (const query of this.#queries.keys()) {
      // Nobody listens any more; that the node stops meanwhile ends it as well.
      this.#host.handle.gossip({ kind: 'closeQuery', query }).catch(() => undefined);
    }
    this.#queries.clear();
    this.#pending.clear();
  }

  #recordOf(event: AgentEvent): RpcBody {
    switch (event.event) {
      case 'user': {
        const { lamportTime, name, payload, coalesce } = event;
        return { kind: 'userEvent', lamportTime, name, payload, coalesce };
      }
      case 'query': {
        const { lamportTime, name, payload, token, deadline } = event;
        const id = this.#nextPendingId;
        this.#nextPendingId += 1;
        this.#forgetOverdue();
        if (this.#pending.size < PENDING_MAX) this.#pending.set(id, { token, deadline, isAnswered: false });
        return { kind: 'queryEvent', id, lamportTime, name, payload };
      }
      default:
        return { kind: 'memberEvent', event: event.event, members: event.members };
    }
  }

  #forgetOverdue(): void {
    const now = this.#host.handle.now();
    for (const [id, { deadline }] of this.#pending) if (deadline < now) this.#pending.delete(id);
  }

  #onOwnQuery(event: NodeEvent): void {
    if (event.kind !== 'queryAck' && event.kind !== 'queryResponse' && event.kind !== 'queryEnded') return;
    const open = this.#queries.get(event.query);
    if (open === undefined) return;
    const record = encodeRpcAnswer(open.seq, '', queryRecord(event));
    if (open.held === undefined) open.sink.push(record);
    else open.held.push(record);
  }

  #release(open: OwnQuery): void {
    const held = open.held ?? [];
    open.held = undefined;
    for (const record of held) open.sink.push(record);
    // It may have come to its end meanwhile.
    if (![...this.#queries.values()].includes(open)) open.sink.end();
  }

  #endQuery(query: number): void {
    const open = this.#queries.get(query);
    this.#queries.delete(query);
    if (open?.held === undefined) open?.sink.end();
    if (this.#queries.size > 0) return;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }
}

function queryRecord(event: GossipEvent & { readonly kind: 'queryAck' | 'queryResponse' | 'queryEnded' }): RpcBody {
  switch (event.kind) {
    case 'queryAck':
      return { kind: 'queryRecord', type: 'ack', from: event.from, payload: undefined };
    case 'queryResponse':
      return { kind: 'queryRecord', type: 'response', from: event.from, payload: event.payload };
    case 'queryEnded':
      return { kind: 'queryRecord', type: 'done', from: '', payload: undefined };
    default:
      return unreachable(event);
  }
}

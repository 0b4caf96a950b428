/**
 * What callers ask of gossip beside joining and leaving: user events, queries and answers to queries. Each request has exactly one
 * reply; what comes meanwhile is told as events. wire-gossip.md 15 to 17.
 */
import { unreachable } from '../base/assert.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { GossipEvent, GossipOutcome, QueryParameters } from '../model/gossip-request.ts';
import type { RequestId } from '../model/ids.ts';
import type { QueryFilter } from '../wire/serf/filters.ts';
import type { UserEvent } from '../wire/serf/messages.ts';
import type { Asking, Question, QuestionKey, QuestionListener } from './asking.ts';
import type { Broadcasts } from './broadcasts.ts';
import type { Coordinates } from './coordinates.ts';
import { distance } from './vivaldi.ts';
import { requestKeys } from './key-requests.ts';
import type { SerfInput } from './messages.ts';
import { INTERNAL_PREFIX, type QueryDesk, type SendDirect } from './queries.ts';
import { compilePattern } from '../base/pattern.ts';
import type { UserEventDesk } from './user-events.ts';

type Request = Extract<
  SerfInput,
  { kind: 'userEvent' | 'query' | 'closeQuery' | 'respond' | 'keys' | 'roundTrip' | 'coordinate' }
>;

export interface GossipRequestsHost {
  readonly queries: QueryDesk;
  readonly userEvents: UserEventDesk;
  readonly asking: Asking;
  readonly broadcasts: Broadcasts;
  /** Undefined when they are disabled. */
  readonly coordinates: Coordinates | undefined;
  readonly selfName: string;
  readonly send: SendDirect;
  /** Members, this one among them, of which answers may come. */
  presentCount(): number;
  notify(event: GossipEvent): void;
  reply(requestId: RequestId, outcome: GossipOutcome): void;
}

/** The one of Serf's own questions that callers may ask: its acknowledgements tell who is reached. */
const PING = `${INTERNAL_PREFIX}ping`;

export class GossipRequests {
  readonly #host: GossipRequestsHost;
  /** Open queries of callers, by the number that the caller gave. */
  readonly #callers: Map<number, QuestionKey> = new Map();

  constructor(host: GossipRequestsHost) {
    this.#host = host;
  }

  onRequest(request: Request, now: MonotonicMs): void {
    const { requestId } = request;
    switch (request.kind) {
      case 'userEvent':
        this.#answer(requestId, this.#sendEvent(request));
        break;
      case 'query':
        this.#query(request, now);
        break;
      case 'closeQuery': {
        const key = this.#callers.get(request.query);
        const isClosed = key !== undefined && this.#host.asking.close(key);
        this.#answer(requestId, isClosed ? undefined : 'no such query is open');
        break;
      }
      case 'respond':
        this.#answer(requestId, this.#host.queries.respond(request.token, request.payload, now, this.#host.send));
        break;
      case 'keys':
        requestKeys(request, {
          members: this.#host.presentCount(),
          ask: (question, listener) => this.ask(question, listener, now),
          close: (key) => this.#host.asking.close(key),
          reply: (outcome) => this.#host.reply(requestId, outcome),
        });
        break;
      case 'roundTrip':
        this.#host.reply(requestId, this.#roundTrip(request));
        break;
      case 'coordinate':
        this.#host.reply(requestId, {
          kind: 'coordinate',
          coordinate: this.#host.coordinates?.of(request.node),
        });
        break;
      default:
        unreachable(request);
    }
  }

  /** Asks all members, this node among them, at once. For questions of our own too, such as a vote on a name. */
  ask(question: Question, listener: QuestionListener, now: MonotonicMs): QuestionKey | string {
    const { asking, queries, broadcasts, send } = this.#host;
    const asked = asking.ask(question, queries.clock.time, listener, now);
    if (asked.kind === 'refused') return asked.reason;
    if (question.isSpread) broadcasts.add('query', asked.bytes);
    queries.onQuery(asked.query, now, send);
    return asked.key;
  }

  /** To the application. */
  tellEvent({ lamportTime, name, payload, coalesce }: UserEvent): void {
    // The event outlives the packet: a copy, not a view.
    this.#host.notify({ kind: 'userEvent', lamportTime, name, payload: payload?.slice() ?? EMPTY_BYTES, coalesce });
  }

  #roundTrip({ from, to }: Request & { readonly kind: 'roundTrip' }): GossipOutcome {
    const { coordinates, selfName } = this.#host;
    if (coordinates === undefined) return { kind: 'refused', reason: 'network coordinates are disabled on this node' };
    const ends = [from, to ?? selfName];
    const [a, b] = ends.map((name) => coordinates.of(name));
    if (a !== undefined && b !== undefined) return { kind: 'roundTrip', seconds: distance(a, b) };
    const unknown = a === undefined ? from : ends[1];
    return { kind: 'refused', reason: `no coordinate of "${unknown}" is known; it comes with its first probes` };
  }

  #sendEvent({ name, payload, coalesce }: Request & { readonly kind: 'userEvent' }): string | undefined {
    const made = this.#host.userEvents.create(name, payload, coalesce);
    if (typeof made === 'string') return made;
    this.#host.broadcasts.add('event', made.bytes);
    this.tellEvent(made.event);
    return undefined;
  }

  #query({ requestId, query, parameters }: Request & { readonly kind: 'query' }, now: MonotonicMs): void {
    const { notify, reply } = this.#host;
    const problem = problemOf(parameters) ?? (this.#callers.has(query) ? `query ${query} is open already` : undefined);
    if (problem !== undefined) return this.#answer(requestId, problem);
    const asked = this.ask(
      questionOf(parameters),
      {
        onAck: (from) => notify({ kind: 'queryAck', query, from }),
        onResponse: (from, payload) => notify({ kind: 'queryResponse', query, from, payload: payload.slice() }),
        onEnd: ({ acks, responses }) => {
          this.#callers.delete(query);
          notify({ kind: 'queryEnded', query });
          reply(requestId, { kind: 'queryEnded', acks, responses });
        },
      },
      now,
    );
    if (typeof asked === 'string') this.#answer(requestId, asked);
    else this.#callers.set(query, asked);
  }

  #answer(requestId: RequestId, problem: string | undefined): void {
    this.#host.reply(requestId, problem === undefined ? { kind: 'done' } : { kind: 'refused', reason: problem });
  }
}

function problemOf({ name, payload, tags }: QueryParameters): string | undefined {
  if (name === '') return 'a query needs a name';
  if (name.startsWith(INTERNAL_PREFIX) && (name !== PING || payload.length > 0))
    return `queries whose names begin with ${INTERNAL_PREFIX} are Serf's own`;
  for (const [tag, expression] of tags ?? [])
    if (compilePattern(expression) === undefined)
      return `the filter of tag ${tag} is no regular expression that members understand: ${expression}`;
  return undefined;
}

function questionOf(parameters: QueryParameters): Question {
  const { name, payload, nodes, tags, wantsAck = false, relayFactor = 0, timeoutMs } = parameters;
  const filters: QueryFilter[] = [...(tags ?? [])].map(([tag, expression]) => ({ kind: 'tag', tag, expression }));
  if (nodes !== undefined && nodes.length > 0) filters.unshift({ kind: 'nodes', names: nodes });
  return { name, payload, filters, wantsAck, isSpread: true, relayFactor, timeoutMs };
}

/**
 * Asks the leader what only the leader can answer, by its management endpoint as gossip tells it. Once: a call that was
 * forwarded already is never forwarded again. One channel, to one leader; it is closed when another leads.
 */
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { NodeId } from '../model/ids.ts';
import { TAG_EP_MANAGEMENT } from '../model/tags.ts';
import { NotLeaderError, OutcomeUnknownError, StoppedError, UnknownNodeError } from '../runtime/handle-errors.ts';
import type { NodeHandle } from '../runtime/node-handle.ts';
import { requireNodeId } from './arguments.ts';
import { connected } from './channel-ready.ts';
import { CallerGoneError, ForwardedRefusal, LeaderUnreachableError, NodeUnreachableError } from './errors.ts';
import { CHANNEL_OPTIONS, deadlineIn, earlierDeadline } from './grpc-options.ts';
import { type HandlerContext, HOPS_KEY, type UnaryCall } from './rpc.ts';
import { FUNK_CODE_KEY } from './status.ts';

/** How long a connection to the leader may take. */
const CONNECT_BOUND_MS = 2_000;
/** Less than the bound of the call that waits for the answer (rpc.ts), so that its caller hears the reason. */
const FORWARD_BOUND_MS = 8_000;
/** How the first clusterfunk nodes published their management endpoint. */
const TAG_EP_MANAGEMENT_OLD = 'ep.management';

/** The half of a method definition that a caller needs. */
export interface CallableMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (request: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

interface LeaderChannel {
  readonly leader: NodeId;
  readonly address: string;
  readonly client: Client;
}

export class LeaderForwarder implements Disposable {
  readonly #handle: NodeHandle;
  #channel: LeaderChannel | undefined;
  #unsubscribe: (() => void) | undefined;
  #forwarded = 0;
  #closed = false;

  constructor(handle: NodeHandle) {
    this.#handle = handle;
  }

  /** Calls that were sent on to a leader. */
  get forwarded(): number {
    return this.#forwarded;
  }

  /** The address of the cached channel; undefined when there is none. */
  get connectedTo(): string | undefined {
    return this.#channel?.address;
  }

  /**
   * What the leader answers. Rejects: NotLeaderError (none is known, or the call was forwarded already),
   * LeaderUnreachableError (nothing changed), OutcomeUnknownError, ForwardedRefusal.
   */
  async forward<Request, Response>(
    call: UnaryCall<unknown>,
    leader: NodeId | undefined,
    method: CallableMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    if (call.hops > 0) throw new NotLeaderError(leader);
    const { client, address } = this.#channelTo(leader);
    const known = leader as NodeId;
    const deadline = earlierDeadline(call.deadline, deadlineIn(FORWARD_BOUND_MS));
    await connected(client, earlierDeadline(deadline, deadlineIn(CONNECT_BOUND_MS))).catch((error: unknown) => {
      throw new LeaderUnreachableError(known, `its management endpoint ${address} does not answer`, { cause: error });
    });
    if (call.signal.aborted) throw call.signal.reason as Error;
    this.#forwarded += 1;
    return send({ client, method, request, deadline, hops: call.hops + 1, signal: call.signal });
  }

  /**
   * What `node` answers, whoever it is, over a connection for this call alone. Rejects as `forward` does, with UnknownNodeError and
   * NodeUnreachableError (nothing changed) in place of the leader's.
   */
  async forwardTo<Request, Response>(
    call: UnaryCall<unknown>,
    to: { readonly node: NodeId; readonly boundMs: number },
    method: CallableMethod<Request, Response>,
    request: Request,
  ): Promise<Response> {
    const { node } = to;
    if (call.hops > 0) throw new UnknownNodeError(node, 'the call was forwarded to another node');
    if (this.#closed) throw new StoppedError('the management server is stopping');
    const member = this.#handle.view().members.find(({ name }) => name === node);
    if (member === undefined) throw new UnknownNodeError(node, 'gossip does not know it');
    const endpoint = managementOf(member.tags);
    if (endpoint === undefined) throw new NodeUnreachableError(node, 'gossip knows no management endpoint of it');
    const address = formatEndpoint(endpoint);
    const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
    try {
      const deadline = earlierDeadline(call.deadline, deadlineIn(to.boundMs));
      await connected(client, earlierDeadline(deadline, deadlineIn(CONNECT_BOUND_MS))).catch((error: unknown) => {
        throw new NodeUnreachableError(node, `its management endpoint ${address} does not answer`, { cause: error });
      });
      if (call.signal.aborted) throw call.signal.reason as Error;
      this.#forwarded += 1;
      return await send({ client, method, request, deadline, hops: call.hops + 1, signal: call.signal });
    } finally {
      client.close();
    }
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    this.#unsubscribe?.();
    this.#drop();
  }

  #channelTo(leader: NodeId | undefined): LeaderChannel {
    if (this.#closed) throw new StoppedError('the management server is stopping');
    const view = this.#handle.view();
    if (leader === undefined || leader === view.id) throw new NotLeaderError(undefined);
    const tags = view.members.find((member) => member.name === leader)?.tags;
    const endpoint = tags === undefined ? undefined : managementOf(tags);
    if (endpoint === undefined) throw new LeaderUnreachableError(leader, 'gossip knows no management endpoint of it');
    const address = formatEndpoint(endpoint);
    const held = this.#channel;
    if (held !== undefined && held.leader === leader && held.address === address) return held;
    this.#drop();
    this.#unsubscribe ??= this.#handle.subscribe((event) => {
      if (event.kind === 'leaderLost') this.#drop();
      if (event.kind === 'leaderChanged' && event.leader !== this.#channel?.leader) this.#drop();
    });
    const client = new Client(address, credentials.createInsecure(), CHANNEL_OPTIONS);
    this.#channel = { leader, address, client };
    return this.#channel;
  }

  /** Calls under way keep their connection until they are answered. */
  #drop(): void {
    this.#channel?.client.close();
    this.#channel = undefined;
  }
}

function managementOf(tags: ReadonlyMap<string, string>): Endpoint | undefined {
  const published = tags.get(TAG_EP_MANAGEMENT) ?? tags.get(TAG_EP_MANAGEMENT_OLD);
  return published === undefined ? undefined : parseEndpoint(published);
}

/** Does what only the node of that id can: here if it is this one or none is named, else where it is. */
export async function atNode<Request, Response>(
  context: HandlerContext,
  call: UnaryCall<Request>,
  way: {
    /** Empty: this one. */
    readonly nodeId: string;
    readonly here: () => Promise<Response>;
    readonly method: CallableMethod<Request, Response>;
    /** How long the other may take. */
    readonly boundMs: number;
  },
): Promise<Response> {
  const { nodeId, boundMs } = way;
  if (nodeId === '' || nodeId === context.handle.view().id) return await way.here();
  return await context.forwarder.forwardTo(call, { node: requireNodeId(nodeId), boundMs }, way.method, call.request);
}

/** Does what only a leader can: here if this node leads, else where the leader is. */
export async function atLeader<Request, Response, Answer>(
  context: HandlerContext,
  call: UnaryCall<Request>,
  way: {
    readonly here: () => Promise<Answer> | Answer;
    readonly method: CallableMethod<Request, Response>;
    readonly there: (response: Response) => Answer;
  },
): Promise<Answer> {
  const view = context.handle.view();
  let leader = view.leader;
  if (view.role === 'Leader') {
    try {
      return await way.here();
    } catch (error) {
      // Leadership was lost on the way in; whoever has it now is asked instead.
      if (!(error instanceof NotLeaderError) || error.leader === undefined || error.leader === view.id) throw error;
      leader = error.leader;
    }
  }
  return way.there(await context.forwarder.forward(call, leader, way.method, call.request));
}

function send<Request, Response>(forward: {
  readonly client: Client;
  readonly method: CallableMethod<Request, Response>;
  readonly request: Request;
  readonly deadline: Date;
  readonly hops: number;
  readonly signal: AbortSignal;
}): Promise<Response> {
  const { path, requestSerialize, responseDeserialize } = forward.method;
  const metadata = new Metadata();
  metadata.set(HOPS_KEY, String(forward.hops));
  return new Promise((resolve, reject) => {
    const onAnswer = (error: ServiceError | null, response?: Response): void => {
      forward.signal.removeEventListener('abort', onAbort);
      if (error !== null) reject(refusalOf(error));
      else resolve(response as Response);
    };
    const { client, request, deadline } = forward;
    const sent = client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      { deadline },
      onAnswer,
    );
    const onAbort = (): void => sent.cancel();
    forward.signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** The request had left when these came, so without a word from the leader nobody knows what became of it. */
function refusalOf(error: ServiceError): Error {
  const funkCode = String(error.metadata?.get(FUNK_CODE_KEY)[0] ?? '');
  if (funkCode === '') {
    if (error.code === status.CANCELLED) return new CallerGoneError('the caller has gone');
    if (error.code === status.DEADLINE_EXCEEDED || error.code === status.UNAVAILABLE) {
      return new OutcomeUnknownError(
        `the node it was forwarded to did not answer (${error.details}); what was asked for may still happen`,
      );
    }
  }
  return new ForwardedRefusal({ status: error.code, details: error.details, funkCode });
}

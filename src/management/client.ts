/** A client of a node's management endpoint: what `funkctl` is made of, and for programs that watch or steer a cluster. */
import { Client, credentials, Metadata, type ServiceError, status as grpcStatus } from '@grpc/grpc-js';
import type { GetShardMapResponse__Output } from '../gen/funk/v1/GetShardMapResponse.ts';
import type { ListEndpointsResponse__Output } from '../gen/funk/v1/ListEndpointsResponse.ts';
import type { StepDownResponse__Output } from '../gen/funk/v1/StepDownResponse.ts';
import type { TakeRestartPermitResponse__Output } from '../gen/funk/v1/TakeRestartPermitResponse.ts';
import type { ListNodesResponse__Output } from '../gen/managepb/ListNodesResponse.ts';
import type { KeyOperation } from '../model/gossip-request.ts';
import { EMPTY_BYTES } from '../base/bytes.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import { connected } from './channel-ready.ts';
import {
  changeOf,
  type KeysAnswer,
  type MemberList,
  memberOf,
  type MemberQuestion,
  memberQuestion,
  type NodeStatus,
  type QueryMessage,
  type QueryQuestion,
  queryMessageOf,
  questionMessage,
  type RoundTripEstimate,
  type ShardAnswer,
  statusOf,
  type WatchChange,
} from './client-messages.ts';
import {
  changeMessage,
  type ShardPlan,
  type ShardQuestion,
  shardQuestion,
  type ShardSettingsAnswer,
  type ShardSettingsChange,
} from './client-shards.ts';
import { CallRefusedError, InvalidEndpointError, TimedOutError, UnreachableError } from './client-errors.ts';
import { CHANNEL_OPTIONS, deadlineIn, earlierDeadline, keepaliveOptions } from './grpc-options.ts';
import type { CallableMethod } from './leader-forwarder.ts';
import { loadProtos, type Protos } from './protos.ts';
import { FUNK_CODE_KEY } from './status.ts';

/** The port of a management endpoint unless its address names another. */
export const MANAGEMENT_PORT: number = 7948;

export interface ConnectOptions {
  /** How long a call may take, in milliseconds; 10,000 unless given. */
  readonly timeoutMs?: number;
  /** How long the connection may take, in milliseconds; 3,000 unless given, and never more than `timeoutMs`. */
  readonly connectTimeoutMs?: number;
  /** How a host that vanished is noticed: asked every `timeMs`, given `timeoutMs` to answer. 10,000 and 3,000 unless given. */
  readonly keepalive?: { readonly timeMs: number; readonly timeoutMs: number };
  /** Aborting rejects with its reason; no connection is left behind. */
  readonly signal?: AbortSignal;
}

export interface ManagementCallOptions {
  /** In milliseconds, in place of that of the connection. */
  readonly timeoutMs?: number;
  /** Aborting rejects with its reason; what was asked for may still happen. */
  readonly signal?: AbortSignal;
}

export interface WatchOptions {
  readonly signal?: AbortSignal;
  /** Maps may come as `shardMapDelta`. False unless given. */
  readonly deltas?: boolean;
  /** With `deltas`: the map that is here already. A node that still knows it tells what has changed since, and nothing when nothing has. */
  readonly since?: { readonly version: number; readonly clusterId: string };
}

/**
 * Connects to the management endpoint of a node, `host:port` or a host alone for port 7948.
 * Rejects with InvalidEndpointError, UnreachableError, or the signal's reason.
 */
export async function connectManagement(
  endpoint: string | Endpoint,
  options: ConnectOptions = {},
): Promise<ManagementClient> {
  const parsed = typeof endpoint === 'string' ? parseEndpoint(endpoint, MANAGEMENT_PORT) : endpoint;
  if (parsed === undefined || parsed.port === 0)
    throw new InvalidEndpointError(`"${String(endpoint)}" is no host:port`);
  options.signal?.throwIfAborted();
  const address = formatEndpoint(parsed);
  const client = new Client(address, credentials.createInsecure(), {
    ...CHANNEL_OPTIONS,
    ...(options.keepalive && keepaliveOptions(options.keepalive)),
  });
  const timeoutMs = options.timeoutMs ?? 10_000;
  const patience = earlierDeadline(deadlineIn(timeoutMs), deadlineIn(options.connectTimeoutMs ?? 3_000));
  const onAbort = (): void => client.close();
  options.signal?.addEventListener('abort', onAbort, { once: true });
  try {
    await connected(client, patience);
  } catch (error) {
    client.close();
    options.signal?.throwIfAborted();
    throw new UnreachableError(`nobody answers at ${address}`, { cause: error });
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
  return new ManagementClient({ address, client, protos: loadProtos(), timeoutMs });
}

interface Connection {
  readonly address: string;
  readonly client: Client;
  readonly protos: Protos;
  readonly timeoutMs: number;
}

/**
 * Every call rejects with CallRefusedError, TimedOutError, UnreachableError or the reason of an aborted signal.
 * Integers are safe integers; instants are ages in milliseconds, by the clock of the node.
 */
export class ManagementClient implements Disposable {
  readonly #connection: Connection;

  /** Use {@link connectManagement}. */
  constructor(connection: Connection) {
    this.#connection = connection;
  }

  /** Whom it is connected to, `host:port`. */
  get address(): string {
    return this.#connection.address;
  }

  /** All that the node says of itself, in any state. */
  async status(
    options?: ManagementCallOptions,
  ): Promise<{ readonly status: NodeStatus; readonly yourAddress: string }> {
    const { status, yourAddress } = await this.#call(this.#node.GetStatus, {}, options);
    if (status === null) throw new CallRefusedError({ message: 'an empty answer', status: 'INTERNAL', reason: '' });
    return { status: statusOf(status), yourAddress };
  }

  /**
   * The members as this node sees them, those too that gossip has forgotten but Raft has not. Regular expressions (RE2) in `filter`
   * leave those whose whole name, status or tag they fit. Refused when one cannot be used.
   */
  async members(filter: MemberQuestion = {}, options?: ManagementCallOptions): Promise<MemberList> {
    const { nodeId, leaderId, members } = await this.#call(this.#node.ListMembers, memberQuestion(filter), options);
    return { nodeId, leaderId, members: members.map(memberOf) };
  }

  /** The nodes as the leader sees them, by clusterfunk's call. Refused with reason `NO_LEADER` unless Operational. */
  async nodes(options?: ManagementCallOptions): Promise<ListNodesResponse__Output> {
    const answer = await this.#call(this.#connection.protos.management.ListNodes, {}, options);
    if (answer.error !== null) {
      const { errorCode, message } = answer.error;
      throw new CallRefusedError({ message, status: 'OK', reason: errorCode });
    }
    return answer;
  }

  /** Endpoints whose name holds `filter`, of alive members unless `includeInactive`. */
  endpoints(
    query: { readonly filter?: string; readonly includeInactive?: boolean } = {},
    options?: ManagementCallOptions,
  ): Promise<ListEndpointsResponse__Output> {
    return this.#call(this.#node.ListEndpoints, query, options);
  }

  /** The active shard map; `map` is null before the first one. With `ownersOnly` no shard is listed by itself. */
  shardMap(
    query: { readonly ownersOnly?: boolean } = {},
    options?: ManagementCallOptions,
  ): Promise<GetShardMapResponse__Output> {
    return this.#call(this.#node.GetShardMap, query, options);
  }

  /** Whether this node serves `shard`, from its lease at the instant of the answer: by the time you read it, it may not. */
  owns(shard: number, options?: ManagementCallOptions): Promise<ShardAnswer> {
    return this.#call(this.#node.Owns, { shard }, options);
  }

  /** What would move, where and why, if; nothing changes. Refused with a reason when it cannot be. */
  planShards(question: ShardQuestion = {}, options?: ManagementCallOptions): Promise<ShardPlan> {
    return this.#call(this.#node.PlanShards, shardQuestion(question), options);
  }

  /**
   * Agrees on other settings of the spread of shards; the nodes begin to move shards at once. Resolves with all settings as they are then.
   * Refused with a reason: nothing changed. After a time-out it may still happen.
   */
  async configureShards(
    change: ShardSettingsChange,
    options?: ManagementCallOptions,
  ): Promise<{ readonly leaderId: string; readonly settings: ShardSettingsAnswer }> {
    const request = { change: changeMessage(change) };
    const { leaderId, settings } = await this.#call(this.#node.ConfigureShards, request, options);
    if (settings === null) throw new CallRefusedError({ message: 'an empty answer', status: 'INTERNAL', reason: '' });
    return { leaderId, settings };
  }

  /** The active map in the bytes that clusterfunk's clients read, a `shardpb.ShardDistribution`; empty before the first one. */
  async shardDistribution(options?: ManagementCallOptions): Promise<Uint8Array> {
    return (await this.#call(this.#node.GetShardDistribution, {}, options)).distribution;
  }

  /** Makes a node a voter. Resolves with the leader that did it. After a time-out it may still happen. */
  async addNode(node: string, options?: ManagementCallOptions): Promise<string> {
    return (await this.#call(this.#node.AddNode, { nodeId: node }, options)).leaderId;
  }

  /** Takes a node out of the Raft group and off the map, alive or not. Resolves with the leader that did it. After a time-out it may still happen. */
  async removeNode(node: string, options?: ManagementCallOptions): Promise<string> {
    return (await this.#call(this.#node.RemoveNode, { nodeId: node }, options)).leaderId;
  }

  /** Makes the leader hand over. Resolves with who led and who leads now. */
  stepDown(options?: ManagementCallOptions): Promise<StepDownResponse__Output> {
    return this.#call(this.#node.StepDown, {}, options);
  }

  /**
   * Moves the shards of this node, or of the one that is named, away. Resolves with its id when they are gone; give it time (`timeoutMs`). It is
   * given none until `undrain` or its next start, also when the call is aborted or times out.
   */
  async drain(options: ManagementCallOptions & { readonly node?: string } = {}): Promise<string> {
    return (await this.#call(this.#node.Drain, { nodeId: options.node ?? '' }, options)).nodeId;
  }

  /** Takes a drain back. Resolves with the id of the node. */
  async undrain(options: ManagementCallOptions & { readonly node?: string } = {}): Promise<string> {
    return (await this.#call(this.#node.Undrain, { nodeId: options.node ?? '' }, options)).nodeId;
  }

  /**
   * Takes the permit to restart a node, of which the cluster has one; asked for again by its holder, its time begins anew. Refused with reason
   * FUNK_REFUSED, and says why: another holds it, a voter is not there, shards are moving. Then it may be had later. It ends by itself
   * when the node is back and all is well, or its time (`leaseMs`, 300,000 unless given) is up.
   */
  takeRestartPermit(
    permit: { readonly holder?: string; readonly node?: string; readonly leaseMs?: number } = {},
    options?: ManagementCallOptions,
  ): Promise<TakeRestartPermitResponse__Output> {
    const { holder = '', node = '', leaseMs = 0 } = permit;
    return this.#call(this.#node.TakeRestartPermit, { holder, nodeId: node, leaseMs }, options);
  }

  /** Gives the permit back before its time; nothing happens when nobody has it. Refused when it is another's. Resolves with the leader. */
  async giveRestartPermit(holder = '', options?: ManagementCallOptions): Promise<string> {
    return (await this.#call(this.#node.GiveRestartPermit, { holder }, options)).leaderId;
  }

  /**
   * The round trip between two members, estimated from their network coordinates; `to` is this node unless given. Refused
   * while the coordinate of one is not known, or when the node has coordinates disabled.
   */
  roundTrip(from: string, to = '', options?: ManagementCallOptions): Promise<RoundTripEstimate> {
    return this.#call(this.#node.RoundTrip, { from, to }, options);
  }

  /** Makes this node gossip with `addresses`. Resolves with how many answered. */
  async join(addresses: readonly string[], options?: ManagementCallOptions): Promise<number> {
    return (await this.#call(this.#node.Join, { addresses: [...addresses] }, options)).answered;
  }

  /**
   * Installs, uses, removes or lists the keys of gossip on every member at once. Resolves when all present members have answered or
   * their time is up, failures of single members included: compare `failures` with 0 and `responses` with `members`. Refused when
   * the key is not base64.
   */
  keys(
    operation: KeyOperation,
    query: { readonly key?: string; readonly relayFactor?: number } = {},
    options?: ManagementCallOptions,
  ): Promise<KeysAnswer> {
    return this.#call(this.#node.ManageKeys, { operation, ...query }, options);
  }

  /**
   * First the whole picture, then `synced`, then every change, until the loop is left, the signal is aborted or the node
   * ends it. States, not history: what happened while the loop was busy comes folded into one change. Has no time-out; rejects with
   * UnreachableError when the node stops or the connection is lost.
   */
  async *watch(options: WatchOptions = {}): AsyncGenerator<WatchChange, void, undefined> {
    const { deltas = false, since } = options;
    const request = {
      deltas,
      packed: true,
      sinceVersion: since?.version ?? 0,
      clusterId: since?.clusterId ?? '',
    };
    for await (const message of this.#stream(this.#node.Watch, request, options)) {
      const change = changeOf(message);
      if (change !== undefined) yield change;
    }
  }

  /** A user event to every member, once each. Resolves when it is on its way. */
  async sendEvent(
    name: string,
    { payload = EMPTY_BYTES, coalesce = true }: { readonly payload?: Uint8Array; readonly coalesce?: boolean } = {},
    options?: ManagementCallOptions,
  ): Promise<void> {
    await this.#call(this.#node.SendEvent, { name, payload: Buffer.from(payload), coalesce }, options);
  }

  /** Makes a failed member a left one, everywhere; with `prune` it is forgotten. */
  async forceLeave(
    name: string,
    { prune = false }: { readonly prune?: boolean } = {},
    options?: ManagementCallOptions,
  ): Promise<void> {
    await this.#call(this.#node.ForceLeave, { name, prune }, options);
  }

  /**
   * A query: acks and answers as they come, then `end` when its time is up. Ends early when the loop is left or the signal aborted. Rejects
   * with CallRefusedError when nothing was asked.
   */
  async *query(
    question: QueryQuestion,
    options: { readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<QueryMessage, void, undefined> {
    for await (const message of this.#stream(this.#node.Query, questionMessage(question), options)) {
      const told = queryMessageOf(message);
      if (told !== undefined) yield told;
    }
  }

  /**
   * The bytes of a backup file, in order: what the cluster has agreed on, as this node has it. Whole only when the loop ends by itself;
   * `verifyBackup` of `funknode/offline` proves the file. Rejects with CallRefusedError when the node has nothing to copy.
   */
  async *backup(options: { readonly signal?: AbortSignal } = {}): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const { piece } of this.#stream(this.#node.Backup, {}, options)) yield piece;
  }

  /** Closes the connection; calls under way end first. */
  close(): void {
    this.#connection.client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  get #node(): Protos['node'] {
    return this.#connection.protos.node;
  }

  async *#stream<Request, Response>(
    { path, requestSerialize, responseDeserialize }: CallableMethod<Request, Response>,
    request: Request,
    { signal }: { readonly signal?: AbortSignal },
  ): AsyncGenerator<Response, void, undefined> {
    signal?.throwIfAborted();
    const { client } = this.#connection;
    const stream = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    // Leaving the loop cancels the call, which then fails as cancelled when nobody reads any more.
    stream.on('error', () => undefined);
    const onAbort = (): void => stream.cancel();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      for await (const message of stream) yield message as Response;
    } catch (error) {
      signal?.throwIfAborted();
      throw failureOf(error as ServiceError, this.address);
    } finally {
      signal?.removeEventListener('abort', onAbort);
      stream.cancel();
    }
  }

  #call<Request, Response>(
    method: CallableMethod<Request, Response>,
    request: Request,
    { timeoutMs = this.#connection.timeoutMs, signal }: ManagementCallOptions = {},
  ): Promise<Response> {
    const { client } = this.#connection;
    const { path, requestSerialize, responseDeserialize } = method;
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const onAnswer = (error: ServiceError | null, response?: Response): void => {
        signal?.removeEventListener('abort', onAbort);
        if (error === null) resolve(response as Response);
        else reject(signal?.aborted === true ? (signal.reason as Error) : failureOf(error, this.address));
      };
      const deadline = deadlineIn(timeoutMs);
      const metadata = new Metadata();
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
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }
}

function failureOf(error: ServiceError, address: string): Error {
  const reason = String(error.metadata?.get(FUNK_CODE_KEY)[0] ?? '');
  switch (error.code) {
    case grpcStatus.DEADLINE_EXCEEDED:
      return new TimedOutError(reason === '' ? `${address} did not answer in time` : error.details);
    case grpcStatus.UNAVAILABLE:
      if (reason === '') return new UnreachableError(`the connection to ${address} was lost: ${error.details}`);
      if (reason === 'FUNK_STOPPED') return new UnreachableError(`${address}: ${error.details}`);
      break;
    case grpcStatus.UNIMPLEMENTED:
      return new CallRefusedError({
        message: `${address} is no funknode, or an older one`,
        status: 'UNIMPLEMENTED',
        reason,
      });
    default:
  }
  return new CallRefusedError({ message: error.details, status: grpcStatus[error.code] ?? 'UNKNOWN', reason });
}

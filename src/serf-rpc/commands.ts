/** What each command of the agent's RPC does, in terms of the node. wire-gossip.md 20.3. */
import { unreachable } from '../base/assert.ts';
import type { GossipRequest, KeyOperation } from '../model/gossip-request.ts';
import { TAG_CLUSTER_ID, TAG_ROLE, TAG_SERVICE_NAME, TAG_SET, TAG_STAMP } from '../model/tags.ts';
import type { RpcBody } from '../wire/serf/rpc-answer.ts';
import type { RpcRequest } from '../wire/serf/rpc-request.ts';
import { agentStats } from './agent-stats.ts';
import { RPC_ERRORS } from './errors.ts';
import { rpcLogLevel } from './log-lines.ts';
import { filterMembers } from './member-filter.ts';
import type { OpenStreams } from './open-streams.ts';
import type { RpcHost } from './rpc-host.ts';
import type { Answer } from './session.ts';

const INTERNAL_PREFIX = '_serf_';
const PING = '_serf_ping';
const NS_PER_MS = 1e6;
/** Tags by which nodes know each other: an operator's slip must not make a node a stranger. */
const OWN_TAGS: readonly string[] = [TAG_SERVICE_NAME, TAG_CLUSTER_ID, TAG_ROLE, TAG_STAMP, TAG_SET];

type RequestOf<C extends RpcRequest['command']> = Extract<RpcRequest, { readonly command: C }>;

/** To a client that was let in. `unanswerable`: as an agent, the connection is closed without a word. */
export async function answerTo(
  request: RpcRequest,
  host: RpcHost,
  streams: OpenStreams,
): Promise<Answer | 'unanswerable'> {
  const { handle, log } = host;
  switch (request.command) {
    case 'members':
      return { error: '', body: { kind: 'members', members: handle.view().members } };
    case 'members-filtered': {
      const { Name: name, Status: status, Tags: tags } = request.body;
      const members = filterMembers(handle.view().members, { name, status, tags });
      return members === undefined ? 'unanswerable' : { error: '', body: { kind: 'members', members } };
    }
    case 'event': {
      const { Name: name, Payload: payload, Coalesce: coalesce } = request.body;
      return { error: await refusalOf(host, { kind: 'userEvent', name, payload, coalesce }) };
    }
    case 'force-leave': {
      const { Node: node, Prune: prune } = request.body;
      log.note('INFO', 'agent', `Force leaving node${prune ? ' (prune)' : ''}: ${node}`);
      return { error: await refusalOf(host, { kind: 'forceLeave', node, prune }) };
    }
    case 'join':
      return await join(request, host);
    case 'tags':
      return { error: await setTags(request, host) };
    case 'stream':
      return opened(streams.openEvents(request.seq, request.body.Type));
    case 'monitor': {
      const level = request.body.LogLevel.toUpperCase();
      const known = rpcLogLevel(level);
      return known === undefined
        ? { error: `Unknown log level: ${level}` }
        : opened(streams.openMonitor(request.seq, known));
    }
    case 'stop':
      streams.stop(request.body.Stop);
      return { error: '' };
    case 'query':
      return await ask(request, streams);
    case 'respond':
      return { error: await streams.respond(request.body.ID, request.body.Payload) };
    case 'install-key':
      return await keys(host, 'install', request.body.Key);
    case 'use-key':
      return await keys(host, 'use', request.body.Key);
    case 'remove-key':
      return await keys(host, 'remove', request.body.Key);
    case 'list-keys':
      return await keys(host, 'list', undefined);
    case 'stats':
      return { error: '', body: { kind: 'stats', groups: agentStats(handle, host.facts) } };
    case 'get-coordinate':
      return await coordinate(request, host);
    case 'leave':
      log.note('INFO', 'agent.ipc', 'Graceful leave triggered');
      host.leave();
      return { error: '', isHeld: true };
    case 'handshake':
    case 'auth':
      return { error: RPC_ERRORS.duplicateHandshake };
    default:
      return unreachable(request);
  }
}

function opened(result: string | { readonly start: () => void }): Answer {
  return typeof result === 'string' ? { error: result } : { error: '', after: result.start };
}

/** Empty when the node did as it was asked. */
async function refusalOf({ handle }: RpcHost, request: GossipRequest): Promise<string> {
  try {
    const outcome = await handle.gossip(request);
    return outcome.kind === 'refused' ? outcome.reason : '';
  } catch (error) {
    return (error as Error).message;
  }
}

async function join({ body }: RequestOf<'join'>, { handle, log, resolve }: RpcHost): Promise<Answer> {
  const { Existing: existing, Replay: replay } = body;
  log.note('INFO', 'agent', `joining: [${existing.join(' ')}] replay: ${replay}`);
  // Newer clients put the name that they expect before the address.
  const { endpoints, failures } = await resolve(existing.map((address) => address.replace(/^[^/]*\//, '')));
  const problems = failures.map((failure) => `Failed to resolve ${failure}`);
  try {
    const count = endpoints.length === 0 ? 0 : await handle.join(endpoints, { replay });
    if (count > 0 || existing.length === 0) {
      log.note('INFO', 'agent', `joined: ${count} nodes`);
      return { error: '', body: { kind: 'join', count } };
    }
  } catch (error) {
    problems.push(`Failed to join: ${(error as Error).message}`);
  }
  // As the agent lays out several errors in one.
  const head = problems.length === 1 ? '1 error occurred:' : `${problems.length} errors occurred:`;
  const error = `${head}\n${problems.map((problem) => `\t* ${problem}\n`).join('')}\n`;
  log.note('WARN', 'agent', `error joining: ${error}`);
  return { error, body: { kind: 'join', count: 0 } };
}

async function setTags({ body }: RequestOf<'tags'>, { handle }: RpcHost): Promise<string> {
  const changes = new Map<string, string | undefined>(body.DeleteTags.map((name) => [name, undefined]));
  for (const [name, value] of body.Tags) changes.set(name, value);
  const own = [...changes.keys()].find((name) => OWN_TAGS.includes(name));
  if (own !== undefined) return `tag ${own} is set by the node itself`;
  try {
    await handle.setTags(changes);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

async function ask({ seq, body }: RequestOf<'query'>, streams: OpenStreams): Promise<Answer> {
  const { Name: name, Payload: payload, FilterNodes: nodes, FilterTags: tags, RequestAck: wantsAck } = body;
  if (name.startsWith(INTERNAL_PREFIX) && (name !== PING || payload.length > 0))
    return { error: RPC_ERRORS.internalQuery };
  const timeout = body.Timeout === 0 ? {} : { timeoutMs: body.Timeout / NS_PER_MS };
  const relayFactor = body.RelayFactor;
  return opened(await streams.ask(seq, { name, payload, nodes, tags, wantsAck, relayFactor, ...timeout }));
}

async function keys({ handle }: RpcHost, operation: KeyOperation, key: string | undefined): Promise<Answer> {
  const none: RpcBody = {
    kind: 'keys',
    result: { messages: new Map(), keys: undefined, members: 0, failures: 0, responses: 0 },
  };
  try {
    const outcome = await handle.gossip({ kind: 'keys', operation, ...(key === undefined ? {} : { key }) });
    if (outcome.kind === 'refused') return { error: outcome.reason, body: none };
    if (outcome.kind !== 'keys') return { error: `gossip answered with ${outcome.kind}`, body: none };
    const { members, failures, responses, messages } = outcome;
    const result = { members, failures, responses, messages, keys: operation === 'list' ? outcome.keys : undefined };
    return { error: keysError(result), body: { kind: 'keys', result } };
  } catch (error) {
    return { error: (error as Error).message, body: none };
  }
}

/** In the words of Serf's key manager. */
function keysError(result: {
  readonly members: number;
  readonly failures: number;
  readonly responses: number;
}): string {
  const { members, failures, responses } = result;
  if (failures > 0) return `${failures}/${members} nodes reported failure`;
  return responses === members ? '' : `${responses}/${members} nodes reported success`;
}

async function coordinate({ body }: RequestOf<'get-coordinate'>, { handle }: RpcHost): Promise<Answer> {
  const unknown: RpcBody = { kind: 'coordinate', coordinate: undefined };
  try {
    const outcome = await handle.gossip({ kind: 'coordinate', node: body.Node });
    if (outcome.kind === 'refused') return { error: outcome.reason, body: unknown };
    const known = outcome.kind === 'coordinate' ? outcome.coordinate : undefined;
    return { error: '', body: { kind: 'coordinate', coordinate: known } };
  } catch (error) {
    return { error: (error as Error).message, body: unknown };
  }
}

/**
 * Finding a node to talk to: the endpoint that was named, else the default one of this host if it answers, else whoever
 * answers first of those that mDNS finds.
 */
import { connectManagement, MANAGEMENT_PORT, type ManagementClient } from '../../src/client.ts';
import { EXIT_UNREACHABLE, ExitError } from './exit-codes.ts';
import type { GlobalOptions } from './options.ts';

/** The cluster that mDNS is asked for unless another is named. */
const DEFAULT_CLUSTER_NAME = 'clusterfunk';
/** A node of this host answers within this, or there is none. */
const DEFAULT_CONNECT_MS = 500;
/** A look is a second long, as clusterfunk's is. */
const LOOK_MS = 1_000;
/** Nodes asked at once of those that were found. */
const CANDIDATES_MAX = 8;

/** Runs `work` with a connection, and closes it. */
export async function withNode<T>(options: GlobalOptions, work: (client: ManagementClient) => Promise<T>): Promise<T> {
  const client = await connect(options);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function connect(options: GlobalOptions): Promise<ManagementClient> {
  const { timeoutMs } = options;
  if (options.endpoint !== undefined) return connectManagement(options.endpoint, { timeoutMs });
  const usual = `127.0.0.1:${MANAGEMENT_PORT}`;
  try {
    return await answering(usual, options, { timeoutMs: DEFAULT_CONNECT_MS });
  } catch (error) {
    if (!options.zeroconf) throw nobody(`nobody of the cluster answers at ${usual}`, error);
  }
  // Most often the first find will do; when it is dead, the whole look tells of the others.
  for (const until of ['first', 'time is over'] as const) {
    const { look } = await import('./mdns.ts');
    const clusterName = options.clusterName ?? DEFAULT_CLUSTER_NAME;
    const found = await look(options, { forMs: LOOK_MS, wanted: { clusterName }, until });
    const candidates = found.slice(0, CANDIDATES_MAX).map(({ endpoint }) => endpoint);
    const client = await firstAnswering(candidates, options);
    if (client !== undefined) return client;
    if (found.length === 0) break;
  }
  const name = options.clusterName ?? DEFAULT_CLUSTER_NAME;
  throw nobody(`nobody answers at ${usual}, and mDNS finds no node of cluster "${name}" that does`, undefined);
}

async function firstAnswering(
  candidates: readonly { readonly host: string; readonly port: number }[],
  options: GlobalOptions,
): Promise<ManagementClient | undefined> {
  const aborter = new AbortController();
  const { timeoutMs } = options;
  const tries = candidates.map((candidate) => answering(candidate, options, { timeoutMs, signal: aborter.signal }));
  try {
    const first = await Promise.any(tries);
    closeOthers(tries, first);
    return first;
  } catch {
    return undefined; // None answers: its caller says so, in words that name them all.
  } finally {
    aborter.abort(new Error('another node answered first'));
  }
}

interface Patience {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Connected is not enough: some other program may listen there, or a node of another cluster. */
async function answering(
  address: string | { readonly host: string; readonly port: number },
  options: GlobalOptions,
  patience: Patience,
): Promise<ManagementClient> {
  const client = await connectManagement(address, {
    ...patience,
    timeoutMs: options.timeoutMs,
    connectTimeoutMs: Math.min(patience.timeoutMs, 3_000),
  });
  try {
    const { status } = await client.status(patience);
    if (options.clusterName !== undefined && status.clusterName !== options.clusterName) {
      throw new Error(`a node of cluster ${status.clusterName} answers there`);
    }
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

function closeOthers(tries: readonly Promise<ManagementClient>[], chosen: ManagementClient): void {
  for (const attempt of tries) {
    attempt.then(
      (client) => client === chosen || client.close(),
      () => undefined,
    );
  }
}

function nobody(what: string, cause: unknown): ExitError {
  const advice = 'name a node by --endpoint host:port or FUNKCTL_ENDPOINT';
  return new ExitError(EXIT_UNREACHABLE, `${what}; ${advice}`, { cause });
}

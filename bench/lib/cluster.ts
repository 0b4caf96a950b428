/** A cluster of real processes that find each other by zeroconf on the loopback, and the moments of its life. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Funknode, whenAll } from './funknode.ts';

export interface Kinds {
  readonly voters: number;
  readonly nonVoters?: number;
  readonly nonMembers?: number;
}

const ROLES = [
  ['voters', 'voter'],
  ['nonVoters', 'non-voter'],
  ['nonMembers', 'non-member'],
] as const;
const ASK_AGAIN_MS = 50;

/** Started all at once, in the order of their ids. */
export function startCluster(cluster: string, kinds: Kinds): Funknode[] {
  const roles = ROLES.flatMap(([kind, role]) => new Array<string>(kinds[kind] ?? 0).fill(role));
  return roles.map((role, index) => startNode(cluster, `n${index + 1}`, role));
}

export function startNode(cluster: string, id: string, role: string): Funknode {
  return new Funknode({ id, cluster, args: ['--zeroconf', '--flap-hold=0ms', '--role', role] });
}

/**
 * The instant at which the last of `nodes` stood Operational under one committed map of so many owners; undefined when that was
 * not to be had within `ms`.
 */
export function whenOperational(nodes: readonly Funknode[], owners: number, ms: number): Promise<number | undefined> {
  const version = (): number => Math.max(...nodes.map((node) => node.standing.mapVersion));
  return whenAll(
    nodes,
    ({ standing }) =>
      standing.state === 'Operational' && standing.mapOwners === owners && standing.mapVersion === version(),
    ms,
  );
}

/** Asks every node until all say the same: Operational, one cluster, one leader, one map that names `owners`, so many voters. */
export async function whenSettled(
  nodes: readonly Funknode[],
  { owners, voters, ms }: { readonly owners: readonly Funknode[]; readonly voters: number; readonly ms: number },
): Promise<string | undefined> {
  const named = owners.map((node) => node.id).sort();
  const deadline = performance.now() + ms;
  while (performance.now() < deadline) {
    const answers = await Promise.all(nodes.map((node) => node.ask().catch(() => undefined)));
    const [first] = answers;
    const isSame = answers.every(
      (answer) =>
        answer?.status.state === 'Operational' &&
        answer.status.clusterId === first?.status.clusterId &&
        answer.status.leaderId === first.status.leaderId &&
        JSON.stringify(Object.keys(answer.shares).sort()) === JSON.stringify(named),
    );
    if (isSame && first?.status.voterCount === voters && first.status.leaderId !== '') return first.status.leaderId;
    await sleep(ASK_AGAIN_MS);
  }
  return undefined;
}

/** What went wrong, by the last words of every node. */
export function lastWords(nodes: readonly Funknode[]): string {
  return nodes
    .map((node) => {
      const { state, leader, mapOwners, mapVersion } = node.standing;
      const told = `${state}, leader ${leader || 'none'}, map ${mapVersion} of ${mapOwners}`;
      return `  ${node.id}: ${node.hasEnded ? 'has ended, ' : ''}${told} ${node.errors.slice(-3).join(' | ')}`;
    })
    .join('\n');
}

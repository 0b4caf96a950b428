/**
 * What disks must show: terms never fall and a term has one vote (I-7, I-8), restarts included, and what a leader newly calls committed
 * is durable with a majority of its voters at that moment (I-13). Reads the durable images, not what the core says of them.
 */
import { memberId, type MemberId } from '../../../src/model/ids.ts';
import type { Configuration, HardState } from '../../../src/model/log.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { LogImage } from '../directory.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

interface Seen {
  readonly member: MemberId;
  readonly term: number;
  readonly commitIndex: number;
  readonly configuration: Configuration;
}

export class DurablePromises implements Checker {
  readonly #seen: WeakMap<SimulatedProcess, Seen> = new WeakMap();
  /** What was found on a disk last: each is written as a new object. */
  readonly #found: WeakMap<SimulatedProcess, HardState> = new WeakMap();
  readonly #termOf: Map<MemberId, number> = new Map();
  readonly #voteOf: Map<string, string> = new Map();

  afterTurn(simulation: Simulation, process: SimulatedProcess): void {
    const standing = process.cluster.raftStanding;
    const { self } = process.cluster;
    if (standing === undefined) return;
    const { durable } = process.directory;
    if (this.#found.get(process) !== durable.hardState) {
      this.#found.set(process, durable.hardState);
      this.#checkDisk(self, durable);
    }
    const before = this.#seen.get(process);
    const { term, commitIndex, configuration } = standing;
    this.#seen.set(process, { member: self, term, commitIndex, configuration });
    const isSame = before?.member === self;
    if (isSame && (term < before.term || commitIndex < before.commitIndex))
      throw new Violation(`I-7: ${process.name} went back to term ${term}, commit index ${commitIndex}`);
    if (!isSame || commitIndex <= before.commitIndex || standing.role !== 'leader') return;
    // The turn that commits may append the next configuration, which counts from then on.
    this.#checkQuorum(simulation, process, {
      index: commitIndex,
      configurations: [before.configuration, configuration],
    });
  }

  #checkDisk(self: MemberId, { hardState, stamp }: LogImage): void {
    if (!self.endsWith(`@${stamp}`)) return;
    const { term, vote } = hardState;
    if (term < (this.#termOf.get(self) ?? 0)) throw new Violation(`I-7: the disk of ${self} went back to term ${term}`);
    this.#termOf.set(self, term);
    if (vote === null) return;
    const key = `${self}/${term}`;
    const first = this.#voteOf.get(key) ?? vote;
    this.#voteOf.set(key, first);
    if (first !== vote) throw new Violation(`I-8: ${self} voted for ${first} and for ${vote} in term ${term}`);
  }

  #checkQuorum(
    simulation: Simulation,
    process: SimulatedProcess,
    { index, configurations }: { readonly index: number; readonly configurations: readonly Configuration[] },
  ): void {
    // A disk that was lost may have held it.
    if ((['freshDisk', 'rot'] as const).some((loss) => simulation.options.faults.includes(loss))) return;
    const term = process.directory.written.entryAt(index)?.term;
    if (term === undefined) return;
    const clusterId = process.cluster.clusterId;
    const holders = new Set<MemberId>();
    for (const { directory, nodeId } of simulation.machines) {
      const { durable } = directory;
      if (durable.clusterId !== clusterId) continue;
      const isThere = durable.entryAt(index)?.term === term || (durable.snapshot?.meta.lastLog.index ?? 0) >= index;
      if (isThere) holders.add(memberId(nodeId, durable.stamp));
    }
    const isHeldBy = (half: readonly MemberId[]): boolean =>
      half.length === 0 || half.filter((voter) => holders.has(voter)).length * 2 > half.length;
    if (configurations.some(({ voters, votersOutgoing }) => isHeldBy(voters) && isHeldBy(votersOutgoing))) return;
    const voters = configurations.map((configuration) => configuration.voters.join(',')).join(' or ');
    throw new Violation(
      `I-13: ${process.name} calls entry ${index} committed, and only ${[...holders].join(',') || 'nobody'} of ${voters} hold it durably`,
    );
  }
}

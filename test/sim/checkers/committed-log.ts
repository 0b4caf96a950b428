/**
 * I-3, I-5, I-6, Raft §5.3 and §5.4: what any process calls committed is the same entry everywhere, for ever; a new leader holds all of
 * it (I-4). Reads the logs as they were written, so it does not rely on what the core says of itself.
 */
import { crc32c } from '../../../src/base/crc32c.ts';
import type { Entry } from '../../../src/model/log.ts';
import type { Checker } from '../checkers.ts';
import type { SimulatedProcess } from '../process.ts';
import type { Simulation } from '../simulation.ts';
import { Violation } from '../violation.ts';

interface Committed {
  readonly term: number;
  readonly kind: string;
  readonly digest: number;
  readonly entry: Entry;
  /** The term in which somebody first knew of it. */
  readonly knownIn: number;
}

export class CommittedLog implements Checker {
  readonly #committed: Map<string, Committed[]> = new Map();
  readonly #looked: WeakMap<SimulatedProcess, { readonly clusterId: string; readonly through: number }> = new WeakMap();
  readonly #led: WeakMap<SimulatedProcess, number> = new WeakMap();

  afterTurn(_simulation: Simulation, process: SimulatedProcess): void {
    const standing = process.cluster.raftStanding;
    const { written } = process.directory;
    if (standing === undefined || written.clusterId === undefined || process.cluster.clusterId !== written.clusterId)
      return;
    const clusterId = written.clusterId;
    const log = this.#committed.get(clusterId) ?? [];
    this.#committed.set(clusterId, log);
    if (standing.role === 'leader' && this.#led.get(process) !== standing.term) {
      this.#led.set(process, standing.term);
      this.#checkComplete(process, log, standing.term);
    }
    const looked = this.#looked.get(process);
    const from = looked?.clusterId === clusterId ? looked.through : 0;
    // What is committed may take the place of an old tail that the disk has not been told to cut yet.
    const through = Math.min(standing.commitIndex, standing.durableIndex, written.lastIndex);
    if (through <= from) return;
    for (let index = Math.max(from + 1, written.firstIndex); index <= through; index++)
      this.#compare(process, log, { index, term: standing.term });
    this.#looked.set(process, { clusterId, through });
  }

  /** From the first on; undefined when somebody committed one that was never seen here. */
  entriesOf(clusterId: string | undefined): readonly Entry[] | undefined {
    const log: readonly (Committed | undefined)[] = this.#committed.get(clusterId ?? '') ?? [];
    const first = log[1] === undefined ? log.findIndex((known) => known !== undefined) : 1;
    const known = log.slice(Math.max(1, first));
    return known.includes(undefined) || first !== 1 ? undefined : known.flatMap((each) => each?.entry ?? []);
  }

  #compare(process: SimulatedProcess, log: Committed[], { index, term }: { index: number; term: number }): void {
    const entry = process.directory.written.entryAt(index);
    if (entry === undefined) return;
    const mine = { term: entry.term, kind: entry.kind, digest: crc32c(entry.data), knownIn: term, entry };
    const known = log[index];
    if (known === undefined) log[index] = mine;
    else if (known.term !== mine.term || known.kind !== mine.kind || known.digest !== mine.digest)
      throw new Violation(
        `I-5: ${process.name} committed ${mine.kind} of term ${mine.term} at ${index}, others ${known.kind} of term ${known.term}`,
      );
  }

  #checkComplete(process: SimulatedProcess, log: readonly (Committed | undefined)[], term: number): void {
    const { written } = process.directory;
    for (let index = Math.max(1, written.firstIndex); index < log.length; index++) {
      const known = log[index];
      const entry = written.entryAt(index);
      if (known !== undefined && known.knownIn < term && (entry === undefined || entry.term !== known.term))
        throw new Violation(`I-4: ${process.name} leads without the committed entry ${index} of term ${known.term}`);
    }
  }
}

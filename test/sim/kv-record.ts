/** What clients of the coordination state asked and heard, all of them together, for the judgement by the log (history/witness.ts). */
import type { ClusterId } from '../../src/model/ids.ts';
import type { KvReply, KvRequest } from '../../src/model/kv.ts';
import { decodeCommand } from '../../src/wire/command/command.ts';
import { decodeKvBatch } from '../../src/wire/kv/batch.ts';
import { CommittedLog } from './checkers/committed-log.ts';
import { type AskedKv, judgeByLog, type KvEntry, type WitnessFigures } from './history/witness.ts';
import type { Simulation } from './simulation.ts';

export interface OpenKv {
  readonly client: number;
  readonly request: KvRequest;
  readonly call: number;
}

export class KvRecord {
  readonly #asked: AskedKv[] = [];
  readonly #open: Set<OpenKv> = new Set();
  #clock = 0;

  /** The first try of it; later ones are the same call. */
  called(client: number, request: KvRequest): OpenKv {
    const open = { client, request, call: this.#clock++ };
    this.#open.add(open);
    return open;
  }

  /** `none`: it was certainly not done. Undefined: nobody knows. */
  ended(open: OpenKv, reply: KvReply | 'none' | undefined): void {
    if (!this.#open.delete(open)) return;
    const end = reply === undefined ? Number.POSITIVE_INFINITY : this.#clock++;
    this.#asked.push({ ...open, return: end, reply });
  }

  /** Throws a violation when the log says otherwise; undefined when nobody has seen the whole log. */
  judge(simulation: Simulation, clusterId: ClusterId | undefined): WitnessFigures | undefined {
    for (const open of this.#open) this.ended(open, undefined);
    const log = logOf(simulation, clusterId);
    return log === undefined ? undefined : judgeByLog(log, this.#asked);
  }
}

/** Everything of it that was ever committed, as it was seen being committed. */
function logOf(simulation: Simulation, clusterId: ClusterId | undefined): KvEntry[] | undefined {
  const committed = simulation.checkers.find((checker) => checker instanceof CommittedLog);
  const entries = committed?.entriesOf(clusterId);
  if (entries === undefined) return undefined;
  return entries.flatMap(({ index, term, kind, data }) => {
    const command = kind === 'command' ? decodeCommand(data) : undefined;
    return command?.kind === 'kv' ? [{ index, term, batch: decodeKvBatch(command.bytes) }] : [];
  });
}

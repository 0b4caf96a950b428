/** Seeds from life: a few simulated minutes of a cluster, and every kind of bytes that its nodes sent and wrote. */
import type { ClusterEffect } from '../../src/cluster/messages.ts';
import type { PersistBatch, SnapshotMeta } from '../../src/model/log.ts';
import { decodePeerFrame } from '../../src/wire/peer/peer-message.ts';
import { quietOptions } from '../sim/options.ts';
import type { SimulatedProcess } from '../sim/process.ts';
import { Simulation } from '../sim/simulation.ts';
import { mustBecome } from '../sim/swarm.ts';
import { Trace } from '../sim/trace.ts';
import { missing } from '../sim/health.ts';

/** More of a kind teach nothing new. */
const EACH_MAX = 60;
/** Longer seeds cost time. */
const BYTES_MAX = 4_096;

export class Harvest {
  readonly frames: Uint8Array[] = [];
  readonly raft: Uint8Array[] = [];
  readonly leases: Uint8Array[] = [];
  readonly configurations: Uint8Array[] = [];
  readonly commands: Uint8Array[] = [];
  readonly batches: PersistBatch[] = [];
  readonly snapshots: { readonly meta: SnapshotMeta; readonly bytes: Uint8Array }[] = [];
  readonly #perKind: Map<string, number> = new Map();

  take(effect: ClusterEffect): void {
    if (effect.kind === 'sendPeer') this.#takeFrame(effect.bytes);
    else if (effect.kind === 'persist') this.#takeBatch(effect.batch);
    else if (effect.kind === 'saveSnapshot' && this.#isWanted('snapshot', 0)) this.snapshots.push(effect);
  }

  #takeFrame(bytes: Uint8Array): void {
    const { message } = decodePeerFrame(bytes);
    if (message.kind === 'raft' && this.#isWanted(`raft ${message.bytes[0]}`, message.bytes.length))
      this.raft.push(message.bytes);
    if (message.kind === 'lease' && this.#isWanted('lease', message.bytes.length)) this.leases.push(message.bytes);
    if (this.#isWanted(`frame ${message.kind}`, bytes.length)) this.frames.push(bytes);
  }

  #takeBatch(batch: PersistBatch): void {
    if (this.#isWanted('batch', 0)) this.batches.push(batch);
    for (const { kind, data } of batch.entries ?? []) {
      if (!this.#isWanted(kind, data.length)) continue;
      if (kind === 'config') this.configurations.push(data);
      else if (kind === 'command') this.commands.push(data);
    }
  }

  #isWanted(kind: string, size: number): boolean {
    const count = this.#perKind.get(kind) ?? 0;
    if (count >= EACH_MAX || size > BYTES_MAX) return false;
    this.#perKind.set(kind, count + 1);
    return true;
  }
}

class HarvestedSimulation extends Simulation {
  readonly harvest: Harvest = new Harvest();

  override onEffect(process: SimulatedProcess, effect: ClusterEffect): void {
    this.harvest.take(effect);
    super.onEffect(process, effect);
  }
}

/** Three voters and a non-voter: founded, one killed and back, one left, the leader stepped down, snapshots on the way. */
export function harvestCluster(): Harvest {
  const options = quietOptions(7, { voters: 3, nonVoters: 1, shards: 64, snapshots: { entries: 10, trailing: 3 } });
  const simulation = new HarvestedSimulation(options, new Trace());
  for (let i = 0; i < 3; i++) simulation.addMachine('voter');
  simulation.addMachine('non-voter');
  for (const machine of simulation.machines) simulation.start(machine);
  const whole = (): number => mustBecome(simulation, 'being whole', () => missing(simulation), 60_000);
  whole();
  for (const machine of simulation.machines) {
    simulation.crash(machine, 'killed');
    simulation.run(4_000);
    simulation.start(machine);
    whole();
    simulation.request(machine, { kind: 'drain' });
    simulation.run(2_000);
    simulation.leave(machine);
    simulation.run(8_000);
    simulation.start(machine);
    whole();
  }
  return simulation.harvest;
}

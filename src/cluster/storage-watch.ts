/**
 * What the disk says: what became durable, what failed, and how much room there is. A voter whose disk is full stays where it is and says
 * so; it gives leadership away (`leader-fitness.ts`), takes part in elections last, and takes no entries once there is none left.
 * raft.md 11.6, R-7.
 */
import { unreachable } from '../base/assert.ts';
import type { MonotonicMs } from '../base/machine.ts';
import { memberId, type NodeId } from '../model/ids.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import { TAG_STORAGE } from '../model/tags.ts';
import type { Binding } from './binding.ts';
import { type Core, notify } from './core.ts';
import type { ClusterEffect, StorageInput } from './messages.ts';

export interface StorageWatchHost {
  core(): Core;
  readonly node: NodeId;
  readonly binding: Binding;
  publish(tags: ReadonlyMap<string, string | undefined>, now: MonotonicMs, effects: ClusterEffect[]): void;
}

export class StorageWatch {
  readonly #host: StorageWatchHost;
  #room: StorageRoom = 'enough';
  #toldRoom: StorageRoom = 'enough';

  constructor(host: StorageWatchHost) {
    this.#host = host;
  }

  get room(): StorageRoom {
    return this.#room;
  }

  step(input: StorageInput, now: MonotonicMs, effects: ClusterEffect[]): void {
    const { core, binding, node } = this.#host;
    const { replica } = core();
    switch (input.kind) {
      case 'persisted':
        if (binding.onPersisted(input.batchSeq, now, effects)) return;
        replica.step({ kind: 'persisted', batchSeq: input.batchSeq }, now, effects);
        return;
      case 'persistFailed':
        replica.step({ kind: 'persistFailed', reason: input.reason }, now, effects);
        effects.push({ kind: 'stop', reason: `the log could not be written: ${input.reason}`, exitCode: 74 });
        return;
      case 'snapshotSaved':
        replica.onSnapshotSaved(input.meta, input.firstIndex, now, effects);
        return;
      case 'snapshotRefused':
        replica.onSnapshotRefused();
        notify({ kind: 'warning', text: `no snapshot was taken: ${input.reason}` }, effects);
        return;
      case 'snapshotInstalled':
        replica.onSnapshotInstalled(input.meta, now, effects);
        return;
      case 'installRefused':
        replica.onInstallRefused(now, effects);
        notify({ kind: 'warning', text: `the leader's snapshot was not taken in: ${input.reason}` }, effects);
        return;
      case 'identified':
        binding.onIdentified(input.clusterId, now, effects);
        return;
      case 'logReset':
        binding.onLogReset(memberId(node, input.stamp), now, effects);
        return;
      case 'room':
        this.#room = input.room;
        return;
      default:
        unreachable(input);
    }
  }

  /** After every input of a node that has started. */
  evaluate(now: MonotonicMs, effects: ClusterEffect[]): void {
    const { replica } = this.#host.core();
    replica.setRoom(this.#room, now, effects);
    if (this.#room !== this.#toldRoom) {
      this.#toldRoom = this.#room;
      const value = this.#room === 'enough' ? undefined : this.#room;
      this.#host.publish(new Map([[TAG_STORAGE, value]]), now, effects);
      notify({ kind: 'storageRoomChanged', room: this.#room }, effects);
    }
  }
}

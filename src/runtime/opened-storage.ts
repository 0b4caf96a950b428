/** Where a running node keeps its log: a data directory, or memory. It changes when the node begins anew as another member. */
import { assert } from '../base/assert.ts';
import { foundingIn } from '../cluster/cluster.ts';
import type { Dissolution } from '../model/dissolution.ts';
import type { NodeId, Stamp } from '../model/ids.ts';
import type { StorageStats } from '../model/node-stats.ts';
import type { StorageRoom } from '../model/storage-room.ts';
import { type DataDirectory, openDataDirectory } from './data-directory.ts';
import { openDefaultDataDirectory } from './data-slots.ts';
import { IdentityMismatchError } from './disk-errors.ts';
import { openMemoryStorage } from './memory-log.ts';
import type { NodeStorage } from './node-storage.ts';

export interface StorageSettings {
  readonly inMemory: boolean;
  /** A slot below `dataRoot` when it is undefined. */
  readonly dataDir: string | undefined;
  readonly dataRoot: string;
  readonly clusterName: string;
  readonly nodeId: NodeId | undefined;
  /** In memory: what comes before the random digits of an id that is not given. */
  readonly idPrefix: string;
}

/** Who hears how much room there is for the log, and that it has failed. */
export interface LogWatcher {
  readonly onRoom: (room: StorageRoom) => void;
  readonly onFailure: (error: Error) => void;
}

export class OpenedStorage {
  #storage: NodeStorage | undefined;
  #directory: DataDirectory | undefined;
  #watcher: LogWatcher = { onRoom: () => undefined, onFailure: () => undefined };

  private constructor(storage: NodeStorage, directory: DataDirectory | undefined) {
    this.#storage = storage;
    this.#directory = directory;
  }

  /** Rejects with what opening a data directory rejects with; then nothing is open or locked. */
  static async open(settings: StorageSettings): Promise<OpenedStorage> {
    const { inMemory, dataDir, dataRoot, clusterName, nodeId, idPrefix } = settings;
    if (inMemory) return new OpenedStorage(openMemoryStorage({ nodeId, idPrefix }), undefined);
    const directory =
      dataDir === undefined
        ? await openDefaultDataDirectory(dataRoot, clusterName, { nodeId })
        : await openDataDirectory(dataDir, { nodeId });
    await refuseOtherCluster(directory, clusterName);
    return new OpenedStorage(directory, directory);
  }

  get current(): NodeStorage {
    assert(this.#storage !== undefined, 'the storage is open for as long as the node runs');
    return this.#storage;
  }

  /** The folder; undefined in memory. */
  get path(): string | undefined {
    return this.#directory?.path;
  }

  get stats(): Readonly<StorageStats> | undefined {
    return this.#storage?.stats();
  }

  /** Sets all data aside and begins anew under the same name, remembering what it dissolved; the new stamp. */
  async startOver(dissolved: Dissolution | undefined): Promise<Stamp> {
    const { nodeId } = this.current;
    if (this.#directory === undefined) {
      await this.current.release();
      // The core remembers for as long as the process runs, and memory lasts no longer.
      this.#storage = openMemoryStorage({ nodeId });
      return this.#storage.stamp;
    }
    this.#directory = await this.#directory.startOver(nodeId, dissolved);
    this.#storage = this.#directory;
    this.#watcher.onRoom('enough');
    this.watch(this.#watcher);
    return this.#directory.stamp;
  }

  /** From now on, whichever log is open. */
  watch(watcher: LogWatcher): void {
    this.#watcher = watcher;
    this.current.log.onRoom(watcher.onRoom);
    this.current.log.onFailure(watcher.onFailure);
  }

  async release(): Promise<void> {
    await this.#storage?.release();
    this.#storage = undefined;
  }
}

/** A cluster keeps the name that it was founded with; under another one its node would go on alone. */
async function refuseOtherCluster(directory: DataDirectory, clusterName: string): Promise<void> {
  const name = foundingIn(directory.log.recovered)?.clusterName ?? clusterName;
  if (name === clusterName) return;
  await directory.release();
  const what = `data directory ${directory.path} belongs to cluster "${name}", not to "${clusterName}"`;
  throw new IdentityMismatchError(`${what}: start the node with --cluster-name ${name}, or in another directory`);
}

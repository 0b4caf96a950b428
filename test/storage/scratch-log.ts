/** A real log on a real disk, in a folder that goes away with it. For measurements. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StorageStats } from '../../src/model/node-stats.ts';
import type { LogStore } from '../../src/ports/log-store.ts';
import { openDataDirectory } from '../../src/runtime/data-directory.ts';
import { CLUSTER } from './log-model.ts';

export interface ScratchLog {
  readonly log: LogStore;
  /** How long opening took, lock and thread included. */
  readonly openMs: number;
  stats(): Readonly<StorageStats>;
  /** Closes and opens again; how long the opening took. */
  reopen(): Promise<ScratchLog>;
  remove(): Promise<void>;
}

export async function openScratchLog(under: string = tmpdir()): Promise<ScratchLog> {
  const folder = mkdtempSync(join(under, 'funknode-bench-'));
  const open = async (): Promise<ScratchLog> => {
    const start = performance.now();
    const directory = await openDataDirectory(folder);
    const openMs = performance.now() - start;
    if (directory.log.clusterId === undefined) await directory.log.identify(CLUSTER);
    return {
      log: directory.log,
      openMs,
      stats: directory.stats,
      reopen: async () => {
        await directory.release();
        return open();
      },
      remove: async () => {
        await directory.release();
        rmSync(folder, { recursive: true, force: true });
      },
    };
  };
  return open();
}

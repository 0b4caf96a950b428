/**
 * Follows a cluster from outside by watching one of its nodes, whichever: when that one is gone or useless, another is asked at once. What was
 * known stays until another node has told its whole picture, so those who look on see changes and no gap.
 */
import { Listeners } from '../base/listeners.ts';
import { type Random, shuffle } from '../base/random.ts';
import type { ClusterPicture, ClusterSource } from '../model/cluster-source.ts';
import { connectManagement, type ManagementClient } from './client.ts';
import { WrongClusterError } from './client-errors.ts';
import { PaintedPicture } from './client-picture.ts';

export interface ClusterWatchOptions {
  /** Where to begin, and where to go back to when no node that was heard of answers; asked anew each time. */
  readonly contacts: () => readonly string[];
  readonly random: Random;
  /** Nodes of another cluster are left alone; the name of the first node that answers unless given. */
  readonly clusterName?: string | undefined;
}

export interface ClusterWatchStats {
  /** Whom it watches, `host:port`; undefined while it looks for somebody. */
  readonly watched: string | undefined;
  /** Why the last attempt or watch ended. */
  readonly lastError: Error | undefined;
  /** Watches that came to a whole picture. */
  readonly watches: number;
}

/** A process on loopback or in the next rack answers in milliseconds; there are others to ask. */
const CONNECT_TIMEOUT_MS = 1_000;
/** From the connection to the whole picture. */
const SYNC_TIMEOUT_MS = 3_000;
/** A host that vanished is noticed after both. */
const KEEPALIVE = { timeMs: 2_000, timeoutMs: 1_000 };
/** Between rounds in which nobody answered; doubles, with chance. */
const ROUND_BACKOFF_MS_MIN = 100;
const ROUND_BACKOFF_MS_MAX = 2_000;
/** Longer than an election. A node that knows no leader for so long may be cut off from the others. */
const LEADERLESS_MS = 3_000;
/** Addresses remembered of nodes that were alive once. */
const KNOWN_MAX = 1_000;

export class ClusterWatch implements ClusterSource {
  readonly #options: ClusterWatchOptions;
  readonly #listeners: Listeners = new Listeners();
  /** Management addresses of members that were alive when last seen, those with a map before those without. */
  #known: readonly string[] = [];
  #picture: ClusterPicture | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;
  /** Of the watch under way. (No composed signals: on Node 20 they outlive their use.) */
  #ending: AbortController | undefined;
  #endPause: () => void = () => undefined;
  #watched: string | undefined;
  #lastError: Error | undefined;
  #watches = 0;

  constructor(options: ClusterWatchOptions) {
    this.#options = options;
  }

  /** Begins, in the background. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the watch and closes its connection. What was known stays to be read. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#ending?.abort();
    this.#endPause();
    this.#listeners.clear();
    await this.#running;
  }

  picture(): ClusterPicture | undefined {
    return this.#picture;
  }

  subscribe(listener: () => void): () => void {
    return this.#listeners.add(listener);
  }

  stats(): ClusterWatchStats {
    return { watched: this.#watched, lastError: this.#lastError, watches: this.#watches };
  }

  async #run(): Promise<void> {
    let backoffMs = ROUND_BACKOFF_MS_MIN;
    let last: string | undefined;
    while (!this.#isClosed) {
      let hasSynced = false;
      for (const address of this.#candidates(last)) {
        hasSynced = await this.#follow(address);
        last = address;
        // After a watch that was whole the list of candidates is a newer one.
        if (hasSynced || this.#isClosed) break;
      }
      if (hasSynced) {
        backoffMs = ROUND_BACKOFF_MS_MIN;
        continue;
      }
      if (this.#isClosed) return;
      await this.#pause(backoffMs * (0.5 + this.#options.random.next()));
      backoffMs = Math.min(2 * backoffMs, ROUND_BACKOFF_MS_MAX);
    }
  }

  /** Nodes that were heard of, in an order of chance so that a lost node's watchers spread; then the contacts; last the one that was just lost. */
  #candidates(last: string | undefined): string[] {
    const heard = [...this.#known];
    shuffle(this.#options.random, heard);
    const all = [...new Set([...heard, ...this.#options.contacts()])];
    return all.length < 2 || last === undefined ? all : [...all.filter((one) => one !== last), last];
  }

  /** Whether there was a whole picture. Never rejects: whatever goes wrong is a reason to ask another. */
  async #follow(address: string): Promise<boolean> {
    const ending = new AbortController();
    const { signal } = ending;
    this.#ending = ending;
    let client: ManagementClient | undefined;
    const painted = new PaintedPicture();
    const timers = new WatchTimers((error) => ending.abort(error));
    try {
      client = await connectManagement(address, { connectTimeoutMs: CONNECT_TIMEOUT_MS, keepalive: KEEPALIVE, signal });
      timers.expectSync(address);
      for await (const change of client.watch({ signal })) {
        painted.take(change);
        this.#checkCluster(painted);
        if (!painted.isSynced) continue;
        if (change.kind === 'synced') this.#onSynced(address, timers);
        this.#show(painted);
        timers.onStatus({ isUseless: isUseless(painted), hasOthers: this.#known.some((one) => one !== address) });
      }
    } catch (error) {
      if (!this.#isClosed) this.#lastError = error as Error;
    } finally {
      timers.clear();
      client?.close();
      this.#watched = undefined;
    }
    return painted.isSynced;
  }

  #onSynced(address: string, timers: WatchTimers): void {
    timers.onSynced();
    this.#watched = address;
    this.#watches += 1;
  }

  #show(painted: PaintedPicture): void {
    this.#picture = painted.picture(this.#picture);
    const alive = painted.members.filter((member) => member.serfState === 'alive' && member.managementAddress !== '');
    const keepsMap = alive.filter((member) => member.kind === 'voter' || member.kind === 'non-voter');
    // Seeds and service nodes know who is there, and no map.
    const useful = keepsMap.length > 0 ? keepsMap : alive;
    this.#known = useful.slice(0, KNOWN_MAX).map((member) => member.managementAddress);
    this.#listeners.call();
  }

  #checkCluster({ status }: PaintedPicture): void {
    const wanted = this.#options.clusterName ?? this.#picture?.clusterName;
    if (status === undefined || wanted === undefined || status.clusterName === wanted) return;
    throw new WrongClusterError(`${status.nodeId} is of cluster "${status.clusterName}", not "${wanted}"`);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#endPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Whether another node would tell more: this one keeps no map, or knows nobody who leads. */
function isUseless({ status }: PaintedPicture): boolean {
  return status === undefined || status.kind === 'non-member' || status.leaderId === '';
}

/** What ends a watch that nothing else ends. */
class WatchTimers {
  readonly #end: (error: Error) => void;
  #sync: NodeJS.Timeout | undefined;
  #useless: NodeJS.Timeout | undefined;

  constructor(end: (error: Error) => void) {
    this.#end = end;
  }

  expectSync(address: string): void {
    this.#sync = setTimeout(() => this.#end(new Error(`${address} did not tell its picture in time`)), SYNC_TIMEOUT_MS);
  }

  onSynced(): void {
    clearTimeout(this.#sync);
  }

  /** An only node stays, however little it knows. */
  onStatus({ isUseless: useless, hasOthers }: { readonly isUseless: boolean; readonly hasOthers: boolean }): void {
    if (useless && hasOthers) {
      this.#useless ??= setTimeout(() => this.#end(new Error('it knows no leader, or keeps no map')), LEADERLESS_MS);
      return;
    }
    clearTimeout(this.#useless);
    this.#useless = undefined;
  }

  clear(): void {
    clearTimeout(this.#sync);
    clearTimeout(this.#useless);
  }
}

/** Performs what a turn of the loop decided: on sockets, links and disk, and posts back what came of it. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, unreachable } from '../base/assert.ts';
import type { ClusterEffect, ClusterInput } from '../cluster/messages.ts';
import type { EtcdRequest } from '../etcd/messages.ts';
import { type Endpoint, formatEndpoint, parseEndpoint } from '../model/endpoint.ts';
import type { Dissolution } from '../model/dissolution.ts';
import { type ClusterId, isClusterId, type LogIndex, type Stamp } from '../model/ids.ts';
import type { LogStore } from '../ports/log-store.ts';
import type { GossipSockets } from './bound-sockets.ts';
import { StorageFullError } from './disk-errors.ts';
import type { EtcdLink } from './etcd-link.ts';
import { writeKeyringFile } from './keyring-file.ts';
import type { Performer } from './node-loop.ts';
import type { PeerLinks } from './peer-links.ts';
import type { UdpSocket } from './udp-socket.ts';

/** Gossip addresses of the others, to find them again after a restart: one `host:port` per line. */
const PEERS_FILE = 'PEERS';
const FOLLOWED_FILE = 'FOLLOWED';

/** What an earlier run remembered; nobody when there is nothing to be read. */
export async function readPeers(folder: string | undefined): Promise<Endpoint[]> {
  if (folder === undefined) return [];
  const text = await readFile(join(folder, PEERS_FILE), 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => parseEndpoint(line) ?? []);
}

/** The cluster that an earlier run followed, if it is known. */
export async function readFollowed(folder: string | undefined): Promise<ClusterId | undefined> {
  if (folder === undefined) return undefined;
  const text = (await readFile(join(folder, FOLLOWED_FILE), 'utf8').catch(() => '')).trimEnd();
  return isClusterId(text) ? text : undefined;
}

export interface ShellParts {
  readonly gossip: GossipSockets;
  /** Undefined on a node that is asked for no echoes and asks for none. */
  readonly liveness: UdpSocket | undefined;
  readonly links: PeerLinks;
  /** The standalone etcd, where one keeps the log. */
  readonly etcd: EtcdLink | undefined;
  /** Where changes of the gossip keyring are kept; undefined for nowhere. */
  readonly keyringFile: string | undefined;
  /** The folder of this node's data; undefined in memory. */
  dataDir(): string | undefined;
  log(): LogStore;
  /** Sets the data aside and opens an empty store; resolves with its stamp. */
  resetLog(dissolved: Dissolution | undefined): Promise<Stamp>;
  post(input: ClusterInput): void;
  stop(reason: string, exitCode: number): void;
}

export class ShellPerformer implements Performer {
  readonly #parts: ShellParts;
  #savedKeyring: Promise<void> = Promise.resolve();
  #remembered: Promise<void> = Promise.resolve();

  constructor(parts: ShellParts) {
    this.#parts = parts;
  }

  sendDatagram({ channel, to, bytes }: Extract<ClusterEffect, { kind: 'sendDatagram' }>): void {
    const socket = channel === 'gossip' ? this.#parts.gossip.udp : this.#parts.liveness;
    socket?.send(to, bytes);
  }

  stream(effect: Extract<ClusterEffect, { kind: 'openStream' | 'sendStream' | 'closeStream' }>): void {
    const { tcp } = this.#parts.gossip;
    if (effect.kind === 'openStream') tcp.open(effect.stream, effect.to);
    else if (effect.kind === 'sendStream') tcp.send(effect.stream, effect.bytes);
    else tcp.close(effect.stream);
  }

  sendPeer({ to, endpoint, bytes }: Extract<ClusterEffect, { kind: 'sendPeer' }>): void {
    this.#parts.links.send(to, endpoint, bytes);
  }

  storage(
    effect: Extract<ClusterEffect, { kind: 'persist' | 'saveSnapshot' | 'installSnapshot' | 'identify' | 'resetLog' }>,
  ): void {
    this.#store(effect).then(
      (input) => this.#parts.post(input),
      (error: unknown) => {
        // Without room for a snapshot the log only stays longer (raft.md 11.6).
        if (error instanceof StorageFullError && effect.kind === 'saveSnapshot')
          this.#parts.post({ kind: 'snapshotRefused', reason: error.message });
        else if (error instanceof StorageFullError && effect.kind === 'installSnapshot')
          this.#parts.post({ kind: 'installRefused', reason: error.message });
        else this.#parts.post(persistFailed(error));
      },
    );
  }

  rememberPeers({ gossip }: Extract<ClusterEffect, { kind: 'rememberPeers' }>): void {
    const folder = this.#parts.dataDir();
    if (folder === undefined) return;
    const text = `${gossip.map(formatEndpoint).join('\n')}\n`;
    this.#remember(join(folder, PEERS_FILE), text);
  }

  rememberCluster({ clusterId }: Extract<ClusterEffect, { kind: 'rememberCluster' }>): void {
    const folder = this.#parts.dataDir();
    if (folder === undefined) return;
    this.#remember(join(folder, FOLLOWED_FILE), `${clusterId}\n`);
  }

  saveKeyring({ save, keys }: Extract<ClusterEffect, { kind: 'saveKeyring' }>): void {
    const { keyringFile } = this.#parts;
    assert(keyringFile !== undefined, 'a core without a keyring file saves none');
    // One after the other: the last change is what must be in the file in the end.
    this.#savedKeyring = this.#savedKeyring
      .then(() => writeKeyringFile(keyringFile, keys))
      .then(
        () => this.#parts.post({ kind: 'keyringSaved', save, error: undefined }),
        (error: unknown) => this.#parts.post({ kind: 'keyringSaved', save, error: messageOf(error) }),
      );
  }

  /** Best effort, the newest last: without these files a node finds the others as it did the first time. */
  #remember(path: string, text: string): void {
    const draft = `${path}.tmp`;
    this.#remembered = this.#remembered
      .then(() => writeFile(draft, text, { mode: 0o600, flush: true }))
      .then(() => rename(draft, path))
      .catch(() => undefined);
  }

  etcd(request: EtcdRequest): void {
    assert(this.#parts.etcd !== undefined, 'a core without an etcd asks none');
    this.#parts.etcd.perform(request);
  }

  stop(reason: string, exitCode: number): void {
    this.#parts.stop(reason, exitCode);
  }

  async #store(
    effect: Extract<ClusterEffect, { kind: 'persist' | 'saveSnapshot' | 'installSnapshot' | 'identify' | 'resetLog' }>,
  ): Promise<ClusterInput> {
    const log = this.#parts.log();
    switch (effect.kind) {
      case 'persist':
        await log.persist(effect.batch);
        return { kind: 'persisted', batchSeq: effect.batch.batchSeq };
      case 'saveSnapshot':
        await log.saveSnapshot(effect.meta, effect.bytes, effect.keepFrom);
        return { kind: 'snapshotSaved', meta: effect.meta, firstIndex: effect.keepFrom as LogIndex };
      case 'installSnapshot':
        await log.installSnapshot(effect.meta, effect.bytes);
        return { kind: 'snapshotInstalled', meta: effect.meta };
      case 'identify':
        await log.identify(effect.clusterId);
        return { kind: 'identified', clusterId: effect.clusterId };
      case 'resetLog':
        return { kind: 'logReset', stamp: await this.#parts.resetLog(effect.dissolved) };
      default:
        return unreachable(effect);
    }
  }
}

function persistFailed(error: unknown): ClusterInput {
  return { kind: 'persistFailed', reason: messageOf(error) };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * The replicated state beside the shard map: how the cluster was founded, whom operators removed, the configuration at
 * the applied index, and the keys and values. A pure function of the log: no clock, no chance (raft.md 13).
 */
import { assert } from '../base/assert.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { crc32c } from '../base/crc32c.ts';
import { DecodeError } from '../base/errors.ts';
import { checkKvImage, Kv } from '../kv/kv.ts';
import type { Boot, ClusterId, LogIndex, MemberId, Term } from '../model/ids.ts';
import { isMemberId, isNodeId, NO_INDEX, NO_TERM } from '../model/ids.ts';
import type { KvReply } from '../model/kv.ts';
import type { Configuration, Entry, RecoveredLog, SnapshotMeta } from '../model/log.ts';
import { EMPTY_CONFIGURATION } from '../model/log.ts';
import { PERMIT_HOLDER_BYTES_MAX, type RestartPermit } from '../model/restart-permit.ts';
import type { Timing } from '../model/timing.ts';
import type { Command } from '../wire/command/command.ts';
import { decodeCommand, readTiming, writeTiming } from '../wire/command/command.ts';
import { decodeKvBatch } from '../wire/kv/batch.ts';
import { decodeConfiguration } from '../wire/raft/entry.ts';

/** Without sections. A state that needs none is written so, for members of older versions have the same digest then. */
const IMAGE_PLAIN = 1;
/** The same, and then sections to the end: a number and a blob each. Numbers are append-only. */
const IMAGE_WITH_SECTIONS = 2;
const SECTION_KV = 1;
const SECTION_PERMIT = 10;
/** Burned names are few: one per removed machine. The oldest goes first. */
const EXCLUDED_MAX = 1024;

export interface Founding {
  readonly clusterName: string;
  readonly createdMs: number;
  readonly shardCount: number;
  /** Undefined in clusters that were founded before there was one: then each node's own settings count. */
  readonly timing?: Timing;
}

/** What applying one entry asks of others. */
export type Applied =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'shard'; readonly bytes: Uint8Array }
  /** One reply for each request in the entry. */
  | { readonly kind: 'kv'; readonly replies: readonly KvReply[] }
  | { readonly kind: 'founded' }
  | { readonly kind: 'configured' }
  | { readonly kind: 'exclusions' }
  /** It was taken, taken again, or has ended. */
  | { readonly kind: 'permit' };

export class AgreedState {
  readonly kv: Kv = new Kv();
  #appliedIndex: LogIndex = NO_INDEX;
  #appliedTerm: Term = NO_TERM;
  #founding: Founding | undefined;
  #configuration: Configuration = EMPTY_CONFIGURATION;
  #configurationIndex: LogIndex = NO_INDEX;
  readonly #excluded: Set<MemberId> = new Set();
  #permit: RestartPermit | undefined;

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get appliedTerm(): Term {
    return this.#appliedTerm;
  }

  get founding(): Founding | undefined {
    return this.#founding;
  }

  get configuration(): Configuration {
    return this.#configuration;
  }

  get configurationIndex(): LogIndex {
    return this.#configurationIndex;
  }

  /** What stands above an image of it. */
  metaFor(clusterId: ClusterId): SnapshotMeta {
    const lastLog = { term: this.#appliedTerm, index: this.#appliedIndex };
    return { clusterId, lastLog, configuration: this.#configuration, configurationIndex: this.#configurationIndex };
  }

  get permit(): RestartPermit | undefined {
    return this.#permit;
  }

  isExcluded(member: MemberId): boolean {
    return this.#excluded.has(member);
  }

  /** Applies the next entry. State and applied index change together, or neither does. */
  apply(entry: Entry): Applied {
    assert(entry.index === this.#appliedIndex + 1, 'entries are applied in order, without gaps');
    const result = this.#effectOf(entry);
    this.#appliedIndex = entry.index;
    this.#appliedTerm = entry.term;
    return result;
  }

  /** Everything a fresh replica needs to continue after `appliedIndex`; `shardImage` is the map's part. */
  image(shardImage: Uint8Array): Uint8Array {
    const out = new ByteWriter(shardImage.length + this.kv.stats.bytes + 1_024);
    this.#writeBase(out, shardImage);
    this.#writePermit(out);
    if (!this.kv.isUntouched) out.u8(SECTION_KV).section((section) => this.kv.writeImage(section));
    return out.finish();
  }

  /** Equal in replicas that hold the same. What it costs does not grow with the keys. */
  digest(shardImage: Uint8Array): number {
    const base = new ByteWriter(shardImage.length + 1_024);
    this.#writeBase(base, shardImage);
    this.#writePermit(base);
    const digest = crc32c(base.finish());
    return this.kv.isUntouched ? digest : crc32c(new ByteWriter(4).u32(this.kv.digest()).finish(), digest);
  }

  #writeBase(out: ByteWriter, shardImage: Uint8Array): void {
    const isPlain = this.kv.isUntouched && this.#permit === undefined;
    out.u8(isPlain ? IMAGE_PLAIN : IMAGE_WITH_SECTIONS);
    writeFounding(out, this.#founding);
    out.varint(this.#excluded.size);
    for (const member of this.#excluded) out.text(member);
    out.blob(shardImage);
  }

  #writePermit(out: ByteWriter): void {
    const permit = this.#permit;
    if (permit === undefined) return;
    out.u8(SECTION_PERMIT).section((section) => {
      section.text(permit.holder).text(permit.node).varint(permit.boot).varint(permit.leaseMs).varint(permit.index);
    });
  }

  /** Replaces everything by an image; returns the map's part. Throws {@link DecodeError}, and then nothing has changed. */
  restore(meta: SnapshotMeta, bytes: Uint8Array): Uint8Array {
    const { founding, excluded, shardImage, kv, permit } = decodeImage(bytes);
    this.#permit = permit;
    if (kv === undefined) this.kv.clear();
    else this.kv.restore(kv);
    this.#appliedIndex = meta.lastLog.index;
    this.#appliedTerm = meta.lastLog.term;
    this.#configuration = meta.configuration;
    this.#configurationIndex = meta.configurationIndex;
    this.#founding = founding;
    this.#excluded.clear();
    for (const member of excluded) this.#excluded.add(member);
    return shardImage;
  }

  #effectOf(entry: Entry): Applied {
    if (entry.kind === 'noop') return { kind: 'nothing' };
    if (entry.kind === 'config') {
      this.#configuration = decodeConfiguration(entry.data);
      this.#configurationIndex = entry.index;
      return { kind: 'configured' };
    }
    return this.#effectOfCommand(entry, decodeCommand(entry.data));
  }

  #effectOfCommand(entry: Entry, command: Command): Applied {
    switch (command.kind) {
      case 'found':
        // Only the first founding counts: a second one cannot change what everybody has relied upon since.
        this.#founding ??= foundingOf(command);
        return { kind: 'founded' };
      case 'shard':
        return { kind: 'shard', bytes: command.bytes };
      case 'kv': {
        const batch = decodeKvBatch(command.bytes);
        return { kind: 'kv', replies: this.kv.apply(entry.index, entry.term, batch) };
      }
      case 'exclude':
        this.#excluded.delete(command.member);
        this.#excluded.add(command.member);
        this.#dropOldestExclusion();
        return { kind: 'exclusions' };
      case 'include':
        this.#excluded.delete(command.member);
        return { kind: 'exclusions' };
      case 'takePermit': {
        const before = this.#permit;
        // Of two that ask at once the first gets it; whoever has it may have it anew.
        if (before !== undefined && before.holder !== command.holder) return { kind: 'nothing' };
        const { holder, node, boot, leaseMs } = command;
        this.#permit = { holder, node, boot, leaseMs, index: entry.index };
        return { kind: 'permit' };
      }
      case 'givePermit': {
        const before = this.#permit;
        if (before?.index !== command.index) return { kind: 'nothing' };
        this.#permit = undefined;
        return { kind: 'permit' };
      }
    }
  }

  #dropOldestExclusion(): void {
    if (this.#excluded.size <= EXCLUDED_MAX) return;
    for (const oldest of this.#excluded) {
      this.#excluded.delete(oldest);
      return;
    }
  }
}

/** Why an image cannot be restored; undefined when it can. */
export function problemOfImage(bytes: Uint8Array): DecodeError | undefined {
  try {
    const { kv } = decodeImage(bytes);
    if (kv !== undefined) checkKvImage(kv);
    return undefined;
  } catch (error) {
    if (error instanceof DecodeError) return error;
    throw error;
  }
}

function decodeImage(bytes: Uint8Array): {
  founding: Founding | undefined;
  excluded: MemberId[];
  shardImage: Uint8Array;
  kv: Uint8Array | undefined;
  permit: RestartPermit | undefined;
} {
  const reader = new ByteReader(bytes);
  const version = reader.u8();
  if (version !== IMAGE_PLAIN && version !== IMAGE_WITH_SECTIONS)
    throw new DecodeError(`state image version ${version} is unknown`);
  const founding = readFounding(reader);
  const count = reader.varint();
  if (count > EXCLUDED_MAX) throw new DecodeError(`${count} exclusions in a state image`);
  const excluded: MemberId[] = [];
  for (let i = 0; i < count; i++) {
    const member = reader.text(128);
    if (!isMemberId(member)) throw new DecodeError('a member id in a state image is malformed');
    excluded.push(member);
  }
  const shardImage = reader.blob();
  let kv: Uint8Array | undefined;
  let permit: RestartPermit | undefined;
  while (version === IMAGE_WITH_SECTIONS && reader.left > 0) {
    const section = reader.u8();
    if (section === SECTION_KV) kv = reader.section();
    else if (section === SECTION_PERMIT) permit = readPermit(reader.section());
    // What another version keeps there cannot be left out: this replica would go another way than the rest.
    else throw new DecodeError(`section ${section} of a state image is unknown`);
  }
  reader.end();
  return { founding, excluded, shardImage, kv, permit };
}

function readPermit(bytes: Uint8Array): RestartPermit {
  const reader = new ByteReader(bytes);
  const holder = reader.text(PERMIT_HOLDER_BYTES_MAX);
  const node = reader.text(64);
  if (!isNodeId(node)) throw new DecodeError('a node id in a state image is malformed');
  const permit = {
    holder,
    node,
    boot: reader.varint() as Boot,
    leaseMs: reader.varint(),
    index: reader.varint() as LogIndex,
  };
  reader.end();
  return permit;
}

function foundingOf({ clusterName, createdMs, shardCount, timing }: Extract<Command, { kind: 'found' }>): Founding {
  return { clusterName, createdMs, shardCount, ...(timing && { timing }) };
}

/** What follows: nothing, a founding, or one with its timing. */
const UNFOUNDED = 0;
const FOUNDED = 1;
const FOUNDED_TIMED = 2;

function writeFounding(out: ByteWriter, founding: Founding | undefined): void {
  if (founding === undefined) {
    out.u8(UNFOUNDED);
    return;
  }
  const { clusterName, createdMs, shardCount, timing } = founding;
  out.u8(timing === undefined ? FOUNDED : FOUNDED_TIMED);
  out.text(clusterName).u64(createdMs).varint(shardCount);
  if (timing !== undefined) writeTiming(out, timing);
}

function readFounding(reader: ByteReader): Founding | undefined {
  const form = reader.u8();
  if (form === UNFOUNDED) return undefined;
  if (form > FOUNDED_TIMED) throw new DecodeError(`form ${form} of a founding is unknown`);
  const founding = { clusterName: reader.text(256), createdMs: reader.u64(), shardCount: reader.varint() };
  return form === FOUNDED ? founding : { ...founding, timing: readTiming(reader) };
}

/**
 * What a recovered log was founded with: in its snapshot, or in its second entry, which nothing can replace. Undefined as well when it
 * cannot be read: whoever restores that state says so.
 */
export function foundingIn({ snapshot, entries }: RecoveredLog): Founding | undefined {
  try {
    if (snapshot !== undefined) return decodeImage(snapshot.bytes).founding;
    const founding = entries[1];
    const command = founding?.kind === 'command' ? decodeCommand(founding.data) : undefined;
    return command?.kind === 'found' ? foundingOf(command) : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/**
 * One direction of a TCP stream, its label and its encryption taken off as the bytes come: label header, then either a sealed
 * message with its length in front, or a plain one. wire-gossip.md 7.2.
 */
import { EMPTY_BYTES } from '../../base/bytes.ts';
import type { DecodeFailure } from './failure.ts';
import {
  type GossipGuard,
  LABEL_HEADER_BYTES,
  labelFailure,
  openStream,
  readLabel,
  SEALED_BYTES_MAX,
  SEALED_HEADER_BYTES,
} from './guard.ts';
import { TYPE_ENCRYPT, TYPE_LABEL } from './messages.ts';
import { StreamDecoder, type StreamProgress } from './stream.ts';

const MORE: StreamProgress = { kind: 'more' };

/** Takes no more after a message or a failure. */
export class GuardedStream {
  readonly #guard: GossipGuard;
  readonly #plain: StreamDecoder = new StreamDecoder();
  #stage: 'label' | 'first' | 'sealed' | 'plain' | 'ended';
  /** What no stage has used yet. Grows by doubling, up to what the sender has announced. */
  #held: Uint8Array = EMPTY_BYTES;
  #size = 0;
  #isEmpty = true;

  /** An answer to a stream that we dialled bears no label. */
  constructor(guard: GossipGuard, side: 'dialled' | 'accepted') {
    this.#guard = guard;
    this.#stage = side === 'accepted' ? 'label' : 'first';
  }

  /** Memory held, for the common limit of all streams. */
  get buffered(): number {
    return this.#held.length + this.#plain.buffered;
  }

  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  push(bytes: Uint8Array): StreamProgress {
    if (this.#stage === 'ended' || bytes.length === 0) return MORE;
    this.#isEmpty = false;
    const progress = this.#stage === 'plain' ? this.#plain.push(bytes) : this.#advance(bytes);
    if (progress.kind !== 'more') this.#end();
    return progress;
  }

  #advance(bytes: Uint8Array): StreamProgress {
    this.#append(bytes);
    if (this.#stage === 'label') {
      const failure = this.#takeLabel();
      if (failure !== undefined) return { kind: 'failed', failure };
    }
    if (this.#stage === 'first') {
      const failure = this.#chooseStage();
      if (failure !== undefined) return { kind: 'failed', failure };
    }
    if (this.#stage === 'sealed') return this.#readSealed();
    if (this.#stage !== 'plain') return MORE;
    const held = this.#held.subarray(0, this.#size);
    this.#release();
    return this.#plain.push(held);
  }

  #takeLabel(): DecodeFailure | undefined {
    const held = this.#held.subarray(0, this.#size);
    if (held.length === 0) return undefined;
    if (held[0] === TYPE_LABEL && held.length < LABEL_HEADER_BYTES + (held[1] ?? 0)) return undefined;
    if (held[0] === TYPE_LABEL && held.length < LABEL_HEADER_BYTES) return undefined;
    const labelled = readLabel(held);
    if ('reason' in labelled) return labelled;
    const failure = labelFailure(labelled.label, this.#guard);
    if (failure !== undefined) return failure;
    this.#held = this.#held.slice(labelled.end, this.#size);
    this.#size = this.#held.length;
    this.#stage = 'first';
    return undefined;
  }

  #chooseStage(): DecodeFailure | undefined {
    if (this.#size === 0) return undefined;
    const isSealed = this.#held[0] === TYPE_ENCRYPT;
    const { keys, verifyIncoming } = this.#guard;
    if (isSealed && keys.length === 0)
      return { reason: 'encrypted', detail: 'remote state is encrypted and encryption is not configured' };
    if (!isSealed && keys.length > 0 && verifyIncoming)
      return { reason: 'notEncrypted', detail: 'encryption is configured but remote state is not encrypted' };
    this.#stage = isSealed ? 'sealed' : 'plain';
    return undefined;
  }

  #readSealed(): StreamProgress {
    if (this.#size < SEALED_HEADER_BYTES) return MORE;
    const size = new DataView(this.#held.buffer, this.#held.byteOffset).getUint32(1);
    if (size > SEALED_BYTES_MAX) return failed('tooLarge', `remote node state is larger than limit (${size})`);
    const end = SEALED_HEADER_BYTES + size;
    if (this.#size < end) return MORE;
    const opened = openStream(this.#held.subarray(0, end), this.#guard);
    if ('failure' in opened) return { kind: 'failed', failure: opened.failure };
    if (opened.plain.length === 0) return failed('empty', 'a message without a type byte');
    const progress = this.#plain.push(opened.plain);
    return progress.kind === 'more' ? failed('badMessage', 'a sealed message is cut off') : progress;
  }

  #append(bytes: Uint8Array): void {
    const size = this.#size + bytes.length;
    if (size > this.#held.length) {
      const grown = new Uint8Array(Math.max(size, Math.min(this.#held.length * 2, size + 1_048_576)));
      grown.set(this.#held.subarray(0, this.#size));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#size);
    this.#size = size;
  }

  #release(): void {
    this.#held = EMPTY_BYTES;
    this.#size = 0;
  }

  #end(): void {
    this.#stage = 'ended';
    this.#release();
  }
}

function failed(reason: 'tooLarge' | 'badMessage' | 'empty', detail: string): StreamProgress {
  return { kind: 'failed', failure: { reason, detail } };
}

/** Who asked something of the coordination state, and the answers of a turn on their way: gathered, and sent together. */
import { ByteWriter } from '../base/bytes.ts';
import type { MonotonicMs } from '../base/machine.ts';
import type { MemberId, RequestId } from '../model/ids.ts';
import type { KvAnswer, KvRefusal } from '../model/kv.ts';
import type { KvTold, PeerMessage } from '../wire/peer/peer-message.ts';
import { writeAnswer } from '../wire/kv/reply.ts';
import type { CarriedRequest } from '../wire/kv/request.ts';
import type { ClusterEffect, KvOutcome } from './messages.ts';

/** With an envelope it fits a frame; who wants more asks a node that has the state itself, or for a part. */
const ANSWER_BYTES_MAX: number = 4 * 1024 * 1024;
/** A frame is closed when it holds so much. */
const FRAME_BYTES = 256 * 1024;

export type Asker =
  | { readonly kind: 'local'; readonly requestId: RequestId }
  /** Another node, under the id that it gave the request. */
  | { readonly kind: 'peer'; readonly from: MemberId; readonly id: number }
  /** The leader itself. */
  | { readonly kind: 'nobody' };

/** A request that was taken and not answered. */
export interface OpenRequest {
  readonly asker: Asker;
  readonly request: CarriedRequest;
  /** How often it had been passed on when it came here. */
  readonly hops: number;
  /** Until then it is tried where it can be done; nothing of it is in any log when it is tried again. */
  readonly deadline: MonotonicMs;
}

export class KvAnswers {
  readonly #send: (to: MemberId, message: PeerMessage, effects: ClusterEffect[]) => void;
  #local: KvOutcome[] = [];
  readonly #peers: Map<MemberId, KvTold[]> = new Map();
  /** Requests that were taken, less those that were answered. */
  open = 0;
  readonly counts = { refused: 0, unknown: 0 };

  constructor(send: (to: MemberId, message: PeerMessage, effects: ClusterEffect[]) => void) {
    this.#send = send;
  }

  get isEmpty(): boolean {
    return this.#local.length === 0 && this.#peers.size === 0;
  }

  /** The one answer of a request that was counted in `open`. */
  give(asker: Asker, answer: KvAnswer): void {
    this.open -= 1;
    this.giveUncounted(asker, answer);
  }

  giveUncounted(asker: Asker, answer: KvAnswer): void {
    if (answer.kind === 'refused') this.counts.refused += 1;
    else if (answer.kind === 'unknown') this.counts.unknown += 1;
    if (asker.kind === 'local') this.#local.push({ requestId: asker.requestId, answer });
    else if (asker.kind === 'peer') {
      const told = this.#peers.get(asker.from);
      if (told === undefined) this.#peers.set(asker.from, [{ id: asker.id, answer }]);
      else told.push({ id: asker.id, answer });
    }
  }

  /** At the end of a turn. */
  flush(effects: ClusterEffect[]): void {
    if (this.#local.length > 0) {
      effects.push({ kind: 'kvAnswers', answers: this.#local });
      this.#local = [];
    }
    if (this.#peers.size === 0) return;
    for (const [peer, told] of this.#peers) this.#flushTo(peer, told, effects);
    this.#peers.clear();
  }

  #flushTo(to: MemberId, told: readonly KvTold[], effects: ClusterEffect[]): void {
    let answers: KvTold[] = [];
    let bytes = 0;
    for (const one of told) {
      const size = sizeOf(one.answer);
      const isTooLarge = size > ANSWER_BYTES_MAX;
      answers.push(
        isTooLarge ? { id: one.id, answer: refused('TOO_LARGE', 'the answer is too large to be passed on') } : one,
      );
      bytes += isTooLarge ? 0 : size;
      if (bytes < FRAME_BYTES) continue;
      this.#send(to, { kind: 'kvAnswer', answers }, effects);
      answers = [];
      bytes = 0;
    }
    if (answers.length > 0) this.#send(to, { kind: 'kvAnswer', answers }, effects);
  }
}

export function refused(code: KvRefusal, reason: string): KvAnswer {
  return { kind: 'refused', code, reason };
}

/** Most answers are a few bytes, and are not measured. */
function sizeOf(answer: KvAnswer): number {
  if (answer.kind !== 'reply' || answer.reply.kind !== 'done') return 64;
  const { result } = answer.reply;
  if (result.kind === 'put' && result.prev === undefined) return 16;
  const out = new ByteWriter(1_024);
  writeAnswer(out, answer);
  return out.size;
}

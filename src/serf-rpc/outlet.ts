/**
 * What goes out on one connection: answers at once, records of streams as fast as the client reads. A stream whose client is slow
 * keeps its last records up to a limit and loses the rest, as an agent's do; it never holds up the node. wire-gossip.md 20.5.
 */
import type { Socket } from 'node:net';

/** As many as an agent buffers for a stream. */
const RECORDS_MAX = 512;
const RECORD_BYTES_MAX = 1024 * 1024;
/** More than this in the socket is for later: it could not be dropped any more. */
const SOCKET_BYTES_MAX = 64 * 1024;

/** One stream on its way out. */
export interface RecordSink {
  /** Queues a record, or drops it when the client is too far behind. */
  push(record: Uint8Array): void;
  /** What is queued still goes out; more is not taken. */
  end(): void;
}

interface Queue {
  readonly records: Uint8Array[];
  /** Says how many were lost, in the stream's own terms; undefined when there is no way to. */
  readonly noticeOf: ((lost: number) => Uint8Array) | undefined;
  bytes: number;
  lost: number;
  isEnded: boolean;
}

export class Outlet {
  readonly #socket: Socket;
  readonly #onLost: () => void;
  readonly #queues: Set<Queue> = new Set();

  /** `onLost` is told of each record that is dropped. */
  constructor(socket: Socket, onLost: () => void) {
    this.#socket = socket;
    this.#onLost = onLost;
    socket.on('drain', () => this.#flush());
  }

  /** Before all records that are queued: a client may be waiting for it. */
  answer(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** The client does not read what it was sent. */
  get isClogged(): boolean {
    return this.#socket.writableLength > SOCKET_BYTES_MAX;
  }

  /** `sizeMax` records wait at most. */
  open(noticeOf?: (lost: number) => Uint8Array, sizeMax: number = RECORDS_MAX): RecordSink {
    const queue: Queue = { records: [], noticeOf, bytes: 0, lost: 0, isEnded: false };
    this.#queues.add(queue);
    return {
      push: (record) => {
        if (queue.isEnded) return;
        if (queue.records.length >= sizeMax || queue.bytes + record.length > RECORD_BYTES_MAX) {
          queue.lost += 1;
          this.#onLost();
          return;
        }
        queue.records.push(record);
        queue.bytes += record.length;
        this.#flush();
      },
      end: () => {
        queue.isEnded = true;
        if (queue.records.length === 0) this.#queues.delete(queue);
      },
    };
  }

  /** Nothing goes out any more. */
  close(): void {
    this.#queues.clear();
  }

  /** One record of each stream in turn, until the socket has enough. */
  #flush(): void {
    for (let isMoving = true; isMoving; ) {
      isMoving = false;
      for (const queue of this.#queues) {
        if (this.#socket.writableLength > SOCKET_BYTES_MAX) return;
        isMoving = this.#sendOne(queue) || isMoving;
      }
    }
  }

  #sendOne(queue: Queue): boolean {
    const record = queue.records.shift();
    if (record === undefined) {
      if (queue.lost > 0 && queue.noticeOf !== undefined) this.answer(queue.noticeOf(queue.lost));
      queue.lost = 0;
      if (queue.isEnded) this.#queues.delete(queue);
      return false;
    }
    queue.bytes -= record.length;
    this.answer(record);
    return true;
  }
}

/** The body of a worker thread: publishes lease and epochs that belong together, over and over, until it is told to stop. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { LogIndex } from '../../../src/model/ids.ts';
import { OwnershipWriter } from '../../../src/runtime/shared-ownership.ts';

export interface WriterData {
  readonly memory: SharedArrayBuffer;
  /** One word; not 0: stop. */
  readonly stop: SharedArrayBuffer;
  readonly shardCount: number;
}

const { memory, stop, shardCount } = workerData as WriterData;
const writer = new OwnershipWriter(memory);
const stopped = new Int32Array(stop);
let writes = 0;
let pauses = 0;
while (Atomics.load(stopped, 0) === 0) {
  writes += 1;
  const epoch = writes as LogIndex;
  // A lease goes with odd epochs only.
  const leaseUntil = writes % 2 === 1 ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  const cluster = { servingEdition: { shardCount }, leaseUntil, serving: () => epoch };
  writer.publish({ isStopped: false, watch: { ahead: 0 }, cluster });
  // A reader finds a whole instant now and then.
  for (let i = 0; i < 2_000; i++) pauses += Atomics.load(stopped, 0);
}
(parentPort as MessagePort).postMessage(writes + pauses * 0);

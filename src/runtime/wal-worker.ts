/**
 * The thread that writes one node's log with synchronous calls (raft.md 12.2): the thread pool of the main loop is shared with name
 * look-ups and the like, and its tail latency is several times worse. Started by `disk-log.ts` only.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { present } from '../base/assert.ts';
import { LogActor } from './disk-log-actor.ts';
import { failureOf } from './disk-log-messages.ts';
import type { LogOpening, LogReply, LogRequest } from './disk-log-messages.ts';
import { SystemDisk } from './system-disk.ts';

/** Quiet for this long after a batch, a seal proves the batch durable (raft.md 11.3). */
const SEAL_AFTER_MS = 5;
/** How often a device without room is looked at. */
const LOOK_FOR_ROOM_MS = 1_000;

run(present(parentPort, 'this module is the body of a worker thread'), workerData as LogOpening);

function run(port: MessagePort, opening: LogOpening): void {
  const host = {
    reply: (reply: LogReply) => port.postMessage(reply, transfersOf(reply)),
    now: () => performance.now(),
  };
  let actor: LogActor;
  try {
    actor = new LogActor(new SystemDisk(), opening, host);
  } catch (error) {
    host.reply({ kind: 'failed', failure: failureOf(error) });
    port.close();
    return;
  }
  let sealTimer: NodeJS.Timeout | undefined;
  let roomTimer: NodeJS.Timeout | undefined;
  let isMakingSpare = false;

  /** Takes all that has come before it writes: what waited together is written together. */
  const work = (): void => {
    do {
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
        actor.submit(next.message as LogRequest);
      }
    } while (actor.step());
    if (actor.isClosed) {
      clearInterval(roomTimer);
      port.close();
      return;
    }
    if (actor.room !== 'enough') roomTimer ??= setInterval(onLook, LOOK_FOR_ROOM_MS);
    else roomTimer = void clearInterval(roomTimer);
    if (actor.wantsSeal) {
      if (sealTimer === undefined) sealTimer = setTimeout(onQuiet, SEAL_AFTER_MS);
      else sealTimer.refresh();
    }
  };
  const onLook = (): void => {
    actor.lookForRoom();
    if (isMakingSpare) work();
    else workOnSpare();
  };
  const onQuiet = (): void => {
    actor.seal();
    if (!isMakingSpare) workOnSpare();
  };
  const workOnSpare = (): void => {
    work();
    isMakingSpare = actor.stepSpare();
    if (isMakingSpare) setImmediate(workOnSpare);
  };
  port.on('message', (request: LogRequest) => {
    actor.submit(request);
    work();
  });
}

/** What was recovered is handed over, not copied. */
function transfersOf(reply: LogReply): ArrayBuffer[] {
  if (reply.kind !== 'opened') return [];
  const buffers = new Set<ArrayBufferLike>(reply.recovered.entries.map(({ data }) => data.buffer));
  if (reply.recovered.snapshot !== undefined) buffers.add(reply.recovered.snapshot.bytes.buffer);
  return [...buffers].filter((buffer): buffer is ArrayBuffer => buffer instanceof ArrayBuffer);
}

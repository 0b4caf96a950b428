/** The thread of a node: runs it whole, and hands on what comes and goes. Started by `thread-node.ts` only. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { present } from './base/assert.ts';
import { LocalNode } from './local-node.ts';
import type { NodeConfig } from './node-config.ts';
import type { AcquireCall } from './ports/shard-hooks.ts';
import { OwnershipWriter } from './runtime/shared-ownership.ts';
import { ThreadHost } from './runtime/thread-host.ts';
import type { ThreadMemory } from './runtime/thread-messages.ts';

/** Given to the thread at its start. */
export interface NodeThreadData {
  readonly config: NodeConfig;
  readonly hasLogger: boolean;
  readonly hasReleaseHook: boolean;
  readonly hasAcquireHook: boolean;
  readonly servesBeforeAcquired: boolean;
  readonly memory: ThreadMemory;
  readonly questions: MessagePort;
}

run(present(parentPort, 'this module is the body of a worker thread'), workerData as NodeThreadData);

function run(main: MessagePort, data: NodeThreadData): void {
  const { config, hasLogger, hasReleaseHook, hasAcquireHook, servesBeforeAcquired, memory, questions } = data;
  const ownership = new OwnershipWriter(memory.ownership);
  const host = new ThreadHost({ main, questions, memory }, () => void node.stop());
  let starting: Promise<void> = Promise.resolve();
  const node = new LocalNode(config, {
    ...(hasLogger && { logger: host.logger() }),
    // Without a hook, too: what the application is doing under the yes of an `owns` in this turn of its loop must have ended.
    onRelease: async (call) => (hasReleaseHook || ownership.isAsking ? await host.release(call) : []),
    ...(hasAcquireHook && { onAcquire: (call: AcquireCall) => host.acquire(call) }),
    servesBeforeAcquired,
    onEvent: (event) => host.tell(event),
    publish: (loop) => ownership.publish(loop),
    onRunning: (handle) => host.run(handle, node.dataDir),
    // A start that failed closes before it says so.
    onClosed: () => void starting.finally(() => host.end()),
  });
  starting = node.start().then(
    () => host.started(undefined),
    (failure: unknown) => host.started({ failure }),
  );
}

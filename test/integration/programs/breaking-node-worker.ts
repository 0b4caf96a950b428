/** The body of a node's thread, with an error that nobody catches: when the node gets a tag of the name `break`. */
import { parentPort } from 'node:worker_threads';
import '../../../src/node-worker.ts';
import type { ToThread } from '../../../src/runtime/thread-messages.ts';

parentPort?.on('message', (message: ToThread) => {
  if (message.kind !== 'call' || message.call.name !== 'setTags' || !message.call.tags.has('break')) return;
  setImmediate(() => {
    throw new Error('broken as asked');
  });
});

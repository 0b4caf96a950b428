/** The loop that drives the node. */
import type { Families } from './families.ts';

export function registerLoop(families: Families): void {
  families.counter('funknode_loop_turns_total', 'Turns of the node loop.', ({ stats }) => stats.loop.turns);
  families.counter(
    'funknode_loop_inputs_total',
    'Inputs that the node has taken in.',
    ({ stats }) => stats.loop.inputs,
  );
  families.counter(
    'funknode_loop_inbox_dropped_total',
    'Inputs dropped because the inbox was full.',
    ({ stats }) => stats.loop.inboxDropped,
  );
  families.gauge(
    'funknode_loop_delay_p99_seconds',
    'How late the event loop runs: 99th percentile of the last 10 s.',
    ({ stats }) => stats.loop.delayP99Ms / 1_000,
  );
}

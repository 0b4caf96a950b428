/** What `serf info` prints: groups of texts, under the names that Serf gave them. wire-gossip.md 20.3. */
import { availableParallelism, cpus } from 'node:os';
import type { NodeHandle } from '../runtime/node-handle.ts';

/** Go's names for what Node calls otherwise; the rest is the same. */
const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' };
const GO_OS: Readonly<Record<string, string>> = { win32: 'windows' };

type Group = ReadonlyMap<string, string>;

/** What an agent tells of itself beside what its handle knows. */
export interface AgentFacts {
  /** As they were configured: `user:deploy=script`, or a script for every event. */
  readonly eventHandlers: readonly string[];
}

export function agentStats(handle: NodeHandle, { eventHandlers }: AgentFacts): ReadonlyMap<string, Group> {
  const { id, members } = handle.view();
  const { serf, swim } = handle.stats();
  const tags = members.find(({ name }) => name === id)?.tags ?? new Map<string, string>();
  return new Map<string, Group>([
    ['agent', new Map([['name', id]])],
    ['runtime', runtimeGroup()],
    [
      'serf',
      texts({
        members: members.length,
        failed: serf.membersFailed,
        left: serf.membersLeft,
        health_score: swim.healthScore,
        member_time: serf.memberClock,
        event_time: serf.eventClock,
        query_time: serf.queryClock,
        intent_queue: serf.intentsQueued,
        event_queue: serf.eventsQueued,
        query_queue: serf.queriesQueued,
        encrypted: swim.encryptionKeys > 0,
        coordinate_resets: serf.coordinate?.resets ?? 0,
      }),
    ],
    ['tags', tags],
    ['event_handlers', new Map(eventHandlers.map((handler) => handlerEntry(handler)))],
  ]);
}

function runtimeGroup(): Group {
  return texts({
    os: GO_OS[process.platform] ?? process.platform,
    arch: GO_ARCH[process.arch] ?? process.arch,
    version: `node${process.version}`,
    max_procs: availableParallelism(),
    // Node has none; what keeps its loop alive is the nearest thing.
    goroutines: process.getActiveResourcesInfo().length,
    cpu_count: cpus().length,
  });
}

function texts(values: Readonly<Record<string, string | number | boolean>>): Group {
  return new Map(Object.entries(values).map(([name, value]) => [name, String(value)]));
}

/** `user:deploy=script` is the script under its filter; a bare script hears everything. */
function handlerEntry(handler: string): [filter: string, script: string] {
  const at = handler.indexOf('=');
  return at === -1 ? ['*', handler] : [handler.slice(0, at), handler.slice(at + 1)];
}

/**
 * `funkctl reachability`: asks all members to say that they hear us, by Serf's `_serf_ping`, and compares who answers with who is said
 * to live. Ends with 0 only when they are the same.
 */
import type { ManagementClient } from '../../../src/client.ts';
import { withNode } from '../connection.ts';
import { EXIT_REFUSED, ExitError } from '../exit-codes.ts';
import type { GlobalOptions } from '../options.ts';
import { printable, printJson, printLine } from '../output.ts';

interface Reached {
  readonly total: number;
  readonly live: readonly string[];
  readonly acked: readonly string[];
  readonly duplicates: readonly string[];
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly seconds: number;
  readonly lastAckSeconds: number;
}

export interface ReachabilityOptions extends GlobalOptions {
  /** One line per acknowledgement, and the times. */
  readonly verbose: boolean;
}

export async function testReachability(options: ReachabilityOptions): Promise<void> {
  const reached = await withNode(options, (client) => ask(client, options));
  if (options.json) printJson(reached);
  else report(reached, options);
  if (reached.missing.length + reached.unexpected.length + reached.duplicates.length > 0)
    throw new ExitError(EXIT_REFUSED, 'the members that answer are not those that are alive');
}

async function ask(client: ManagementClient, { json, verbose }: ReachabilityOptions): Promise<Reached> {
  const { members } = await client.members();
  const gossiped = members.filter(({ serfState }) => serfState !== '');
  const live = gossiped.filter(({ serfState }) => serfState === 'alive').map(({ name }) => name);
  if (!json) {
    printLine(`Total members: ${gossiped.length}, live members: ${live.length}`);
    printLine('Starting reachability test...');
  }
  const acked = new Set<string>();
  const duplicates = new Set<string>();
  const startedAt = performance.now();
  let lastAt = startedAt;
  for await (const message of client.query({ name: '_serf_ping', wantsAck: true })) {
    if (message.kind !== 'ack') continue;
    lastAt = performance.now();
    if (acked.has(message.from)) duplicates.add(message.from);
    acked.add(message.from);
    if (verbose && !json) printLine(`\tAck from '${printable(message.from)}'`);
  }
  return {
    total: gossiped.length,
    live,
    acked: [...acked],
    duplicates: [...duplicates],
    missing: live.filter((name) => !acked.has(name)),
    unexpected: [...acked].filter((name) => !live.includes(name)),
    seconds: (performance.now() - startedAt) / 1_000,
    lastAckSeconds: (lastAt - startedAt) / 1_000,
  };
}

function report(reached: Reached, { verbose }: ReachabilityOptions): void {
  const { duplicates, missing, unexpected, seconds, lastAckSeconds } = reached;
  if (verbose)
    printLine(`Query time: ${seconds.toFixed(2)} sec, time to last response: ${lastAckSeconds.toFixed(2)} sec`);
  for (const name of duplicates) printLine(`Duplicate response from '${printable(name)}'`);
  if (duplicates.length > 0) printLine('Two processes seem to bear one name: every member needs a name of its own.');
  if (unexpected.length > 0) {
    printLine('Members answer that are not said to be alive:');
    printNames(unexpected);
    printLine('They were taken for dead by mistake, or have just come: look for lost packets and overloaded machines.');
  }
  if (missing.length > 0) {
    printLine('Members that are said to be alive do not answer:');
    printNames(missing);
    printLine(
      'They may just have died. If they live, UDP to or from them is lost: look at firewalls, NAT and the addresses that ' +
        'they advertise, and at the load of their machines.',
    );
  }
  if (duplicates.length + unexpected.length + missing.length === 0) printLine('Successfully contacted all live nodes');
}

function printNames(names: readonly string[]): void {
  for (const name of names) printLine(`\t${printable(name)}`);
}

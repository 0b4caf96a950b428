/**
 * Watches a node from outside, without being one: what it is, who is there, and what changes, until the node stops or
 * Ctrl-C. After a build: `node dist/examples/client.js [host:port]`; port 7948 of this host unless named.
 */
import { connectManagement, FunkError, UnreachableError, type WatchChange } from '../src/client.ts';

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

function show(change: WatchChange): void {
  switch (change.kind) {
    case 'status': {
      const { nodeId, state, role, leaderId } = change.status;
      say(`status: ${nodeId} is ${state}, ${role}; leader ${leaderId === '' ? 'unknown' : leaderId}`);
      return;
    }
    case 'members':
      for (const { name, serfState, role } of change.members) say(`member: ${name} ${serfState}, ${role}`);
      return;
    case 'member':
      say(`member: ${change.member.name} ${change.member.serfState}, ${change.member.role}`);
      return;
    case 'memberRemoved':
      say(`member: ${change.name} forgotten`);
      return;
    case 'shardMap': {
      const { version, owners } = change.shardMap;
      say(`map ${version}: ${owners.map((owner) => `${owner.nodeId} ${owner.shardCount}`).join(', ')}`);
      return;
    }
    case 'notice':
      say(`notice: ${change.notice.kind} ${change.notice.text}`);
      return;
    case 'synced':
      say('synced: that was the picture, from here on changes');
      return;
  }
}

async function watch(address: string): Promise<number> {
  const aborter = new AbortController();
  process.once('SIGINT', () => aborter.abort());
  try {
    const client = await connectManagement(address, { signal: aborter.signal });
    try {
      const shard = 4711;
      const { owned, epoch, nodeId } = await client.owns(shard);
      say(`shard ${shard}: ${owned ? `served by ${nodeId}, token ${epoch}` : `not served by ${nodeId}`}`);
      for await (const change of client.watch({ signal: aborter.signal })) show(change);
      return 0;
    } finally {
      client.close();
    }
  } catch (error) {
    if (aborter.signal.aborted) return 0;
    if (!(error instanceof FunkError)) throw error;
    // Every refusal has a stable code; the message is for people.
    process.stderr.write(`${error.code}: ${error.message}\n`);
    return error instanceof UnreachableError ? 3 : 1;
  }
}

process.exitCode = await watch(process.argv[2] ?? '127.0.0.1');

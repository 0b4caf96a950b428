/** What changes mean, in lines: it remembers what was said and says what is new. */
import type { ClusterMember, ClusterShardMap, NodeStatus, WatchChange } from '../../src/client.ts';
import { printable } from './output.ts';

export class WatchNarrator {
  #status: NodeStatus | undefined;
  readonly #members = new Map<string, ClusterMember>();

  linesFor(change: WatchChange): string[] {
    switch (change.kind) {
      case 'status':
        return this.#statusLines(change.status);
      case 'members':
        return this.#allMembers(change.members);
      case 'member':
        return this.#memberLines(change.member);
      case 'memberRemoved':
        this.#members.delete(change.name);
        return [`member ${printable(change.name)} forgotten`];
      case 'shardMap':
        return [mapLine(change.shardMap)];
      case 'shardMapDelta':
        return [`shard map ${change.delta.version} active, told as a change of ${change.delta.sinceVersion}`];
      case 'shardSettings':
        return [`shard settings ${change.settings.version} agreed on`];
      case 'notice':
        return [`${change.notice.kind}: ${printable(change.notice.text)}`];
      case 'synced':
        return [];
    }
  }

  #statusLines(status: NodeStatus): string[] {
    const last = this.#status;
    this.#status = status;
    if (last === undefined) {
      const waiting = waitingLine(status);
      const leader = leaderText(status.leaderId);
      const first = `node ${printable(status.nodeId)} of ${printable(status.clusterName)}: ${status.state}, ${status.role}, term ${status.term}, leader ${leader}`;
      return waiting === undefined ? [first] : [first, waiting];
    }
    const lines: string[] = [];
    if (status.state !== last.state) lines.push(`state ${last.state} -> ${status.state}`);
    if (status.role !== last.role) lines.push(`role ${last.role} -> ${status.role}`);
    if (status.leaderId !== last.leaderId) {
      lines.push(`leader ${leaderText(last.leaderId)} -> ${leaderText(status.leaderId)}, term ${status.term}`);
    }
    if (status.clusterId !== last.clusterId) lines.push(`cluster id ${printable(status.clusterId)}`);
    if (status.holdsLease !== last.holdsLease) lines.push(status.holdsLease ? 'lease held' : 'lease lost');
    if (status.pendingVersion !== last.pendingVersion && status.pendingVersion !== 0) {
      lines.push(`shard map ${status.pendingVersion} proposed`);
    }
    if (status.voterCount !== last.voterCount || status.learnerCount !== last.learnerCount) {
      lines.push(`voters ${status.voterCount}, learners ${status.learnerCount}`);
    }
    const waiting = waitingLine(status);
    if (waiting !== undefined && waiting !== waitingLine(last)) lines.push(waiting);
    return lines;
  }

  #allMembers(members: readonly ClusterMember[]): string[] {
    const names = new Set(members.map((member) => member.name));
    const gone = [...this.#members.keys()].filter((name) => !names.has(name));
    for (const name of gone) this.#members.delete(name);
    return [
      ...gone.map((name) => `member ${printable(name)} forgotten`),
      ...members.flatMap((member) => this.#memberLines(member)),
    ];
  }

  #memberLines(member: ClusterMember): string[] {
    const last = this.#members.get(member.name);
    this.#members.set(member.name, member);
    const name = printable(member.name);
    if (last === undefined) {
      return [`member ${name} ${stateText(member)}, ${member.role}, ${printable(member.address)}`];
    }
    const lines: string[] = [];
    if (stateText(member) !== stateText(last)) lines.push(`member ${name} ${stateText(last)} -> ${stateText(member)}`);
    if (member.role !== last.role) lines.push(`member ${name} ${last.role} -> ${member.role}`);
    const tags = tagChanges(last.tags, member.tags);
    if (tags !== '') lines.push(`member ${name} tags: ${tags}`);
    if (member.address !== last.address) lines.push(`member ${name} moved to ${printable(member.address)}`);
    return lines;
  }
}

function tagChanges(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): string {
  const set = Object.entries(after).filter(([name, value]) => before[name] !== value);
  const removed = Object.keys(before).filter((name) => after[name] === undefined);
  return [...set.map(([name, value]) => `${name}=${value}`), ...removed.map((name) => `-${name}`)]
    .map(printable)
    .join(' ');
}

function stateText(member: ClusterMember): string {
  return member.serfState === '' ? 'forgotten by gossip' : member.serfState;
}

function leaderText(leader: string): string {
  return leader === '' ? 'none' : printable(leader);
}

function waitingLine({ waiting }: NodeStatus): string | undefined {
  if (waiting === null) return undefined;
  const nodes = waiting.nodes.length === 0 ? '' : ` of ${waiting.nodes.map(printable).join(', ')}`;
  return `waiting for ${waiting.reason}${nodes}: ${printable(waiting.advice)}`;
}

function mapLine(map: ClusterShardMap): string {
  const owners = map.owners.map((owner) => `${printable(owner.nodeId)} ${owner.shardCount}`).join(', ');
  return `shard map ${map.version} of ${map.shardCount}: ${owners}`;
}

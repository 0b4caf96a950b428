/**
 * A node's view on its way to another thread: what that thread has already is not sent again. A shard map is a hundred kilobytes, and
 * of a thousand members nothing changes most of the time but when they were last heard.
 */
import { present } from '../base/assert.ts';
import type { MemberView, NodeView } from '../model/node-view.ts';
import type { ShardMap } from '../model/shard-map.ts';

export interface ViewAnswer {
  /** Of what the reader has after this answer; it names it when it asks again. */
  readonly edition: number;
  readonly rest: Omit<NodeView, 'members' | 'shardMap'>;
  /** Undefined: as before. */
  readonly shardMap: { readonly value: ShardMap | undefined } | undefined;
  readonly members: MembersAnswer;
}

type MembersAnswer =
  | { readonly kind: 'all'; readonly members: readonly MemberView[] }
  /** The same members in the same order. */
  | {
      readonly kind: 'changes';
      readonly changed: readonly (readonly [index: number, member: MemberView])[];
      /** Per member; NaN for never. */
      readonly lastHeard: Float64Array;
    };

/** Where the node is. It serves one reader. */
export class ViewSender {
  #edition = 0;
  #sent: NodeView | undefined;

  /** `basis`: the edition that the reader has; 0 for none. */
  answer(view: NodeView, basis: number): ViewAnswer {
    const before = basis === this.#edition ? this.#sent : undefined;
    this.#edition += 1;
    this.#sent = view;
    const { members, shardMap, ...rest } = view;
    return {
      edition: this.#edition,
      rest,
      shardMap: before !== undefined && before.shardMap === shardMap ? undefined : { value: shardMap },
      members: membersAnswer(members, before?.members),
    };
  }
}

/** Where the readers are. */
export class ViewReceiver {
  #edition = 0;
  #view: NodeView | undefined;

  get edition(): number {
    return this.#edition;
  }

  /** The newest view that came. */
  get view(): NodeView {
    return present(this.#view, 'the first view comes before any question');
  }

  /** The node is gone without a last word: it serves nothing. */
  giveUpLease(): void {
    if (this.#view !== undefined) this.#view = { ...this.#view, holdsLease: false };
  }

  take({ edition, rest, shardMap, members }: ViewAnswer): NodeView {
    this.#edition = edition;
    this.#view = {
      ...rest,
      shardMap: shardMap === undefined ? this.#view?.shardMap : shardMap.value,
      members: members.kind === 'all' ? members.members : changedMembers(this.view.members, members),
    };
    return this.#view;
  }
}

function membersAnswer(members: readonly MemberView[], before: readonly MemberView[] | undefined): MembersAnswer {
  const isSameList =
    before?.length === members.length && members.every((member, index) => member.name === before[index]?.name);
  if (before === undefined || !isSameList) return { kind: 'all', members };
  const changed: [number, MemberView][] = [];
  const lastHeard = new Float64Array(members.length);
  for (const [index, member] of members.entries()) {
    lastHeard[index] = member.lastHeard ?? Number.NaN;
    if (!isSame(member, present(before[index], 'the lists are of one length'))) changed.push([index, member]);
  }
  return { kind: 'changes', changed, lastHeard };
}

/** But for when it was last heard. */
function isSame(a: MemberView, b: MemberView): boolean {
  return (
    a.status === b.status &&
    a.tags === b.tags &&
    a.address === b.address &&
    a.versions === b.versions &&
    a.raft === b.raft &&
    a.memberId === b.memberId &&
    a.knownSince === b.knownSince
  );
}

function changedMembers(
  before: readonly MemberView[],
  { changed, lastHeard }: Extract<MembersAnswer, { kind: 'changes' }>,
): MemberView[] {
  const members = [...before];
  for (const [index, member] of changed) members[index] = member;
  return members.map((member, index) => {
    const told = lastHeard[index] ?? Number.NaN;
    const heard = Number.isNaN(told) ? undefined : told;
    return member.lastHeard === heard ? member : { ...member, lastHeard: heard };
  });
}

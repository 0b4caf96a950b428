/**
 * One step of membership: what the configuration becomes, or why not. Pure. Where one voter changes, the majorities of the two
 * configurations share a member, and one entry will do; where more change, the new configuration is joint, and every decision needs
 * a majority of the old voters and one of the new, until it is left (dissertation 4.3). The leader adds its own guard (raft.md 9.2
 * rule 2, P-32).
 */
import { unreachable } from '../base/assert.ts';
import type { MemberId } from '../model/ids.ts';
import type { Configuration } from '../model/log.ts';
import type { MembershipChange, RaftRefusal } from './messages.ts';
import { isJoint, majorityOf } from './quorum.ts';

export type ChangePlan =
  | { readonly kind: 'change'; readonly configuration: Configuration }
  /** It is so already. */
  | { readonly kind: 'none' }
  | { readonly kind: 'refused'; readonly code: RaftRefusal; readonly reason: string };

export interface ChangeContext {
  readonly leader: MemberId;
  readonly learnersMax: number;
  /** A round of replication to this learner has lately ended within an election timeout (raft.md 9.3). */
  isCaughtUp(learner: MemberId): boolean;
}

export function planChange(from: Configuration, change: MembershipChange, context: ChangeContext): ChangePlan {
  if (isJoint(from)) return refuse('CONFIG_PENDING', 'the configuration is joint');
  if (change.kind === 'exchange') return planExchange(from, change, context);
  const { member } = change;
  const isVoter = from.voters.includes(member);
  const isLearner = from.learners.includes(member);
  switch (change.kind) {
    case 'addLearner':
      if (isVoter) return refuse('INVALID_CHANGE', `${member} is a voter already`);
      if (isLearner) return { kind: 'none' };
      if (from.learners.length >= context.learnersMax) {
        return refuse('INVALID_CHANGE', `there are ${from.learners.length} learners already`);
      }
      return to(from, { learners: [...from.learners, member] });
    case 'promote':
      if (isVoter) return { kind: 'none' };
      if (!isLearner) return refuse('INVALID_CHANGE', `${member} is not a learner`);
      if (!context.isCaughtUp(member)) return refuse('NOT_READY', `${member} has not caught up`);
      return to(from, { voters: [...from.voters, member], learners: without(from.learners, member) });
    case 'demote':
      if (isLearner) return { kind: 'none' };
      if (!isVoter) return refuse('INVALID_CHANGE', `${member} is not a voter`);
      return withoutVoter(from, member, context, [...from.learners, member]);
    case 'remove':
      if (isLearner) return to(from, { learners: without(from.learners, member) });
      if (!isVoter) return { kind: 'none' };
      return withoutVoter(from, member, context, from.learners);
    default:
      return unreachable(change);
  }
}

/** Both lists at once; with one voter in all it is the single step that it could have been. */
function planExchange(
  from: Configuration,
  { promote, remove }: Extract<MembershipChange, { kind: 'exchange' }>,
  context: ChangeContext,
): ChangePlan {
  const added = promote.filter((member) => !from.voters.includes(member));
  const stranger = remove.find((member) => !from.voters.includes(member));
  if (stranger !== undefined) return refuse('INVALID_CHANGE', `${stranger} is not a voter`);
  for (const member of added) {
    if (!from.learners.includes(member)) return refuse('INVALID_CHANGE', `${member} is not a learner`);
    if (!context.isCaughtUp(member)) return refuse('NOT_READY', `${member} has not caught up`);
  }
  if (remove.includes(context.leader))
    return refuse('INVALID_CHANGE', `${context.leader} leads; transfer leadership first`);
  if (remove.length >= majorityOf(from.voters.length))
    return refuse('INVALID_CHANGE', `${remove.length} of ${from.voters.length} voters are too many for one step`);
  if (added.length + remove.length === 0) return { kind: 'none' };
  const voters = [...from.voters.filter((voter) => !remove.includes(voter)), ...added];
  const learners = from.learners.filter((learner) => !added.includes(learner));
  if (added.length + remove.length === 1) return to(from, { voters, learners });
  return to({ ...from, votersOutgoing: from.voters, autoLeave: true }, { voters, learners });
}

/** What a joint configuration becomes when its own entry is committed (raft.md 9.2 rule 4). */
export function leftJoint(joint: Configuration): Configuration {
  const { voters, learners, learnersNext } = joint;
  const all = [...new Set([...learners, ...learnersNext])].sort();
  return { voters, votersOutgoing: [], learners: all, learnersNext: [], autoLeave: false };
}

/** A leader that took its own vote would be the last to know: it hands over first (raft.md 9.2 rule 6, P-70). */
function withoutVoter(
  from: Configuration,
  member: MemberId,
  context: ChangeContext,
  learners: readonly MemberId[],
): ChangePlan {
  if (from.voters.length === 1) return refuse('INVALID_CHANGE', `${member} is the only voter`);
  if (member === context.leader) return refuse('INVALID_CHANGE', `${member} leads; transfer leadership first`);
  return to(from, { voters: without(from.voters, member), learners });
}

function to(from: Configuration, lists: Partial<Pick<Configuration, 'voters' | 'learners'>>): ChangePlan {
  const { voters, learners } = { ...from, ...lists };
  return { kind: 'change', configuration: { ...from, voters: [...voters].sort(), learners: [...learners].sort() } };
}

function without(members: readonly MemberId[], member: MemberId): MemberId[] {
  return members.filter((other) => other !== member);
}

function refuse(code: RaftRefusal, reason: string): ChangePlan {
  return { kind: 'refused', code, reason };
}

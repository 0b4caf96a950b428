/** A view that goes to another thread in parts is the view. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import type { MemberView, NodeView } from '../../src/model/node-view.ts';
import { ViewReceiver, ViewSender } from '../../src/runtime/thread-view.ts';
import { fakeMember, fakeShardMap, fakeView } from '../fake-node-handle.ts';

type Change =
  | { readonly kind: 'heard'; readonly at: number; readonly lastHeard: number | undefined }
  | { readonly kind: 'failed' | 'tagged' | 'left'; readonly at: number }
  | { readonly kind: 'joined'; readonly name: string }
  | { readonly kind: 'mapped' | 'unmapped' }
  /** An answer is lost: the asker gave up waiting. */
  | { readonly kind: 'lost' };

const at: fc.Arbitrary<number> = fc.nat(20);
const change: fc.Arbitrary<Change> = fc.oneof(
  fc.record({ kind: fc.constant('heard' as const), at, lastHeard: fc.option(fc.nat(), { nil: undefined }) }),
  fc.record({ kind: fc.constantFrom('failed' as const, 'tagged' as const, 'left' as const), at }),
  fc.record({ kind: fc.constant('joined' as const), name: fc.stringMatching(/^[a-z]{1,3}$/) }),
  fc.record({ kind: fc.constantFrom('mapped' as const, 'unmapped' as const) }),
  fc.record({ kind: fc.constant('lost' as const) }),
);

function after(view: NodeView, one: Change): NodeView {
  const replaced = (index: number, change: (member: MemberView) => MemberView[]): NodeView => {
    const place = index % Math.max(1, view.members.length);
    return { ...view, members: view.members.flatMap((member, i) => (i === place ? change(member) : [member])) };
  };
  switch (one.kind) {
    case 'heard':
      return replaced(one.at, (member) => [{ ...member, lastHeard: one.lastHeard }]);
    case 'failed':
      return replaced(one.at, (member) => [{ ...member, status: 'failed' }]);
    case 'tagged':
      return replaced(one.at, (member) => [{ ...member, tags: new Map([...member.tags, ['zone', String(one.at)]]) }]);
    case 'left':
      return replaced(one.at, () => []);
    case 'joined': {
      const others = view.members.filter(({ name }) => name !== one.name);
      const members = [...others, fakeMember({ name: one.name })].sort((a, b) => (a.name < b.name ? -1 : 1));
      return { ...view, members };
    }
    case 'mapped':
      return { ...view, shardMap: fakeShardMap(['n1', 'n2'], 10, 60) };
    case 'unmapped':
      return { ...view, shardMap: undefined };
    case 'lost':
      return view;
  }
}

describe('a view on its way to another thread', () => {
  it('arrives as it was, whatever changed since the one before, and whichever answer was lost', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const sender = new ViewSender();
        const receiver = new ViewReceiver();
        let view = fakeView({ id: 'n1' });
        assert.deepEqual(receiver.take(structuredClone(sender.answer(view, 0))), view);
        for (const one of changes) {
          view = after(view, one);
          const answer = structuredClone(sender.answer(view, receiver.edition));
          if (one.kind !== 'lost') assert.deepEqual(receiver.take(answer), view);
        }
      }),
    );
  });

  it('brings neither the map nor members along that the other side has', () => {
    const sender = new ViewSender();
    const view = { ...fakeView({ id: 'n1' }), shardMap: fakeShardMap(['n1'], 10, 60) };
    const { edition } = sender.answer(view, 0);
    const [first, ...others] = view.members;
    assert.ok(first !== undefined);
    const again = sender.answer({ ...view, members: [{ ...first, lastHeard: 77 }, ...others] }, edition);
    assert.equal(again.shardMap, undefined);
    assert.ok(again.members.kind === 'changes');
    assert.deepEqual(again.members.changed, []);
    assert.equal(again.members.lastHeard[0], 77);
  });
});

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { EndpointBook } from '../../src/cluster/endpoint-book.ts';
import type { Member, MemberStatus } from '../../src/model/member.ts';

function member(status: MemberStatus, tags: Readonly<Record<string, string>>): Member {
  return {
    name: 'n1',
    address: { host: '127.0.0.1', port: 7946 },
    status,
    tags: new Map(Object.entries(tags)),
    tagsComplete: true,
    versions: [1, 5, 2, 2, 5, 5],
  };
}

describe('the book of endpoints', () => {
  it('tells what a member adds, changes and withdraws, and nothing of what stays', () => {
    const book = new EndpointBook();
    const told = (status: MemberStatus, tags: Readonly<Record<string, string>>): string[] =>
      book.note(member(status, tags)).map(({ change, name, endpoint }) => `${change} ${name} ${endpoint.port}`);
    assert.deepEqual(told('alive', { 'ep.a': 'h:1', 'ep.b': 'h:2', zone: 'x', 'ep.bad': 'nonsense' }), [
      'added ep.a 1',
      'added ep.b 2',
    ]);
    assert.deepEqual(told('alive', { 'ep.a': 'h:1', 'ep.b': 'h:2' }), []);
    assert.deepEqual(told('leaving', { 'ep.a': 'h:3', 'ep.c': 'h:4' }), [
      'changed ep.a 3',
      'added ep.c 4',
      'removed ep.b 2',
    ]);
    assert.deepEqual(told('failed', { 'ep.a': 'h:3', 'ep.c': 'h:4' }), ['removed ep.a 3', 'removed ep.c 4']);
    assert.deepEqual(told('left', { 'ep.a': 'h:3' }), []);
    assert.deepEqual(told('alive', { 'ep.a': 'h:3' }), ['added ep.a 3']);
  });
});

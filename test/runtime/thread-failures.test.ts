/** Errors that cross a thread are what they were. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FunkError } from '../../src/base/errors.ts';
import type { NodeId } from '../../src/model/ids.ts';
import { ConfigError } from '../../src/node-config.ts';
import { EndpointUnusableError } from '../../src/runtime/bound-sockets.ts';
import { NotLeaderError, UnknownNodeError } from '../../src/runtime/handle-errors.ts';
import { errorFrom, failureOf } from '../../src/runtime/thread-failures.ts';

const KNOWN = [ConfigError, NotLeaderError, UnknownNodeError];

function across(error: unknown): Error {
  return errorFrom(structuredClone(failureOf(error)), KNOWN);
}

describe('an error that crosses a thread', () => {
  it('keeps class, code, message, stack and fields', () => {
    const sent = [
      new ConfigError(['tag: no', 'join: no']),
      new NotLeaderError('n2' as NodeId),
      new NotLeaderError(undefined),
      new UnknownNodeError('n9' as NodeId, 'nobody knows it'),
    ];
    for (const error of sent) {
      const come = across(error);
      assert.equal(come.constructor, error.constructor);
      assert.ok(come instanceof FunkError);
      assert.deepEqual({ ...come }, { ...error });
      assert.deepEqual([come.message, come.stack, come.name], [error.message, error.stack, error.name]);
      assert.equal(String(come), String(error));
    }
  });

  it('keeps code and exit code when its class is not known there, and what the system said', () => {
    const cause = Object.assign(new Error('bind EADDRINUSE 127.0.0.1:7946'), { code: 'EADDRINUSE', port: 7946 });
    const error = new EndpointUnusableError('serf-endpoint', { host: '127.0.0.1', port: 7946 }, cause);
    const come = across(error);
    assert.ok(come instanceof FunkError);
    assert.deepEqual([come.name, come.code], ['EndpointUnusableError', 'FUNK_ENDPOINT_UNUSABLE']);
    assert.equal((come as FunkError & { exitCode?: unknown }).exitCode, 78);
    assert.match(come.message, /the port is taken/);
    assert.deepEqual({ ...(come.cause as object) }, { code: 'EADDRINUSE', port: 7946 });
    assert.equal((come.cause as Error).message, 'bind EADDRINUSE 127.0.0.1:7946');
  });

  it('is a plain error when it was one, whatever was thrown and whatever it carries', () => {
    const odd = Object.assign(new TypeError('odd'), { callback: () => 1, socket: { destroy: () => 2 } });
    assert.deepEqual([across(odd).name, across(odd).message], ['TypeError', 'odd']);
    assert.equal(across(odd) instanceof FunkError, false);
    assert.equal(across('text').message, 'text');
    assert.equal(across(undefined).message, 'undefined');
    const ring = new Error('one');
    ring.cause = new Error('two', { cause: ring });
    assert.equal((across(ring).cause as Error).message, 'two');
  });
});

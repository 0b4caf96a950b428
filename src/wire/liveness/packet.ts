/**
 * The packets of the liveness check. A question is 16 bytes that nobody else can foresee; whoever is alive sends them back.
 * clusterfunk asks with any two bytes and takes any answer; its endpoint sends back the first two bytes of whatever it is
 * asked. So the first two bytes of our question are unforeseeable by themselves. The two after them say whether a packet
 * is a question or its echo: an endpoint that also asks must never echo an echo, or two of them would do so for ever.
 */
import { createHmac } from 'node:crypto';
import { utf8 } from '../../base/bytes.ts';

/** Length of our questions and of their echoes. */
export const QUESTION_BYTES = 16;
/** What a clusterfunk endpoint sends back of it. */
export const SHORT_ECHO_BYTES = 2;
/** Nothing longer is echoed: a liveness packet is short, and this is no service for reflecting traffic. */
export const ECHOED_BYTES_MAX = 32;

const MARK_AT = 2;
const QUESTION_MARK: readonly [number, number] = [0xf1, 0x3f];
const ECHO_MARK: readonly [number, number] = [0xf1, 0x21];

/** The question number `sequence` to `id`: a keyed digest, so that no peer learns from its own questions what others are asked. */
export function makeQuestion(secret: Uint8Array, id: string, sequence: number): Uint8Array {
  const digest = createHmac('sha256', secret)
    .update(utf8(`${sequence}/${id}`))
    .digest();
  const bytes = new Uint8Array(digest.subarray(0, QUESTION_BYTES));
  bytes.set(QUESTION_MARK, MARK_AT);
  return bytes;
}

/** What an endpoint answers: never more bytes than it was asked with; undefined when this is nothing to answer. */
export function echoOf(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === 0 || bytes.length > ECHOED_BYTES_MAX || isWholeEcho(bytes)) return undefined;
  const echo = bytes.slice();
  if (isMarked(bytes, QUESTION_MARK)) echo.set(ECHO_MARK, MARK_AT);
  return echo;
}

/** Whether this is the echo that one of our endpoints gives to one of our questions; whose question is another matter. */
export function isWholeEcho(bytes: Uint8Array): boolean {
  return isMarked(bytes, ECHO_MARK);
}

/** Whether `echo`, whole or short, answers `question`. */
export function isEchoOf(echo: Uint8Array, question: Uint8Array): boolean {
  const whole = isWholeEcho(echo);
  if (!whole && echo.length !== SHORT_ECHO_BYTES) return false;
  for (let i = 0; i < echo.length; i++) {
    const isMark = i === MARK_AT || i === MARK_AT + 1;
    if (!isMark && echo[i] !== question[i]) return false;
  }
  return true;
}

function isMarked(bytes: Uint8Array, mark: readonly [number, number]): boolean {
  return bytes.length === QUESTION_BYTES && bytes[MARK_AT] === mark[0] && bytes[MARK_AT + 1] === mark[1];
}

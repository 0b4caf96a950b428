/**
 * Frames of one turn to one peer travel as one message of the stream: a message costs sender and receiver as much as all that is in it.
 * One frame travels as it is. Several are a byte that no frame begins with, and each frame with its length in front.
 */
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { DecodeError } from '../../base/errors.ts';

const BATCH = 0xb0;
/** More than a turn sends to one peer; a hostile one must not make a million frames of a few megabytes. */
export const BATCH_FRAMES_MAX = 256;

export function encodePeerBatch(frames: readonly Uint8Array[]): Uint8Array {
  const [first] = frames;
  if (frames.length === 1 && first !== undefined) return first;
  let bytes = 1;
  for (const frame of frames) bytes += frame.length + 5;
  const writer = new ByteWriter(bytes).u8(BATCH);
  for (const frame of frames) writer.blob(frame);
  return writer.finish();
}

/** The frames of one message. What follows a broken length, or one frame too many, is one frame that nobody can read. */
export function splitPeerBatch(bytes: Uint8Array): Uint8Array[] {
  if (bytes[0] !== BATCH) return [bytes];
  const reader = new ByteReader(bytes);
  reader.u8();
  const frames: Uint8Array[] = [];
  try {
    while (reader.left > 0 && frames.length < BATCH_FRAMES_MAX) frames.push(reader.blob());
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    frames.push(new Uint8Array(0));
    return frames;
  }
  if (reader.left > 0) frames.push(new Uint8Array(0));
  return frames;
}

/** The network coordinate on an ack: a version byte and a map, durations in seconds. wire-gossip.md 18.3. */
import { DecodeError } from '../../base/errors.ts';
import type { NetworkCoordinate } from '../../model/gossip-request.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import type { SerfDecodeFailure } from './messages.ts';

const VERSION = 1;
/** Room to tell a wrong dimension from nonsense. */
const DIMENSIONS_MAX = 64;

interface Fields {
  readonly Adjustment: number;
  readonly Error: number;
  readonly Height: number;
  readonly Vec: readonly number[];
}

const ZERO: Fields = { Adjustment: 0, Error: 0, Height: 0, Vec: [] };

export function encodeCoordinatePayload({ adjustment, error, height, vec }: NetworkCoordinate): Uint8Array {
  const out = new MsgpackWriter(160).u8(VERSION).mapHeader(4);
  out.text('Adjustment').float64(adjustment).text('Error').float64(error).text('Height').float64(height);
  out.text('Vec').arrayHeader(vec.length);
  for (const part of vec) out.float64(part);
  return out.finish();
}

/** The door: never throws. Whether the numbers make sense is for the reader to judge. */
export function decodeCoordinatePayload(
  bytes: Uint8Array,
): { readonly kind: 'coordinate'; readonly coordinate: NetworkCoordinate } | SerfDecodeFailure {
  try {
    const reader = new MsgpackReader(bytes);
    const version = reader.byte();
    if (version !== VERSION) return { kind: 'undecodable', reason: `coordinate payload of version ${version}` };
    const { Adjustment, Error, Height, Vec } = reader.struct<Fields>(
      {
        Adjustment: (r) => r.float64(),
        Error: (r) => r.float64(),
        Height: (r) => r.float64(),
        Vec: (r) => r.array((item) => item.float64(), DIMENSIONS_MAX),
      },
      ZERO,
    );
    return { kind: 'coordinate', coordinate: { vec: Vec, error: Error, adjustment: Adjustment, height: Height } };
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}

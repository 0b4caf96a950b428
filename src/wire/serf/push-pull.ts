/** The user state that Serf adds to memberlist's push/pull. wire-gossip.md 13.3. */
import { DecodeError } from '../../base/errors.ts';
import { MsgpackReader } from '../msgpack/reader.ts';
import { MsgpackWriter } from '../msgpack/writer.ts';
import { readLamportTime, SERF_TYPE, type SerfDecodeFailure } from './messages.ts';

export interface RecentEvent {
  readonly name: string;
  readonly payload: Uint8Array | undefined;
}

/** All user events of one Lamport time. */
export interface EventSlot {
  readonly lamportTime: number;
  readonly events: readonly RecentEvent[];
}

export interface PushPullState {
  readonly kind: 'pushPull';
  readonly memberTime: number;
  readonly eventTime: number;
  readonly queryTime: number;
  /** Serf's agents send 512 slots, mostly empty (undefined). We send the filled ones. Undefined as a whole is the wire's nil. */
  readonly events: readonly (EventSlot | undefined)[] | undefined;
  readonly leftMembers: readonly string[];
  /** The Lamport time of every known member's status. */
  readonly statusTimes: ReadonlyMap<string, number>;
}

/** Slots that are read from one state; Serf's ring has 512, an operator may have configured more. */
const SLOTS_MAX = 65_536;

export function encodePushPull(state: PushPullState): Uint8Array {
  const out = new MsgpackWriter(1024).u8(SERF_TYPE.pushPull).mapHeader(6);
  out.text('EventLTime').int(state.eventTime).text('Events');
  if (state.events === undefined) out.nil();
  else {
    out.arrayHeader(state.events.length);
    for (const slot of state.events) writeSlot(out, slot);
  }
  out.text('LTime').int(state.memberTime).text('LeftMembers').arrayHeader(state.leftMembers.length);
  for (const name of state.leftMembers) out.text(name);
  out.text('QueryLTime').int(state.queryTime).text('StatusLTimes').mapHeader(state.statusTimes.size);
  for (const [name, time] of state.statusTimes) out.text(name).int(time);
  return out.finish();
}

/** The door: never throws. */
export function decodePushPull(bytes: Uint8Array): PushPullState | SerfDecodeFailure {
  try {
    const reader = new MsgpackReader(bytes);
    const type = reader.byte();
    if (type !== SERF_TYPE.pushPull) throw new DecodeError(`push/pull state begins with type ${type}`);
    const raw = reader.struct<RawState>(STATE, NO_STATE);
    return {
      kind: 'pushPull',
      memberTime: raw.LTime,
      eventTime: raw.EventLTime,
      queryTime: raw.QueryLTime,
      events: raw.Events,
      leftMembers: raw.LeftMembers,
      statusTimes: raw.StatusLTimes,
    };
  } catch (error) {
    if (error instanceof DecodeError) return { kind: 'undecodable', reason: error.message };
    throw error;
  }
}

function writeSlot(out: MsgpackWriter, slot: EventSlot | undefined): void {
  if (slot === undefined) {
    out.nil();
    return;
  }
  out.mapHeader(2).text('Events').arrayHeader(slot.events.length);
  for (const { name, payload } of slot.events) {
    out.mapHeader(2).text('Name').text(name).text('Payload').bytesOrNil(payload);
  }
  out.text('LTime').int(slot.lamportTime);
}

function readSlot(reader: MsgpackReader): EventSlot | undefined {
  if (reader.isNil()) return undefined;
  const slot = reader.struct<RawSlot>(
    { LTime: readLamportTime, Events: (r) => r.array(readEvent) },
    { LTime: 0, Events: [] },
  );
  return { lamportTime: slot.LTime, events: slot.Events };
}

function readEvent(reader: MsgpackReader): RecentEvent {
  const raw = reader.struct<RawEvent>(
    { Name: (r) => r.text(), Payload: (r) => r.bytesOrNil() },
    { Name: '', Payload: undefined },
  );
  return { name: raw.Name, payload: raw.Payload };
}

function readStatusTimes(reader: MsgpackReader): ReadonlyMap<string, number> {
  const count = reader.mapHeader() ?? 0;
  const times = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const name = reader.text();
    times.set(name, readLamportTime(reader));
  }
  return times;
}

interface RawEvent {
  readonly Name: string;
  readonly Payload: Uint8Array | undefined;
}

interface RawSlot {
  readonly LTime: number;
  readonly Events: readonly RecentEvent[];
}

interface RawState {
  readonly EventLTime: number;
  readonly Events: readonly (EventSlot | undefined)[] | undefined;
  readonly LTime: number;
  readonly LeftMembers: readonly string[];
  readonly QueryLTime: number;
  readonly StatusLTimes: ReadonlyMap<string, number>;
}

const STATE = {
  EventLTime: readLamportTime,
  Events: (reader: MsgpackReader): (EventSlot | undefined)[] | undefined =>
    reader.isNil() ? undefined : reader.array(readSlot, SLOTS_MAX),
  LTime: readLamportTime,
  LeftMembers: (reader: MsgpackReader): string[] => reader.array((r) => r.text()),
  QueryLTime: readLamportTime,
  StatusLTimes: readStatusTimes,
};
const NO_STATE: RawState = {
  EventLTime: 0,
  Events: undefined,
  LTime: 0,
  LeftMembers: [],
  QueryLTime: 0,
  StatusLTimes: new Map(),
};

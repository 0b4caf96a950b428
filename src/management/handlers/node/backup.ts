/** funk.v1 Backup: the pieces of a backup file, as fast as the caller reads them. Any node may be asked, in any state. */
import { once } from 'node:events';
import { type handleServerStreamingCall, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { BackupRequest__Output } from '../../../gen/funk/v1/BackupRequest.ts';
import type { BackupResponse } from '../../../gen/funk/v1/BackupResponse.ts';
import { StoppedError } from '../../../runtime/handle-errors.ts';
import { encodeBackup } from '../../../wire/raft/backup-file.ts';
import { CallerGoneError, StreamLimitError } from '../../errors.ts';
import type { OpenStreams } from '../../open-streams.ts';
import { type HandlerContext, reportUnforeseen } from '../../rpc.ts';
import { grpcStatus, statusResponse } from '../../status.ts';

const METHOD = 'funk.v1.Node/Backup';
/** A caller that reads nothing for so long is cut: what is copied for it stays in memory meanwhile. */
const STALLED_MS_MAX = 30_000;

type BackupCall = ServerWritableStream<BackupRequest__Output, BackupResponse>;

export function backup(
  context: HandlerContext,
  streams: OpenStreams,
): handleServerStreamingCall<BackupRequest__Output, BackupResponse> {
  return (call) => {
    const aborter = new AbortController();
    const leave = streams.enter({ end: () => aborter.abort(new StoppedError('the node is stopping')) });
    const finish = (error: unknown): void => {
      leave?.();
      context.counts.add(METHOD, error === undefined ? 'OK' : (status[grpcStatus(error)] ?? 'UNKNOWN'));
      if (error === undefined) call.end();
      else {
        reportUnforeseen(context, METHOD, error);
        call.emit('error', statusResponse(error));
      }
    };
    if (leave === undefined) {
      finish(new StreamLimitError('this node serves as many streams as it can; ask another'));
      return;
    }
    call.on('cancelled', () => aborter.abort(new CallerGoneError('the caller has gone')));
    relay(context, call, aborter.signal).then(() => finish(undefined), finish);
  };
}

async function relay({ handle }: HandlerContext, call: BackupCall, signal: AbortSignal): Promise<void> {
  const copied = await handle.backup({ signal });
  for (const piece of encodeBackup(copied)) {
    signal.throwIfAborted();
    if (!call.write({ piece: Buffer.from(piece.buffer, piece.byteOffset, piece.length) })) await room(call, signal);
  }
}

async function room(call: BackupCall, signal: AbortSignal): Promise<void> {
  const patience = AbortSignal.timeout(STALLED_MS_MAX);
  try {
    await once(call, 'drain', { signal: AbortSignal.any([signal, patience]) });
  } catch (error) {
    signal.throwIfAborted();
    throw patience.aborted ? new StreamLimitError('the caller does not read what it asked for') : error;
  }
}

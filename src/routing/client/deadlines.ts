/** gRPC's deadlines are instants of the wall clock, which it reads again itself to count down; Infinity for none. */
import type { Deadline } from '@grpc/grpc-js';

/** Milliseconds that are left; negative when it is over. */
export function leftMsUntil(deadline: Deadline): number {
  const now = new Date();
  return Number(deadline) - now.getTime();
}

/** The contract between `requests.ts` and its services: a shard's number in, the node and the epoch out. */
import type { ServiceDefinition } from '@grpc/grpc-js';

export const ECHO_ENDPOINT = 'echo';
export const SAY = '/bench.Echo/Say';

export const ECHO: ServiceDefinition = {
  Say: {
    path: SAY,
    requestStream: false,
    responseStream: false,
    requestSerialize: (shard: number): Buffer => Buffer.from(String(shard)),
    requestDeserialize: (bytes: Buffer): number => Number(bytes.toString()),
    responseSerialize: (text: string): Buffer => Buffer.from(text),
    responseDeserialize: (bytes: Buffer): string => bytes.toString(),
  },
};

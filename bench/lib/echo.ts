/** The contract between `requests.ts` and its services: a shard's number in, the node and the epoch out, as texts (grpc-js takes a message 0 for none). */
import type { ServiceDefinition } from '@grpc/grpc-js';

export const ECHO_ENDPOINT = 'echo';
export const SAY = '/bench.Echo/Say';

export const ECHO: ServiceDefinition = {
  Say: {
    path: SAY,
    requestStream: false,
    responseStream: false,
    requestSerialize: (shard: string): Buffer => Buffer.from(shard),
    requestDeserialize: (bytes: Buffer): string => bytes.toString(),
    responseSerialize: (text: string): Buffer => Buffer.from(text),
    responseDeserialize: (bytes: Buffer): string => bytes.toString(),
  },
};

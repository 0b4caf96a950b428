// Original file: proto/funk/v1/node.proto

import type { Long } from '@grpc/proto-loader';

export interface Member {
  'name'?: (string);
  'role'?: (string);
  'kind'?: (string);
  'serfState'?: (string);
  'raftState'?: (string);
  'address'?: (string);
  'memberId'?: (string);
  'ageMs'?: (number | string | Long);
  'heardMsAgo'?: (number | string | Long);
  'tags'?: ({[key: string]: string});
  'managementAddress'?: (string);
}

export interface Member__Output {
  'name': (string);
  'role': (string);
  'kind': (string);
  'serfState': (string);
  'raftState': (string);
  'address': (string);
  'memberId': (string);
  'ageMs': (number);
  'heardMsAgo': (number);
  'tags': ({[key: string]: string});
  'managementAddress': (string);
}

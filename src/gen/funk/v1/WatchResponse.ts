// Original file: proto/funk/v1/node.proto

import type { Status as _funk_v1_Status, Status__Output as _funk_v1_Status__Output } from '../../funk/v1/Status.ts';
import type { Members as _funk_v1_Members, Members__Output as _funk_v1_Members__Output } from '../../funk/v1/Members.ts';
import type { Member as _funk_v1_Member, Member__Output as _funk_v1_Member__Output } from '../../funk/v1/Member.ts';
import type { ShardMap as _funk_v1_ShardMap, ShardMap__Output as _funk_v1_ShardMap__Output } from '../../funk/v1/ShardMap.ts';
import type { Notice as _funk_v1_Notice, Notice__Output as _funk_v1_Notice__Output } from '../../funk/v1/Notice.ts';
import type { Synced as _funk_v1_Synced, Synced__Output as _funk_v1_Synced__Output } from '../../funk/v1/Synced.ts';
import type { ShardMapDelta as _funk_v1_ShardMapDelta, ShardMapDelta__Output as _funk_v1_ShardMapDelta__Output } from '../../funk/v1/ShardMapDelta.ts';
import type { ShardSettings as _funk_v1_ShardSettings, ShardSettings__Output as _funk_v1_ShardSettings__Output } from '../../funk/v1/ShardSettings.ts';

export interface WatchResponse {
  'status'?: (_funk_v1_Status | null);
  'members'?: (_funk_v1_Members | null);
  'member'?: (_funk_v1_Member | null);
  'memberRemoved'?: (string);
  'shardMap'?: (_funk_v1_ShardMap | null);
  'notice'?: (_funk_v1_Notice | null);
  'synced'?: (_funk_v1_Synced | null);
  'shardMapDelta'?: (_funk_v1_ShardMapDelta | null);
  'shardSettings'?: (_funk_v1_ShardSettings | null);
  'change'?: "status"|"members"|"member"|"memberRemoved"|"shardMap"|"notice"|"synced"|"shardMapDelta"|"shardSettings";
}

export interface WatchResponse__Output {
  'status'?: (_funk_v1_Status__Output | null);
  'members'?: (_funk_v1_Members__Output | null);
  'member'?: (_funk_v1_Member__Output | null);
  'memberRemoved'?: (string);
  'shardMap'?: (_funk_v1_ShardMap__Output | null);
  'notice'?: (_funk_v1_Notice__Output | null);
  'synced'?: (_funk_v1_Synced__Output | null);
  'shardMapDelta'?: (_funk_v1_ShardMapDelta__Output | null);
  'shardSettings'?: (_funk_v1_ShardSettings__Output | null);
  'change'?: "status"|"members"|"member"|"memberRemoved"|"shardMap"|"notice"|"synced"|"shardMapDelta"|"shardSettings";
}

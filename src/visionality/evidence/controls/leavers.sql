-- CC6.2 and CC6.3, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- Everybody whose access was ended in the period, with what their keys from before were served later than five minutes after; and
-- every change of who may enter as what. A row is written when its call is over, so a call began its latency earlier.
select * from (
  select 'leaver' as kind, e.id::text as id, jsonb_build_object(
           'person', e.key_id, 'ended_at', vis.rfc3339(e.created_at), 'actor_is_said', e.actor <> '',
           'keys', k.keys, 'calls_after', k.calls_after) as facts
    from vis.key_events e
   cross join lateral (
     select count(*) as keys, coalesce(sum(r.calls), 0)::bigint as calls_after
       from vis.access_keys_v1 k
      cross join lateral (
        select count(*) as calls from vis.request_logs r
         where r.org_id = e.org_id and r.agent_sub = k.agent_sub and r.key_id = k.key_id
           and r.created_at > e.created_at + interval '5 minutes' and r.created_at < %(at)s
           and r.created_at - coalesce(r.latency_ms, 0) * interval '1 millisecond' > e.created_at + interval '5 minutes'
           and r.entry in ('call', 'attempt') and (r.decision = 'allowed' or r.cost_nusd <> 0)) r
      where k.org_id = e.org_id and k.person_id = e.key_id and k.issued_at <= e.created_at) k
   where e.org_id = %(org_id)s and e.kind = 'person_revoked' and e.created_at >= %(start)s and e.created_at < %(at)s
  union all
  select 'change of access', id::text, jsonb_build_object(
           'kind', kind, 'seq', seq, 'made_at', vis.rfc3339(created_at), 'actor_is_said', actor <> '',
           'is_own', actor = detail ->> 'member')
    from vis.admin_events
   where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s
     and kind in ('member_invited', 'member_joined', 'member_roles_set', 'member_removed')) r
 order by kind collate "C", id collate "C";

-- CC7.3 and CC7.4, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- Every alert of the period with when somebody saw to it, and each time that a person's or all access was shut off.
select * from (
  select 'alert' as kind, a.alert_id::text as id, jsonb_build_object(
           'kind', a.kind, 'made_at', vis.rfc3339(a.created_at), 'seen_at', vis.rfc3339(a.acknowledged_at),
           'given_up', (select count(*) from vis.alert_deliveries d
                         where d.org_id = a.org_id and d.alert_id = a.alert_id and d.given_up_at is not null)) as facts
    from vis.alerts a
   where a.org_id = %(org_id)s and a.created_at >= %(start)s and a.created_at < %(at)s
  union all
  select 'shut off', id::text, jsonb_build_object(
           'kind', kind, 'seq', seq, 'made_at', vis.rfc3339(created_at), 'actor_is_said', actor <> '',
           'reason_is_said', coalesce(detail ->> 'reason', '') <> '')
    from vis.key_events
   where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s and kind in ('all_revoked', 'person_revoked')
  union all
  select 'switched on', org_id::text, jsonb_build_object('has_channel', has_channel)
    from vis.switched_on_v1 where org_id = %(org_id)s) r
 order by kind collate "C", id collate "C";

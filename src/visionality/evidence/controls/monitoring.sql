-- CC7.1 and CC7.2, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- The last result of the append-only check, every way to change history that was found in the period, and of each log the newest
-- row of the period and whether it is sealed. A seal may be dated before its rows by what clocks differ.
with newest as (
  (select 'request_logs' as log, id, created_at from vis.request_logs
    where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s order by created_at desc, id desc limit 1)
  union all
  (select 'budget_events', id, created_at from vis.budget_events
    where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s order by created_at desc, id desc limit 1)
  union all
  (select 'key_events', id, created_at from vis.key_events
    where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s order by created_at desc, id desc limit 1)
  union all
  (select 'admin_events', id, created_at from vis.admin_events
    where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s order by created_at desc, id desc limit 1))
select * from (
  select 'append-only check' as kind, 'installation' as id, jsonb_build_object(
           'checked_at', vis.rfc3339(checked_at), 'since', vis.rfc3339(since), 'findings', cardinality(findings)) as facts
    from vis.privilege_check
  union all
  select 'way to change history', alert_id::text, jsonb_build_object('found_at', vis.rfc3339(created_at))
    from vis.alerts
   where org_id = %(org_id)s and kind = 'privileges' and created_at >= %(start)s and created_at < %(at)s
  union all
  select 'log', n.log, jsonb_build_object('newest_row_at', vis.rfc3339(n.created_at), 'is_sealed', coalesce((
           select true from vis.seals s
            where s.org_id = %(org_id)s and s.log = n.log and s.sealed_at >= n.created_at - interval '5 minutes'
              and position(uuid_send(n.id) in s.row_ids) > 0
            order by s.sealed_at limit 1), false))
    from newest n
  union all
  select 'switched on', org_id::text, jsonb_build_object(
           'has_soft_cap', has_soft_cap, 'has_heads', exists (select from vis.seals s where s.org_id = w.org_id))
    from vis.switched_on_v1 w where org_id = %(org_id)s) r
 order by kind collate "C", id collate "C";

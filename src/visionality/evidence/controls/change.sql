-- CC8.1, for psycopg, in a transaction that has named its organisation.

-- name: rows
-- Every change of the period that the audit log has of policy, prices, providers, the map and who is told; everything of that kind
-- that was decided, with whether the audit log has it; and every migration of the schema.
with recorded as (
  select distinct e.kind, n.name
    from vis.admin_events e
   cross join lateral (values (e.detail ->> 'version'), (e.detail ->> 'credential_id'), (e.detail ->> 'budget_id'),
                              (e.detail ->> 'hint_id'), (e.detail ->> 'request_id')) n(name)
   where e.org_id = %(org_id)s and n.name is not null and e.kind in (select kind from vis.decided_v1))
select * from (
  select 'change' as kind, id::text as id, jsonb_build_object(
           'kind', kind, 'seq', seq, 'made_at', vis.rfc3339(created_at), 'author_is_said', actor <> '',
           'is_approved', kind = 'floor_lowered', 'is_self_approved', kind = 'floor_lowered' and actor = detail ->> 'requested_by') as facts
    from vis.admin_events
   where org_id = %(org_id)s and created_at >= %(start)s and created_at < %(at)s
     and kind = any (%(kinds)s::text[])
  union all
  select 'decision', d.kind || ' ' || d.name, jsonb_build_object(
           'made_at', vis.rfc3339(d.made_at), 'is_recorded', r.kind is not null)
    from vis.decided_v1 d
    left join recorded r on r.kind = d.kind and r.name = d.name
   where d.org_id = %(org_id)s and d.made_at >= %(start)s and d.made_at < %(at)s
  union all
  select 'migration', migration, jsonb_build_object('applied_at', vis.rfc3339(applied_at))
    from vis.applied_migrations_v1 where applied_at >= %(start)s and applied_at < %(at)s) r
 order by kind collate "C", id collate "C";

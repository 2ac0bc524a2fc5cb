-- How far the first run is, for psycopg, under row security: `there` as vis_web, the others as vis_reader.

-- name: there
-- What there is beside what `vis try` made, the newest first; `people` are those without an agent.
select coalesce((select array_agg(distinct provider) from vis_control.provider_credential
                  where org_id = %(org_id)s and retired_at is null), '{}') as providers,
       coalesce((select array_agg(key order by id desc) from vis_control.project
                  where org_id = %(org_id)s and key <> %(project)s), '{}') as projects,
       coalesce((select array_agg(sub order by id desc) from vis_control.agent_identity
                  where org_id = %(org_id)s and person_id is not null and sub <> %(agent)s), '{}') as agents,
       coalesce((select array_agg(sso_sub order by id desc) from vis_control.person p
                  where org_id = %(org_id)s
                    and not exists (select from vis_control.agent_identity where person_id = p.id)), '{}') as people

-- name: first_row
-- The first row of any of these keys; each is looked for among its agent's rows since it was issued.
select row.*
  from unnest(%(keys)s::uuid[], %(agents)s::text[], %(since)s::timestamptz[]) as k (id, agent, issued_at)
 cross join lateral (
   select * from vis.request_logs
    where org_id = %(org_id)s and agent_sub = k.agent and key_id = k.id and created_at >= k.issued_at
    order by created_at limit 1) as row
 order by row.created_at
 limit 1

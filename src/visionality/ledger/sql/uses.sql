-- When agents were last served and what came of keys after their end, for psycopg. Run as vis_reader in a transaction that has
-- set vis.org_id. By the index on agents, so as long as there are agents or keys asked for and calls after an end.

-- name: last
-- When each of these agents was last served since a moment.
select a.sub as agent_sub, u.created_at as last_at
  from unnest(%(agents)s::text[]) a(sub)
 cross join lateral (
   select created_at from vis.request_logs r
    where r.org_id = %(org_id)s and r.agent_sub = a.sub and r.created_at >= %(since)s and r.created_at <= %(now)s
      and r.entry = 'call' and (r.decision = 'allowed' or r.cost_nusd <> 0)
    order by r.created_at desc limit 1) u;

-- name: since_ends
-- For each key with its end: its last call that was served before, and what was asked with it since. A row is written when its
-- call is over, so a call began its latency earlier; one that a gateway had let in goes on to its end.
select e.key_id, b.created_at as last_before, s.*
  from unnest(%(keys)s::uuid[], %(agents)s::text[], %(ends)s::timestamptz[]) e(key_id, agent_sub, ended_at)
  left join lateral (
    select r.created_at from vis.request_logs r
     where r.org_id = %(org_id)s and r.agent_sub = e.agent_sub and r.key_id = e.key_id and r.created_at <= e.ended_at
       and r.created_at >= e.ended_at - interval '400 days'
       and r.entry = 'call' and (r.decision = 'allowed' or r.cost_nusd <> 0)
     order by r.created_at desc limit 1) b on true
 cross join lateral (
   select count(*) filter (where is_served and began_at > e.ended_at + %(grace)s) as served,
          count(*) filter (where is_served and began_at <= e.ended_at + %(grace)s and began_at > e.ended_at) as served_in_grace,
          count(*) filter (where is_served and began_at <= e.ended_at) as under_way,
          coalesce(sum(repeats) filter (where decision = 'refused'), 0)::bigint as refused,
          max(created_at) filter (where decision = 'refused') as last_refused,
          max(created_at) filter (where is_served) as last_served
     from (select created_at, decision, decision = 'allowed' or cost_nusd <> 0 as is_served,
                  created_at - coalesce(latency_ms, 0) * interval '1 millisecond' as began_at,
                  coalesce((tags ->> 'repeats')::bigint, 1) as repeats
             from vis.request_logs r
            where r.org_id = %(org_id)s and r.agent_sub = e.agent_sub and r.key_id = e.key_id
              and r.created_at > e.ended_at and r.entry in ('call', 'attempt')) r) s;

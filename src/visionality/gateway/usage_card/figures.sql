-- What a usage card shows, for asyncpg. Run as vis_writer, on a connection of its own. A scope is a kind and a value.

-- name: window
select cap_nusd, spent_nusd, reserved_nusd from vis.budget_windows where org_id = $1 and window_id = $2;

-- name: spent
-- As budgets have it, so without corrections: billed and cost by day of the organisation's calendar and by model, since $4. Days come back to before the window
-- for the forecast.
select (created_at at time zone $5)::date as day, coalesce(model_used, 'other') as model, created_at >= $6 as is_inside,
       sum(billed_nusd)::bigint as billed_nusd, sum(cost_nusd)::bigint as cost_nusd, count(*) filter (where entry = 'call') as calls
  from vis.request_logs
 where org_id = $1 and created_at >= $4 and created_at < $7 and decision <> 'refused' and provider <> 'unknown'
   and entry <> 'correction' and (model_used is not null or billed_nusd <> 0)
   and case $2 when 'spend_token' then spend_token_id when 'key' then key_id::text when 'agent' then agent_sub
               when 'person' then sso_sub when 'customer' then customer_id when 'project' then project_id end = $3
 group by 1, 2, 3 order by 1, 2;

-- name: refused_at
-- When this scope last refused a call.
select max(created_at) from vis.request_logs
 where org_id = $1 and created_at >= $2 and reason = 'spend_token_blocked' and tags ->> 'blocked_by' = $3;

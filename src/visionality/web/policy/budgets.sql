-- What budgets stand at. Run as vis_web under row security.

-- name: spent
-- What each value of a scope has spent in a range of time, from the rows; corrections move no budget. The filter by project is said apart from the
-- others, because there is an index for it.
select value, sum(cost_nusd)::bigint
  from (select case %(kind)s
                 when 'organisation' then '' when 'project' then project_id when 'customer' then customer_id
                 when 'team' then team_id when 'person' then sso_sub when 'agent' then agent_sub
                 when 'task_class' then task_class when 'model_family' then model_family when 'key' then key_id::text
                 when 'spend_token' then spend_token_id when 'business_unit' then tags->>'business_unit'
               end as value, cost_nusd
          from vis.request_logs
         where org_id = %(org_id)s and created_at >= %(starts_at)s and created_at < %(ends_at)s and entry <> 'correction'
           and (%(project_id)s::text is null or project_id = %(project_id)s)) r
 where value is not null and (%(value)s = '*' or value = %(value)s)
 group by value having sum(cost_nusd) <> 0
 order by value;

-- name: standing
-- The windows of the moment. A budget's anchor is no window.
select budget_id, scope_value, spent_nusd, reserved_nusd
  from vis.budget_windows
 where org_id = %(org_id)s and budget_id = any(%(budgets)s::uuid[]) and window_id <> budget_id
   and starts_at <= %(now)s and %(now)s < ends_at
 order by spent_nusd + reserved_nusd desc, scope_value;

-- Which budgets burn, for psycopg. Run as vis_jobs. Corrections move no budget, so what a scope spent is without them.

-- name: standing
-- Every window of the moment whose budget has thresholds, with those that have been told already.
select b.org_id, o.time_zone, b.scope_kind, w.scope_value, w.window_id, w.starts_at, w.ends_at, w.cap_nusd, w.spent_nusd, b.soft,
       array(select a.mark from vis.alerts a where a.org_id = b.org_id and a.kind = 'budget_threshold' and a.subject_id = w.window_id) as told
  from vis.budgets_v1 b
  join vis.orgs_v1 o on o.org_id = b.org_id
  join vis.budget_windows w on w.org_id = b.org_id and w.budget_id = b.budget_id and w.window_id <> w.budget_id
 where b.soft <> '{}' and w.cap_nusd > 0 and w.starts_at <= %(now)s and w.ends_at > %(now)s;

-- name: daily
-- What each day of the organisation's calendar cost a scope.
select (created_at at time zone %(zone)s)::date as day, sum(cost_nusd)::bigint
  from vis.request_logs
 where org_id = %(org_id)s and created_at >= %(since)s and created_at < %(now)s and entry <> 'correction' and vis.is_of_scope(%(kind)s, %(value)s, request_logs)
 group by 1;

-- name: drivers
-- By agent, model and task class: the cost since the window began, and in the same stretch before it.
select d.dimension, coalesce(d.value, 'none') as value,
       coalesce(sum(cost_nusd) filter (where created_at >= %(starts_at)s), 0)::bigint,
       coalesce(sum(cost_nusd) filter (where created_at < %(starts_at)s), 0)::bigint
  from vis.request_logs
 cross join lateral (values ('agent_sub', agent_sub), ('model_used', model_used), ('task_class', task_class)) d(dimension, value)
 where org_id = %(org_id)s and created_at >= %(before)s and created_at < %(now)s and cost_nusd <> 0 and entry <> 'correction'
   and (created_at >= %(starts_at)s or created_at < %(before_end)s)
   and vis.is_of_scope(%(kind)s, %(value)s, request_logs)
 group by 1, 2;

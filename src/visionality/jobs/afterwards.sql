-- What became known after a row was written, for psycopg. Run as vis_jobs.

-- name: lead
-- Whether nobody else looks now, and all that was ordered here before is done.
select pg_try_advisory_xact_lock(hashtextextended('visionality afterwards', 0))
       and not exists (select from vis.correction_orders_v1 o
                        where o.author = 'resolver'
                          and not exists (select from vis.correction_done d
                                           where d.org_id = o.org_id and d.correction_id = o.correction_id));

-- name: sessions
-- Rows of the last day that nobody is charged for, though their session was at work for exactly one project. What their
-- evidence says itself, if only that it disagrees, is left to an operator. A session is of one key, so of one agent.
select l.org_id, s.project_id, s.customer_id, s.task_id, s.epic_id, s.repo, s.branch, 5 as level,
       greatest(s.confidence - 10, 0) as confidence, l.id, l.created_at
  from vis.orgs_v1 o
  join vis.request_logs l on l.org_id = o.org_id and l.project_id is null
 cross join lateral (
   select min(project_id) as project_id, min(coalesce(confidence, 0)) as confidence,
          case when count(distinct coalesce(customer_id, '')) = 1 then min(customer_id) end as customer_id,
          case when count(distinct coalesce(task_id, '')) = 1 then min(task_id) end as task_id,
          case when count(distinct coalesce(epic_id, '')) = 1 then min(epic_id) end as epic_id,
          case when count(distinct coalesce(repo, '')) = 1 then min(repo) end as repo,
          case when count(distinct coalesce(branch, '')) = 1 then min(branch) end as branch
     from vis.request_logs n
    where n.org_id = l.org_id and n.agent_sub is not distinct from l.agent_sub and n.entry = 'call'
      and n.created_at >= l.created_at - interval '24 hours' and n.created_at <= l.created_at + interval '24 hours'
      and n.tags ->> 'session' = l.tags ->> 'session' and n.project_id is not null and n.attribution_level <= 4
      and not exists (select from vis.request_logs c
                       where c.org_id = n.org_id and c.corrects = n.id and c.entry = 'correction')
   having count(distinct project_id) = 1) s
 where l.created_at > %(now)s - interval '24 hours' and l.entry in ('call', 'attempt', 'import') and l.tags ? 'session'
   and not l.tags ?| array['attribution_conflict', 'project_denied']
   and not exists (select from vis.request_logs c where c.org_id = l.org_id and c.corrects = l.id and c.entry = 'correction')
 order by l.org_id, l.created_at, l.id;

-- name: true_ups
-- Rows that were corrected and got a true-up later: with all that followed them they are no longer their last re-booking.
with trued as (
  select distinct t.org_id, t.corrects from vis.request_logs t
   where t.corrects is not null and t.entry = 'true_up' and t.created_at > %(now)s - interval '48 hours'
     and exists (select from vis.request_logs c
                  where c.org_id = t.org_id and c.corrects = t.corrects and c.entry = 'correction'))
select b.org_id, b.project_id, b.customer_id, b.task_id, b.epic_id, b.repo, b.branch, b.attribution_level as level, b.confidence,
       r.id, r.created_at
  from trued d
 cross join lateral (
   select * from vis.request_logs c
    where c.org_id = d.org_id and c.corrects = d.corrects and c.entry = 'correction' and c.tags ->> 'correction' = 'rebooking'
    order by c.created_at desc limit 1) b
  join vis.request_logs r on r.org_id = d.org_id and r.id = d.corrects and r.created_at = (b.tags ->> 'of')::timestamptz
 cross join lateral (
   select sum(input_tokens) as input, sum(cache_read_tokens) as read, sum(cache_write_tokens) as written,
          sum(output_tokens) as output, sum(reasoning_tokens) as reasoning, sum(cost_nusd) as cost, sum(billed_nusd) as billed
     from vis.request_logs t
    where t.org_id = r.org_id and t.corrects = r.id and t.entry in ('true_up', 'correction') and t.currency = r.currency) u
 where (r.input_tokens + u.input, r.cache_read_tokens + u.read, r.cache_write_tokens + u.written, r.output_tokens + u.output,
        r.reasoning_tokens + u.reasoning, r.cost_nusd + u.cost, r.billed_nusd + u.billed)
    <> (b.input_tokens, b.cache_read_tokens, b.cache_write_tokens, b.output_tokens, b.reasoning_tokens, b.cost_nusd, b.billed_nusd)
 order by b.org_id, r.created_at, r.id;

-- name: order
insert into vis_control.correction_order (id, org_id, author, reason, project_id, customer_id, task_id, epic_id, repo, branch,
                                          level, confidence, rows, made_at)
select %(id)s, j.org_id, 'resolver', %(reason)s, j.id, c.id, %(task_id)s, %(epic_id)s, %(repo)s, %(branch)s, %(level)s,
       %(confidence)s, %(rows)s::jsonb, %(now)s
  from vis_control.project j
  left join vis_control.end_customer c on c.org_id = j.org_id and c.key = %(customer_id)s
 where j.org_id = %(org_id)s and j.key = %(project_id)s;

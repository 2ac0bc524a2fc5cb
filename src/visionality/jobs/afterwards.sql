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
-- evidence says itself, if only that it disagrees, is left to an operator. A session is of one key, so of one agent. Each
-- row hears what was said from a day before it on: rows are sorted once by when they are last heard, whatever the number of
-- rows in a session.
with waiting as materialized (
  select l.org_id, l.agent_sub, l.tags ->> 'session' as session, l.id, l.created_at
    from vis.orgs_v1 o
    join vis.request_logs l on l.org_id = o.org_id and l.project_id is null
   where l.created_at > %(now)s - interval '24 hours' and l.entry in ('call', 'attempt', 'import') and l.tags ? 'session'
     and not l.tags ?| array['attribution_conflict', 'project_denied']
     and not exists (select from vis.request_logs c where c.org_id = l.org_id and c.corrects = l.id and c.entry = 'correction')),
known as materialized (
  select n.org_id, n.agent_sub, n.tags ->> 'session' as session, n.created_at, n.project_id, coalesce(n.confidence, 0) as confidence,
         coalesce(n.customer_id, '') as customer_id, coalesce(n.task_id, '') as task_id, coalesce(n.epic_id, '') as epic_id,
         coalesce(n.repo, '') as repo, coalesce(n.branch, '') as branch
    from vis.orgs_v1 o
    join vis.request_logs n on n.org_id = o.org_id and n.project_id is not null
   where n.created_at > %(now)s - interval '48 hours' and n.entry = 'call'
     and n.attribution_level <= 4
     and (n.tags ->> 'session' in (select session from waiting)) is true  -- hashed so; as a join it may be every row with every row
     and not exists (select from vis.request_logs c where c.org_id = n.org_id and c.corrects = n.id and c.entry = 'correction')),
heard as (
  select org_id, id, created_at, min(project_id) over said as project_id, max(project_id) over said as last_project,
         min(confidence) over said as confidence,
         min(customer_id) over said as customer_id, max(customer_id) over said as last_customer,
         min(task_id) over said as task_id, max(task_id) over said as last_task,
         min(epic_id) over said as epic_id, max(epic_id) over said as last_epic,
         min(repo) over said as repo, max(repo) over said as last_repo,
         min(branch) over said as branch, max(branch) over said as last_branch
    from (select org_id, agent_sub, session, null::uuid as id, created_at, created_at + interval '24 hours' as until, project_id,
                 confidence, customer_id, task_id, epic_id, repo, branch
            from known
           union all
          select org_id, agent_sub, session, id, created_at, created_at, null, null, null, null, null, null, null from waiting) r
  window said as (partition by org_id, agent_sub, session order by until desc))
select org_id, project_id, case when customer_id = last_customer then nullif(customer_id, '') end as customer_id,
       case when task_id = last_task then nullif(task_id, '') end as task_id,
       case when epic_id = last_epic then nullif(epic_id, '') end as epic_id,
       case when repo = last_repo then nullif(repo, '') end as repo,
       case when branch = last_branch then nullif(branch, '') end as branch,
       5 as level, greatest(confidence - 10, 0) as confidence, id, created_at
  from heard where id is not null and project_id = last_project
 order by org_id, created_at, id;

-- name: true_ups
-- Rows that were corrected and got a true-up later: with all that followed them they are no longer their last re-booking.
with trued as materialized (
  select distinct t.org_id, t.corrects from vis.orgs_v1 o join vis.request_logs t on t.org_id = o.org_id
   where t.corrects is not null and t.entry = 'true_up' and t.created_at > %(now)s - interval '48 hours')
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

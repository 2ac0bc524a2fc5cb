-- What the work of a project, a task or an epic came to, from its daily sums, for psycopg. Run as vis_reader in one repeatable-read
-- transaction that has set vis.org_id. Braces take fragments of this file, of reports.sql and of the ledger's sums.sql and work.sql.

-- name: narrowed
(%(task)s::text is null or task_id = %(task)s) and (%(epic)s::text is null or epic_id = %(epic)s)

-- name: read
-- By all that work is told by and the pull request that came of it, found as in reports.sql. Where the calls of a day were made
-- partly before and partly after a pull request of their branch was over, that day is read row by row.
with known as (
  select * from vis.work_day
   where org_id = %(org_id)s and project_id = %(project)s and day >= %(since)s and day < %(until)s and {narrowed}),
behind as (select * from ({tail}) tail where project_id = %(project)s and {narrowed}),
worked as (
  select day, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model,
         sum(calls) as calls, sum(input_tokens) as input_tokens, sum(cache_read_tokens) as cache_read_tokens,
         sum(cache_write_tokens) as cache_write_tokens, sum(output_tokens) as output_tokens, sum(cost_nusd) as cost_nusd,
         min(first_call) as first_call, max(last_call) as last_call, min(first_made) as first_made, max(last_made) as last_made
    from (select day, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model, calls, input_tokens,
                 cache_read_tokens, cache_write_tokens, output_tokens, cost_nusd, first_call, last_call, first_made, last_made
            from known
          union all
          select day, currency, task_id, epic_id, repo, branch, commit_sha, pr_url, agent_owner, model, calls, input_tokens,
                 cache_read_tokens, cache_write_tokens, output_tokens, cost_nusd, first_call, last_call, first_made, last_made
            from behind) k
   group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
{pull_requests}
parted as materialized (
  select w.*, exists (select from by_branch b
                       where b.remote = w.repo and b.source_branch = w.branch
                         and (b.since > w.first_made and b.since <= w.last_made
                              or b.over_at > w.first_made and b.over_at <= w.last_made)) as is_parted
    from worked w),
whole as (
  select task_id, repo, branch, commit_sha, pr_url, agent_owner, model, currency, calls, input_tokens, cache_read_tokens,
         cache_write_tokens, output_tokens, cost_nusd, first_call, last_call, first_made
    from parted where not is_parted
  union all
  select p.task_id, p.repo, p.branch, p.commit_sha, p.pr_url, p.agent_owner, p.model, p.currency, l.*
    from (select * from parted where is_parted) p
   cross join lateral (
     select {call} as calls, r.input_tokens, r.cache_read_tokens, r.cache_write_tokens, r.output_tokens, r.cost_nusd,
            {called_at} as first_call, {called_at} as last_call, {made_at} as first_made
       from vis.request_logs r
      where r.org_id = %(org_id)s and r.project_id = %(project)s and r.provider <> 'sandbox' and {is_served}
        and r.created_at >= p.day::timestamp at time zone 'UTC' and r.created_at < (p.day + 1)::timestamp at time zone 'UTC'
        and (r.currency, r.repo, r.branch) = (p.currency, p.repo, p.branch)
        and (r.task_id, r.epic_id, r.commit_sha, r.pr_url, r.agent_owner, coalesce(r.model_used, r.model_requested))
            is not distinct from (p.task_id, p.epic_id, p.commit_sha, p.pr_url, p.agent_owner, p.model)) l)
select w.task_id as task, w.repo, w.branch, w.commit_sha, w.agent_owner, w.model, w.currency,
       coalesce(w.pr_url, c.url, b.url) as pr_url, coalesce(c.title, b.title) as title, coalesce(c.state, b.state) as state,
       sum(w.calls)::bigint as calls, sum(w.input_tokens)::bigint as input_tokens, sum(w.cache_read_tokens)::bigint as cache_read_tokens,
       sum(w.cache_write_tokens)::bigint as cache_write_tokens, sum(w.output_tokens)::bigint as output_tokens,
       sum(w.cost_nusd)::bigint as cost_nusd, min(w.first_call) as first_call, max(w.last_call) as last_call
  from whole w
  left join by_commit c on c.remote = w.repo and c.sha = w.commit_sha
  left join by_branch b on c.url is null and b.remote = w.repo and b.source_branch = w.branch
                       and w.first_made >= b.since and w.first_made < b.over_at
 group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10;

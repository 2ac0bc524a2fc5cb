-- What a task cost, and how much of the spend is attributed, for psycopg. Run as vis_reader in one repeatable-read
-- transaction that has set vis.org_id. Braces take the filter; all values are literals that psycopg has quoted. A sum is
-- over all entries; a call that was corrected counts where it was booked again, and no longer where it was.

-- name: calls
case when entry = 'call' then 1
     when entry <> 'correction' or tags ->> 'entry' <> 'call' then 0
     when tags ->> 'correction' = 'rebooking' then 1 when tags ->> 'correction' = 'reversal' then -1 else 0 end

-- name: called_at
case when entry = 'call' then created_at when tags ->> 'correction' = 'rebooking' then (tags ->> 'of')::timestamptz end

-- name: sums
sum({calls})::bigint as calls, sum(input_tokens)::bigint as input_tokens,
       sum(cache_read_tokens)::bigint as cache_read_tokens, sum(cache_write_tokens)::bigint as cache_write_tokens,
       sum(output_tokens)::bigint as output_tokens, sum(cost_nusd)::bigint as cost_nusd,
       min({called_at}) as first_call, max({called_at}) as last_call

-- name: totals
select currency, {sums} from vis.request_logs where {filter} group by 1 {is_left} order by 1;

-- name: is_left
having sum({calls}) <> 0 or sum(cost_nusd) <> 0
    or sum(input_tokens) <> 0 or sum(cache_read_tokens) <> 0 or sum(cache_write_tokens) <> 0 or sum(output_tokens) <> 0

-- name: people
select agent_owner, agent_sub, coalesce(model_used, model_requested) as model, currency, {sums}
  from vis.request_logs where {filter} group by 1, 2, 3, 4 {is_left} order by sum(cost_nusd) desc, 1, 2, 3, 4;

-- name: linked
-- Rows, each with the pull request that came of it: the one that has its commit, else the first of its branch that was not
-- over for a week when the call was made, since names of branches are used again.
with served as (select * from vis.request_logs where {filter}),
pulls as materialized (
  select remote, url, title, state, source_branch, merge_commit, commits, created_at,
         case state when 'open' then 'infinity'::timestamptz else coalesce(merged_at, updated_at) + interval '7 days' end as over_at
    from vis.pull_requests_v1 where remote in (select repo from served)),
linked as (
  select s.*, coalesce(s.pr_url, p.url) as pull_url, p.title as pull_title, p.state as pull_state
    from served s
    left join lateral (
      select url, title, state from pulls
       where remote = s.repo
         and (s.commit_sha = merge_commit or s.commit_sha = any (commits)
              or (source_branch = s.branch and coalesce((s.tags ->> 'of')::timestamptz, s.created_at) < over_at))
       order by coalesce(s.commit_sha = merge_commit or s.commit_sha = any (commits), false) desc, created_at, url
       limit 1) p on true)

-- name: places
{linked}
select task_id as task, repo, branch, commit_sha, pull_url as pr_url, currency, {sums}
  from linked group by 1, 2, 3, 4, 5, 6 {is_left} order by min({called_at}), 1, 2, 3, 4, 5, 6;

-- name: pulls
{linked}
select pull_url as pr_url, max(pull_title) as title, max(pull_state) as state, currency, {sums}
  from linked where pull_url is not null group by 1, 4 {is_left} order by sum(cost_nusd) desc, 1, 4;

-- name: pull_of
{linked}
select id, pull_url as url, pull_title as title, pull_state as state from linked where pull_title is not null;

-- name: unserved
-- A refused row may stand for many that were refused alike.
select coalesce(sum({calls} * coalesce((tags ->> 'repeats')::bigint, 1)) filter (where decision = 'refused'), 0)::bigint as refused,
       coalesce(sum({calls}) filter (where decision = 'failed'), 0)::bigint as failed
  from vis.request_logs where {filter} and entry in ('call', 'correction') and cost_nusd = 0;

-- name: coverage
-- By client without its version, and by the level that found the project.
select split_part(tags ->> 'client', ' ', 1) as client, attribution_level as level, currency,
       sum({calls})::bigint as calls, sum(cost_nusd)::bigint as cost_nusd,
       coalesce(sum({calls}) filter (where project_id is null), 0)::bigint as unattributed_calls,
       coalesce(sum(cost_nusd) filter (where project_id is null), 0)::bigint as unattributed_nusd
  from vis.request_logs where {filter} group by 1, 2, 3 {is_left} order by 3, 1, 2;

-- name: coverage_by
-- By day, week (from Monday) or month, UTC, and by the level that found the project.
select date_trunc({unit}, created_at at time zone 'UTC')::date as begins, attribution_level as level, currency,
       sum({calls})::bigint as calls, sum(cost_nusd)::bigint as cost_nusd
  from vis.request_logs where {filter} group by 1, 2, 3 {is_left} order by 3, 1, 2;

-- name: coverage_lately
-- What a page shows of some weeks, in one look at their rows: by day and level; by client and level, of the last days only;
-- and what is of no project, by agent and by repo. `of` says which a line is. Amounts are of rows in US dollars; `others`
-- are rows in other currencies.
select case when grouping(day) = 0 then 'day' when grouping(client) = 0 then 'client'
            when grouping(agent_sub) = 0 then 'agent' else 'repo' end as of,
       day, client, level, agent_sub, repo,
       sum(counted)::bigint as calls,
       coalesce(sum(cost_nusd) filter (where currency = 'USD'), 0)::bigint as cost_nusd,
       coalesce(sum(counted) filter (where is_nobodys), 0)::bigint as unattributed_calls,
       coalesce(sum(cost_nusd) filter (where currency = 'USD' and is_nobodys), 0)::bigint as unattributed_nusd,
       coalesce(sum(counted) filter (where is_recent), 0)::bigint as recent_calls,
       coalesce(sum(cost_nusd) filter (where currency = 'USD' and is_recent), 0)::bigint as recent_nusd,
       coalesce(sum(cost_nusd) filter (where currency = 'USD' and is_recent and is_nobodys), 0)::bigint
         as recent_unattributed_nusd,
       coalesce(sum(counted) filter (where is_recent and is_nobodys), 0)::bigint as recent_unattributed_calls,
       coalesce(sum(counted) filter (where is_recent and is_nobodys and has_said), 0)::bigint as recent_unplaced_calls,
       count(*) filter (where currency <> 'USD') as others
  from (select (created_at at time zone 'UTC')::date as day, split_part(tags ->> 'client', ' ', 1) as client,
               attribution_level as level, agent_sub, repo, {calls} as counted, currency, cost_nusd, project_id is null as is_nobodys,
               created_at >= {recent} as is_recent, tags ? 'evidence' as has_said
          from vis.request_logs where {filter}) r
 group by grouping sets ((day, level), (client, level), (is_nobodys, agent_sub), (is_nobodys, repo))
having is_nobodys is distinct from false;

-- name: flagged
-- What a correction has settled is no longer to be looked at, but where rows are shown as they were booked at first.
select count(*) filter (where tags ? 'attribution_conflict') as conflicts,
       count(*) filter (where tags ? 'project_denied') as denied
  from vis.request_logs r where {filter} and entry = 'call'
   and ({original} or not exists (select from vis.request_logs c
                                   where c.org_id = r.org_id and c.corrects = r.id and c.entry = 'correction'));

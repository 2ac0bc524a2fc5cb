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

-- name: pull_requests
-- Which pull request has a commit, and which a branch had when: of a branch, each has the time from when all before it were
-- over for a week until it is itself, since names of branches are used again. Found for the repos of those rows and not for each row.
pulls as materialized (
  select remote, url, title, state, source_branch, merge_commit, commits, created_at,
         case state when 'open' then 'infinity'::timestamptz else coalesce(merged_at, updated_at) + interval '7 days' end as over_at
    from vis.pull_requests_v1 where remote in (select repo from {named})),
by_commit as materialized (
  select distinct on (remote, sha) remote, sha, url, title, state
    from pulls, unnest(array_append(commits, merge_commit)) sha
   where sha is not null order by remote, sha, created_at, url),
by_branch as materialized (
  select * from (
    select remote, source_branch, url, title, state, over_at,
           coalesce(max(over_at) over earlier, '-infinity') as since
      from pulls window earlier as (
        partition by remote, source_branch order by created_at, url rows between unbounded preceding and 1 preceding)) b
   where since < over_at),

-- name: linked
-- Rows, each with the pull request that came of it: the one that has its commit, else the first of its branch that was not
-- over for a week when the call was made.
with served as (
  select id, task_id, repo, branch, commit_sha, pr_url, currency, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
         cost_nusd, {calls} as calls, {called_at} as called_at, coalesce((tags ->> 'of')::timestamptz, created_at) as made_at
    from vis.request_logs where {filter}),
{pull_requests}
linked as (
  select s.*, coalesce(s.pr_url, c.url, b.url) as pull_url, coalesce(c.title, b.title) as pull_title, coalesce(c.state, b.state) as pull_state
    from served s
    left join by_commit c on c.remote = s.repo and c.sha = s.commit_sha
    left join by_branch b on c.url is null and b.remote = s.repo and b.source_branch = s.branch
                         and s.made_at >= b.since and s.made_at < b.over_at)

-- name: places
{linked}
select task_id as task, repo, branch, commit_sha, pull_url as pr_url, currency, {linked_sums}
  from linked group by 1, 2, 3, 4, 5, 6 {linked_is_left} order by min(called_at), 1, 2, 3, 4, 5, 6;

-- name: pulls
{linked}
select pull_url as pr_url, max(pull_title) as title, max(pull_state) as state, currency, {linked_sums}
  from linked where pull_url is not null group by 1, 4 {linked_is_left} order by sum(cost_nusd) desc, 1, 4;

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

-- name: flagged
-- What a correction has settled is no longer to be looked at, but where rows are shown as they were booked at first.
select count(*) filter (where tags ? 'attribution_conflict') as conflicts,
       count(*) filter (where tags ? 'project_denied') as denied
  from vis.request_logs r where {filter} and entry = 'call'
   and ({original} or not exists (select from vis.request_logs c
                                   where c.org_id = r.org_id and c.corrects = r.id and c.entry = 'correction'));

-- The ledger writer's statements, for asyncpg. Run as vis_writer on its own connection.

-- name: register
-- A fresh number for this run of this process. Two processes that race for one try again.
insert into vis.writers (writer_no, process)
select coalesce(max(writer_no), 0) + 1, $1 from vis.writers
returning writer_no;

-- name: heartbeat
-- Empty when this writer has been fenced.
update vis.writers set heartbeat_at = now() where writer_no = $1 and fenced_at is null returning writer_no;

-- name: commit_batch
-- One batch, one transaction: take the holds that end, make the holds that begin and that no window refuses, append
-- events and rows. Fails whole with VH001 when a hold that it means to take is gone, with VH002 when it moves windows
-- and was committed before, with VH003 when it comes without the denial of a hold that is refused, and with VH004 when a
-- hold that it means to make stands already. Says which window refused each hold, and what is left in the windows.
-- Windows are locked before holds, by everybody. An event with the want -1 ends a hold. Its time, which all have in common,
-- comes by itself, and an empty list of windows as null: the driver takes long for either.
with
told as materialized (select * from unnest($1::vis.event_v2[])),
moved as materialized (
  select m.* from vis.move_budgets($5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) m),
taken as (  -- one look into the index a claim: planned as a join while the table is empty, it would read all of it for ever
  delete from vis.budget_holds where (select true from moved) and ctid = any (array(
    select standing.ctid from told c
     cross join lateral (select h.ctid from vis.budget_holds h
                          where h.org_id = c.org_id and h.hold_id = c.hold_id and h.request_id = c.request_id
                          offset 0) standing
      where c.want = -1))
  returning hold_id),
made as (
  insert into vis.budget_holds (org_id, hold_id, request_id, windows, amount_nusd, writer_no, expires_at, draft)
  select h.org_id, h.hold_id, h.request_id, coalesce(h.windows, '{}'), h.amount_nusd, h.writer_no, h.expires_at, h.draft
    from unnest($2::vis.hold_v1[]) with ordinality h, moved
   where coalesce(moved.refused[h.ordinality], 0) = 0
  on conflict do nothing
  returning hold_id),
events as (
  insert into vis.budget_events (org_id, created_at, id, writer_no, wseq, kind, hold_id, request_id, windows, amount_nusd,
                                 actual_nusd, actor, leaf_hash, position)
  select e.org_id, $4::timestamptz, e.id, e.writer_no, e.wseq, case when e.is_denied then 'deny' else e.kind end, e.hold_id,
         e.request_id, coalesce(e.windows, '{}'), e.amount_nusd, e.actual_nusd, e.actor,
         case when e.is_denied then e.denied_leaf else e.leaf_hash end,
         case when e.windows is not null then e.position end
    from (select told.*, moved.position, coalesce(moved.refused[told.want], 0) > 0 as is_denied from told, moved) e
  on conflict do nothing),
rows as (
  insert into vis.request_logs (
    org_id, created_at, id, writer_no, wseq, entry, request_id, attempt,
    corrects, source, agent_sub, agent_owner, sso_sub, team_id, key_id, spend_token_id,
    caller, project_id, customer_id, task_id, epic_id, task_class, repo, branch,
    commit_sha, pr_url, cost_center, gl_code, memo, url, attribution_level, confidence,
    resolver_version, provider, dialect, model_family, model_requested, model_used, served_tier, upstream_request_id,
    input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage, raw_usage, usage_source,
    currency, cost_nusd, billed_nusd, price_state, price_version, rates, decision, reason,
    status_code, binding_status, policy_revision, pii, finish, latency_ms, ttft_ms, request_sha256,
    tags, leaf_hash)
  select
    org_id, created_at, id, writer_no, wseq, entry, request_id, attempt,
    corrects, source, agent_sub, agent_owner, sso_sub, team_id, key_id, spend_token_id,
    caller, project_id, customer_id, task_id, epic_id, task_class, repo, branch,
    commit_sha, pr_url, cost_center, gl_code, memo, url, attribution_level, confidence,
    resolver_version, provider, dialect, model_family, model_requested, model_used, served_tier, upstream_request_id,
    input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens, usage, raw_usage, usage_source,
    currency, cost_nusd, billed_nusd, price_state, price_version, rates, decision, reason,
    status_code, binding_status, policy_revision, pii, finish, latency_ms, ttft_ms, request_sha256,
    tags, leaf_hash
    from unnest($3::vis.row_v1[])
  on conflict do nothing)
select vis.all_claimed((select count(*) from told where want = -1), (select count(*) from taken)),
       vis.all_made(cardinality($2::vis.hold_v1[]), moved.refused, (select count(*) from made)),
       moved.refused, moved.left_nusd from moved;

-- name: standing
-- Which of these holds still stand.
select h.org_id, h.hold_id, h.request_id, h.amount_nusd, h.expires_at, h.draft, h.windows
  from unnest($1::uuid[], $2::uuid[]) c(org_id, hold_id)
  join vis.budget_holds h on h.org_id = c.org_id and h.hold_id = c.hold_id;

-- name: make_windows
-- Windows that are needed for the first time, with the cap of their budget's anchor. The anchor is locked, so that a cap
-- that is being edited is the new one here.
with anchor as (
  select a.org_id, k.window_id, a.budget_id, k.scope_value, k.starts_at, k.ends_at, a.cap_nusd, a.hard, a.position
    from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[], $6::timestamptz[])
           k(org, window_id, budget, scope_value, starts_at, ends_at)
    join vis.budget_windows a on a.org_id = k.org and a.window_id = k.budget
   order by a.org_id, a.window_id for update of a)
insert into vis.budget_windows (org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard, position)
select org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard, position from anchor
on conflict do nothing;

-- name: denied
-- Which of these holds were refused.
select e.hold_id from unnest($1::uuid[], $2::uuid[]) c(org_id, hold_id)
  join vis.budget_events e on e.org_id = c.org_id and e.hold_id = c.hold_id and e.kind = 'deny';

-- name: event_exists
-- Whether a batch was committed, told by one of its events.
select exists (select from vis.budget_events where org_id = $1 and created_at = $2 and id = $3);

-- name: row_exists
-- Whether a batch was committed, told by one of its rows.
select exists (select from vis.request_logs where org_id = $1 and created_at = $2 and id = $3);

-- name: call_row
-- The row that stands for an attempt of a call, with what it was charged.
select id, cost_nusd, billed_nusd from vis.request_logs
 where org_id = $1 and request_id = $2 and entry = 'call' and created_at >= $3
 order by attempt <> $4, created_at limit 1;

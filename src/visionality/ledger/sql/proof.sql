-- What `vis budget prove` reads, for psycopg. Run as vis_reader in one snapshot that has set vis.org_id, so that the
-- counters, the holds and the events are of one moment.

-- name: windows
-- The windows whose period touches a range. A budget's anchor is no window.
select window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard, opening_nusd, spent_nusd, reserved_nusd, position
  from vis.budget_windows
 where org_id = %(org_id)s and window_id <> budget_id and starts_at < %(end)s and ends_at > %(start)s
 order by budget_id, starts_at, scope_value;

-- name: caps
-- What the administrative log says of budgets, in its order.
select org_id, created_at, id, seq, kind, actor, source_ip, detail, leaf_hash
  from vis.admin_events where org_id = %(org_id)s and kind in ('budget_set', 'budget_removed') order by seq;

-- name: log
-- The administrative log's numbers, which have no gap.
select count(*) as events, coalesce(min(seq), 1) as first, coalesce(max(seq), 0) as last
  from vis.admin_events where org_id = %(org_id)s;

-- name: length
-- How many events and rows there are to read.
select (select count(*) from vis.budget_events
         where org_id = %(org_id)s and created_at >= %(since)s and position is not null)
     + (select count(*) from vis.budget_events
         where org_id = %(org_id)s and created_at >= %(since)s and kind in ('reserve', 'settle', 'expire'))
     + (select count(*) from vis.request_logs
         where org_id = %(org_id)s and created_at >= %(rows_since)s and entry in ('call', 'attempt', 'true_up')) as lines;

-- name: events
-- The life of every hold that is in a window, in the order that the windows have.
select org_id, created_at, id, writer_no, wseq, kind, hold_id, request_id, windows, amount_nusd, actual_nusd, actor,
       leaf_hash, position
  from vis.budget_events
 where org_id = %(org_id)s and created_at >= %(since)s and position is not null
 order by position, writer_no, wseq;

-- name: standing
select hold_id, request_id, windows, amount_nusd from vis.budget_holds
 where org_id = %(org_id)s and windows <> '{}';

-- name: lines
-- What was charged and the rows that it was charged for, call by call.
select request_id, writer_no, false as is_row, wseq, kind as what, created_at, amount_nusd, actual_nusd, position, hold_id, windows
  from vis.budget_events
 where org_id = %(org_id)s and created_at >= %(since)s and kind in ('reserve', 'settle', 'expire')
union all
select request_id, writer_no, true, wseq, price_state, created_at, cost_nusd, null, null, null, '{}'
  from vis.request_logs
 where org_id = %(org_id)s and created_at >= %(rows_since)s and entry in ('call', 'attempt', 'true_up')
 order by request_id, writer_no, is_row, wseq;

-- The two low-rate audit logs, for psycopg. Run by the control plane in the transaction of the change itself, so that
-- a change without its event, or a number without its event, cannot be committed.

-- name: next_seq
insert into vis.stream_heads as h (org_id, log, last_seq) values (%(org_id)s, %(log)s, 1)
on conflict (org_id, log) do update set last_seq = h.last_seq + 1
returning last_seq;

-- name: key_event
insert into vis.key_events (org_id, created_at, id, seq, kind, key_id, subject, actor, detail, leaf_hash)
values (%(org_id)s, %(created_at)s, %(id)s, %(seq)s, %(kind)s, %(key_id)s, %(subject)s, %(actor)s, %(detail)s::jsonb, %(leaf_hash)s);

-- name: admin_event
insert into vis.admin_events (org_id, created_at, id, seq, kind, actor, source_ip, detail, leaf_hash)
values (%(org_id)s, %(created_at)s, %(id)s, %(seq)s, %(kind)s, %(actor)s, %(source_ip)s, %(detail)s::jsonb, %(leaf_hash)s);

-- name: open_budget
-- The anchor of a budget: windows to come take their cap from it.
insert into vis.budget_windows (org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard)
values (%(org_id)s, %(budget_id)s, %(budget_id)s, '', 'epoch', '9999-01-01T00:00Z', %(cap_nusd)s, %(hard)s);

-- name: open_window
-- A window that had spending before its budget was made.
insert into vis.budget_windows (org_id, window_id, budget_id, scope_value, starts_at, ends_at, cap_nusd, hard, opening_nusd, spent_nusd)
select org_id, %(window_id)s, budget_id, %(scope_value)s, %(starts_at)s, %(ends_at)s, cap_nusd, hard, %(opening_nusd)s, %(opening_nusd)s
  from vis.budget_windows where org_id = %(org_id)s and window_id = %(budget_id)s
on conflict do nothing;

-- name: lock_anchor
-- Whoever makes a window of this budget waits, and then makes it with the new cap.
select position from vis.budget_windows where org_id = %(org_id)s and window_id = %(budget_id)s for update;

-- name: lock_windows
-- In the order in which the gateways lock them.
select max(position) from (
  select position from vis.budget_windows where org_id = %(org_id)s and budget_id = %(budget_id)s
   order by window_id for update) locked;

-- name: move_cap
update vis.budget_windows set cap_nusd = %(cap_nusd)s, hard = %(hard)s, position = %(position)s
 where org_id = %(org_id)s and budget_id = %(budget_id)s;

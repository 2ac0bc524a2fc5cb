-- The answers to writes of the API that carried an idempotency key, for the control plane alone.
--
-- Why: a program that lost the answer to a write asks again and must get that answer, not a second key or budget (issue 7, API).
-- What it locks: the table just made. Old code: does not know it. No organisation's revision moves: no gateway reads it.

alter table vis_control.idempotency_key enable row level security;
alter table vis_control.idempotency_key force row level security;
create policy web_all on vis_control.idempotency_key to vis_web
  using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
grant select, insert, update, delete on vis_control.idempotency_key to vis_web;
create index idempotency_key_age on vis_control.idempotency_key (org_id, made_at);

-- The last result of the append-only check, and an index over what was refused.
--
-- Why: the page of the security seat says whether any application role can change history, and since when that is known (L2);
-- it counts refusals by status and reason, of which a leaked key makes few among many rows (K5). What it locks:
-- vis.request_logs against writing while the index is made, which reads every row once; gateways queue their rows for so
-- long. Old code: never looks here.

-- One row. `findings` are the sentences of ledger/privileges.py, none when all is as it must be; `since` is when this very
-- result was first found. It says nothing of any organisation.
create table vis.privilege_check (
  one boolean primary key default true check (one), checked_at timestamptz not null, since timestamptz not null,
  findings text[] not null);
grant select, insert, update on vis.privilege_check to vis_jobs;
grant select on vis.privilege_check to vis_reader, vis_web, vis_auditor;

-- How many credentials were nobody's; not the examples, which may have come from anybody.
create policy counts_read on vis.strangers for select to vis_reader using (true);
grant select (minute, code, times) on vis.strangers to vis_reader;

create index request_logs_refused on vis.request_logs (org_id, created_at, id) where decision = 'refused' and entry = 'call';

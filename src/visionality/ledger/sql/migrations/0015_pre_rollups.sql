-- The daily rollup: what the rows of a day add up to, by each thing that a page lists.
--
-- Why: a page that lists half a million rows of a month by project reads some hundred sums instead (storage.md 10). A sum
-- stands here once its rows were added, and the cursor of each writer says up to which of its rows that is, both written in
-- one transaction; readers add the rows behind the cursors, so what they show is the ledger's sum at every moment. What it
-- locks: nothing that exists. Old code: never looks here. Both are operational state and no audit tables: they can be made
-- anew from the ledger at any time.

-- `day` is the UTC day of created_at, `key` and `key2` are what ledger/sql/sums.sql says of the dimension, empty where the
-- row has none; `digest` stands for both in the primary key, since a name may be longer than an index entry. `source` is
-- that of the row, or `sandbox` for what the simulated provider answered.
create table vis.spend_day (
  org_id uuid not null, dim text not null, day date not null, digest bytea not null, currency text not null, source text not null,
  key text not null, key2 text not null,
  calls bigint not null, asked bigint not null, refused bigint not null, failed bigint not null,
  cost_nusd bigint not null, billed_nusd bigint not null, final_nusd bigint not null,
  unpriced bigint not null, unattributed bigint not null,
  input_tokens bigint not null, cache_read_tokens bigint not null, cache_write_tokens bigint not null,
  output_tokens bigint not null, reasoning_tokens bigint not null, last_at timestamptz,
  primary key (org_id, dim, day, digest, currency, source))
  with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);
alter table vis.spend_day enable row level security;
create policy org_read on vis.spend_day for select to vis_reader, vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy all_read on vis.spend_day for select to vis_auditor, vis_jobs using (true);
create policy seal_all on vis.spend_day to vis_sealer using (true);
grant select on vis.spend_day to vis_reader, vis_web, vis_auditor, vis_jobs;
grant select, insert, update, delete on vis.spend_day to vis_sealer;

-- The last row of each writer that is in the sums. It says nothing of any organisation.
create table vis.rollup_cursor (writer_no int primary key, wseq bigint not null) with (fillfactor = 50);
grant select on vis.rollup_cursor to vis_reader, vis_web, vis_auditor, vis_jobs;
grant select, insert, update, delete on vis.rollup_cursor to vis_sealer;

-- What was found when the ledger was checked, where its heads are kept elsewhere, and what witnesses signed.
--
-- Why: promises L3 and S3. A row that was edited behind our back is named, and stands on the pages until a whole check finds
-- it no longer; a head that somebody else keeps is the only thing that an older database, put back, cannot agree with. What it
-- locks: vis.scope_runs, for an index, while the sealer waits. Old code: never looks here. All three are operational state and no audit tables: whoever can change
-- them can hide a finding here, and neither from a witness nor from a head that is kept elsewhere.

-- One row a day and extent: the last whole check of the day, and the day's samples together. `findings` is a list, of the first in
-- each log: {"kind","log","number","row_id","sentence","writer_no"}.
create table vis.verifications (
  org_id uuid not null, extent text not null check (extent in ('full','sample')), day date not null,
  started_at timestamptz not null, ended_at timestamptz not null, rows bigint not null, waiting bigint not null,
  findings jsonb not null,
  primary key (org_id, extent, day));

-- A place that keeps heads, and the newest that it has of a log. `error` says why a later one is not there, since when.
create table vis.head_places (
  org_id uuid not null, place text not null, log text not null, size bigint not null default 0, kept_at timestamptz,
  error text, failed_since timestamptz, contradicts boolean not null default false,
  primary key (org_id, place, log));

-- The line of a witness under a head; which witness is believed is for whoever reads a pack to say.
create table vis.head_cosignatures (
  org_id uuid not null, log text not null, size bigint not null, root bytea not null check (octet_length(root) = 32),
  name text not null, line text not null check (octet_length(line) <= 1024), added_at timestamptz not null,
  primary key (org_id, log, size, name));

-- What a seal numbered is read seal by seal when it is checked.
create index scope_runs_by_seal on vis.scope_runs (org_id, seal_no);

do $$ declare t text; begin
  foreach t in array array['verifications','head_places','head_cosignatures'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy org_read on vis.%I for select to vis_reader, vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor, vis_sealer using (true)', t);
    execute format('create policy jobs_all on vis.%I to vis_jobs using (true)', t);
    execute format('grant select on vis.%I to vis_reader, vis_web, vis_auditor, vis_sealer, vis_jobs', t);
  end loop;
end $$;
grant insert, update on vis.verifications, vis.head_places to vis_jobs;
create policy web_insert on vis.head_cosignatures for insert to vis_web
  with check (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
grant insert on vis.head_cosignatures to vis_web;

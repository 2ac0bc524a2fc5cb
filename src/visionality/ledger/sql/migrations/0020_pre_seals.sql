-- What the sealer writes: heads as notes, the numbering of scopes, segments, and the keys that sign them.
--
-- Why: L3, S3, S4 and docs/audit/formats.md. A head is kept as the note that is handed out; a scope's rows are numbered without
-- a gap as they are sealed, and closed segment by segment; each organisation has keys of its own for heads, packs and receipts.
-- What it locks: vis.seals, which nobody has written yet, and vis.installation and vis.orgs_v1 for a moment each. Old code: never
-- looks here.

-- A head as it is published; key_id is the fingerprint of the key that signed it.
alter table vis.seals drop column signature;
alter table vis.seals add column note text not null;
create index seals_by_time on vis.seals (org_id, log, sealed_at);
-- Hashes and random bits are not worth a try to compress them.
alter table vis.seals alter column row_ids set storage external, alter column leaf_hashes set storage external;

-- The numbers of a scope, a run of them a seal: row_ids are the ids of the rows first_seq to last_seq, 16 bytes each.
create table vis.scope_runs (
  org_id uuid not null, project_id text not null, first_seq bigint not null, last_seq bigint not null,
  segment_no bigint not null, seal_no bigint not null, first_at timestamptz not null, last_at timestamptz not null,
  row_ids bytea not null,
  primary key (org_id, project_id, first_seq),
  check (last_seq >= first_seq), check (octet_length(row_ids) = 16 * (last_seq - first_seq + 1)));
alter table vis.scope_runs alter column row_ids set storage external;

-- Closed segments. `header` are the bytes whose leaf stands at leaf_index of the log `segments`, where `id` names it.
create table vis.scope_segments (
  org_id uuid not null, project_id text not null, segment_no bigint not null, id uuid not null, leaf_index bigint not null,
  closed_at timestamptz not null, first_seq bigint not null, last_seq bigint not null,
  first_at timestamptz, last_at timestamptz, header bytea not null,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  primary key (org_id, project_id, segment_no), unique (org_id, leaf_index),
  check (last_seq >= first_seq - 1));

do $$ declare t text; begin
  foreach t in array array['scope_runs','scope_segments'] loop
    perform vis.arm(('vis.' || t)::regclass);
    execute format('create policy org_read on vis.%I for select to vis_reader, vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor, vis_sealer, vis_jobs using (true)', t);
    execute format('create policy seal_insert on vis.%I for insert to vis_sealer with check (true)', t);
    execute format('grant select on vis.%I to vis_reader, vis_web, vis_auditor, vis_sealer, vis_jobs', t);
    execute format('grant insert on vis.%I to vis_sealer', t);
  end loop;
end $$;

-- What follows is operational state. All of it but the keys can be made anew from the tables above.

-- The segment of a scope that is still open: its number, its rows so far, and what stands before it. `frontier` is that of the tree
-- over its leaves; the three times are null while it has no row.
create table vis.scope_open (
  org_id uuid not null, project_id text not null, segment_no bigint not null, first_seq bigint not null, last_seq bigint not null,
  opened_at timestamptz, first_at timestamptz, last_at timestamptz, totals jsonb not null, frontier bytea not null,
  prev bytea not null check (octet_length(prev) = 32),
  primary key (org_id, project_id), check (last_seq >= first_seq - 1)) with (fillfactor = 50);
create index scope_open_opened on vis.scope_open (org_id, opened_at);

-- Projects of which somebody wants the open segment closed, with or without rows. The sealer deletes what it has done.
create table vis.segment_requests (
  org_id uuid not null, request_id uuid not null, projects text[] not null, asked_at timestamptz not null,
  primary key (org_id, request_id));

-- Keys of an organisation that sign evidence. One of each role signs: the one without verify_until and revoked_at.
create table vis.evidence_keys (
  org_id uuid not null, key_id uuid not null, role text not null check (role in ('log','pack','receipt')),
  public bytea not null check (octet_length(public) = 32), active_from timestamptz not null,
  verify_until timestamptz, revoked_at timestamptz,
  primary key (org_id, key_id));
create unique index evidence_keys_active on vis.evidence_keys (org_id, role) where verify_until is null and revoked_at is null;

-- Their private halves, sealed. Who signs heads cannot be who answers people: each process sees those of its role only.
create table vis.evidence_key_secrets (
  org_id uuid not null, key_id uuid not null, role text not null check (role in ('log','pack','receipt')), sealed bytea not null,
  primary key (org_id, key_id));

-- Keys that an administrator wants replaced: `rotate` believes what the one before signed, `revoke` nothing of it.
create table vis.evidence_key_orders (
  org_id uuid not null, order_id uuid not null, role text not null check (role in ('log','pack','receipt')),
  act text not null check (act in ('rotate','revoke')), key_id uuid, asked_at timestamptz not null,
  primary key (org_id, order_id), check ((act = 'revoke') = (key_id is not null)));

do $$ declare t text; begin
  foreach t in array array['scope_open','segment_requests','evidence_keys','evidence_key_orders'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy org_read on vis.%I for select to vis_reader, vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor, vis_jobs using (true)', t);
    execute format('create policy seal_all on vis.%I to vis_sealer using (true)', t);
    execute format('grant select on vis.%I to vis_reader, vis_web, vis_auditor, vis_jobs', t);
    execute format('grant select, insert, update, delete on vis.%I to vis_sealer', t);
  end loop;
  foreach t in array array['segment_requests','evidence_key_orders'] loop
    execute format('create policy web_insert on vis.%I for insert to vis_web with check (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('grant insert on vis.%I to vis_web', t);
  end loop;
end $$;
create policy jobs_insert on vis.segment_requests for insert to vis_jobs with check (true);
grant insert on vis.segment_requests to vis_jobs;
revoke update, delete on vis.evidence_keys from vis_sealer;
grant update (verify_until, revoked_at) on vis.evidence_keys to vis_sealer;

create policy receipts_read on vis.evidence_keys for select to vis_writer using (role = 'receipt');
grant select on vis.evidence_keys to vis_writer;
alter table vis.evidence_key_secrets enable row level security;
create policy seal_all on vis.evidence_key_secrets to vis_sealer using (true);
create policy packs_read on vis.evidence_key_secrets for select to vis_reader, vis_web
  using (role = 'pack' and org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy jobs_read on vis.evidence_key_secrets for select to vis_jobs using (role = 'pack');
create policy receipts_read on vis.evidence_key_secrets for select to vis_writer using (role = 'receipt');
grant select, insert on vis.evidence_key_secrets to vis_sealer;
grant select on vis.evidence_key_secrets to vis_reader, vis_web, vis_jobs, vis_writer;

-- Up to which number of each writer its rows are sealed. The other logs need none: their `seq` is the place in the tree.
create table vis.seal_cursors (
  log text not null, writer_no int not null, wseq bigint not null, primary key (log, writer_no)) with (fillfactor = 50);

-- Who seals now: one row, held until it expires. `fence` grows with each new holder.
create table vis.seal_lease (
  one boolean primary key default true check (one), holder uuid not null, fence bigint not null,
  expires_at timestamptz not null, stepped_at timestamptz not null) with (fillfactor = 50);
grant select on vis.seal_cursors, vis.seal_lease to vis_reader, vis_web, vis_auditor, vis_jobs;
grant select, insert, update, delete on vis.seal_cursors to vis_sealer;
grant select, insert, update on vis.seal_lease to vis_sealer;

-- A head names its installation; a day ends in the organisation's time zone; the last number of a log is known beside its rows.
grant select (installation_id) on vis.installation to vis_sealer, vis_reader, vis_auditor;
grant select on vis.orgs_v1 to vis_sealer;
grant select on vis.stream_heads to vis_sealer, vis_reader, vis_auditor;

-- What evidence says of the organisation it is about, to those who read one organisation at a time.
create view vis.own_org_v1 with (security_barrier = true) as
select org_id, slug, name, time_zone from vis.orgs_v1 where org_id = nullif(current_setting('vis.org_id', true), '')::uuid;
grant select on vis.own_org_v1 to vis_reader, vis_web, vis_jobs, vis_auditor;

-- The evidence packs that were handed out.
--
-- Why: S3 and docs/audit/formats.md, section 5. A pack proves that its head extends the head of the pack before it of the same
-- scope, so that head is kept; who was given what, and under which fingerprint, is a record that no application role can change.
-- What it locks: nothing that exists. Old code: never looks here.

-- `scope_kind` and `scope_name` say the scope, `projects` what it was made of. `rows` is how rows came along, `row_count` how many
-- were in the segments that the period meets, `size` the bytes of the envelope. `summary` is what a page shows of it:
-- {"controls":[{"control","title","status","population","passed","exceptions"}],"limits":[...],
--  "totals":{CURRENCY:{"cost","billed","rows"}}}. `checkpoint` is its head of the log `segments`, of `checkpoint_size` leaves.
-- `envelope` is the pack itself where it is small.
create table vis.evidence_packs (
  org_id uuid not null, pack_id uuid not null, made_at timestamptz not null, made_by text not null,
  scope_kind text not null check (scope_kind in ('organisation','project','customer')), scope_name text not null,
  projects text[] not null, first_day date not null, last_day date not null,
  rows text not null check (rows in ('embedded','file','none')), row_count bigint not null,
  fingerprint bytea not null check (octet_length(fingerprint) = 32), size bigint not null,
  summary jsonb not null, checkpoint_size bigint not null, checkpoint text not null, envelope bytea,
  primary key (org_id, pack_id));
create index evidence_packs_scope on vis.evidence_packs (org_id, scope_kind, scope_name, made_at);
create index evidence_packs_time on vis.evidence_packs (org_id, made_at, pack_id);

select vis.arm('vis.evidence_packs');
create policy org_read on vis.evidence_packs for select to vis_reader, vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy all_read on vis.evidence_packs for select to vis_auditor, vis_sealer, vis_jobs using (true);
create policy web_insert on vis.evidence_packs for insert to vis_web with check (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
grant select on vis.evidence_packs to vis_reader, vis_web, vis_auditor, vis_sealer, vis_jobs;
grant insert on vis.evidence_packs to vis_web;

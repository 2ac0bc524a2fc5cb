-- Proofs that were used, minted spend tokens, and credentials that are nobody's.
--
-- Why: a proof counts once over all gateways (K4), a gateway mints spend tokens and writes up each, and each refusal to
-- (K3), and a stranger may not fill an append-only table (K5). What it locks: nothing that exists for longer than a new
-- grant takes. Old code: knows nothing of it.

-- The replay store. `signed_at` is covered by the proof's MAC, so a replay meets the very same key.
create table vis.nonces (
  org_id uuid not null, signed_at timestamptz not null, digest bytea not null check (octet_length(digest) = 32),
  primary key (org_id, signed_at, digest))
  with (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 5000);

-- A database that was promoted or restored may have lost the last proofs that were used: it goes on with another timeline of
-- its log. The first look at a timeline is kept, and proofs signed before it are refused. That of now has lost nothing.
create table vis.replay_fences (timeline bigint primary key, since timestamptz not null);
insert into vis.replay_fences (timeline, since)
values (('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint, 'epoch');

-- Credentials that can be tied to nobody, counted by minute, with one example of each kind.
create table vis.strangers (
  minute timestamptz not null, writer_no int not null, code text not null, times bigint not null, example jsonb not null,
  primary key (minute, writer_no, code));

do $$ declare t text; begin
  foreach t in array array['nonces','replay_fences','strangers'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy writer_all on vis.%I to vis_writer using (true) with check (true)', t);
    execute format('create policy jobs_all on vis.%I to vis_jobs using (true)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor using (true)', t);
    execute format('grant select on vis.%I to vis_writer, vis_jobs, vis_auditor', t);
    execute format('grant insert on vis.%I to vis_writer', t);
  end loop;
end $$;
grant update (times) on vis.strangers to vis_writer;
grant delete on vis.nonces, vis.strangers to vis_jobs;

-- The gateway writes up what it mints and what it refuses to mint, with the numbers of the same gap-free log.
create policy app_insert on vis.key_events for insert to vis_writer with check (true);
grant insert on vis.key_events to vis_writer;
create policy writer_keys on vis.stream_heads to vis_writer using (log = 'key_events') with check (log = 'key_events');
grant select, insert, update on vis.stream_heads to vis_writer;

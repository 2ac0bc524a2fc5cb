-- The ledger: five audit tables that take INSERT and nothing else, and the operational state beside them.
--
-- Why: promises L1 (one row a call), L2 (no application role can change it), L4 (a hold before the call, so
-- that a crash leaves a trace). What it locks: nothing that exists. Old code: there is none (pre).
-- Runs as vis_owner. Names are always qualified; no sequences, no identity columns, no foreign keys.

-- A function made later is nobody's to call until it is granted.
alter default privileges revoke execute on functions from public;

-- Who writes. A number names one run of one process; it is never used again.
create table vis.writers (
  writer_no int primary key, process text not null, started_at timestamptz not null default now(),
  heartbeat_at timestamptz not null default now(), fenced_at timestamptz);

-- One row: which installation this is, and a fingerprint of the master key that its secrets need.
create table vis.installation (
  one boolean primary key default true check (one), installation_id uuid not null,
  master_fingerprint bytea not null, created_at timestamptz not null default now());

-- Bumped in the transaction of every control change; a gateway polls it and reloads what moved.
create table vis.org_revisions (org_id uuid primary key, revision bigint not null);

-- Gap-free numbers for the two logs that the control plane writes at low rate.
create table vis.stream_heads (
  org_id uuid not null, log text not null, last_seq bigint not null, primary key (org_id, log));

-- 1. the ledger row
create table vis.request_logs (
  org_id uuid not null, created_at timestamptz not null, id uuid not null,
  writer_no int not null, wseq bigint not null,
  entry text not null check (entry in ('call','attempt','correction','true_up','import')),
  request_id uuid not null, attempt smallint not null, corrects uuid, source text not null,
  -- who
  agent_sub text, agent_owner text, sso_sub text, team_id text, key_id uuid, spend_token_id text, caller text,
  -- for what
  project_id text, customer_id text, task_id text, epic_id text, task_class text, repo text, branch text,
  commit_sha text, pr_url text, cost_center text, gl_code text, memo text, url text,
  attribution_level smallint, confidence smallint, resolver_version int,
  -- which model
  provider text not null, dialect text not null, model_family text, model_requested text, model_used text,
  served_tier text, upstream_request_id text,
  -- how much
  input_tokens bigint not null, cache_read_tokens bigint not null, cache_write_tokens bigint not null,
  output_tokens bigint not null, reasoning_tokens bigint not null,
  usage jsonb, raw_usage text check (octet_length(raw_usage) <= 8192), usage_source text not null,
  -- money: rates are the unit prices that were applied, so that a row can be recomputed from itself
  currency text not null, cost_nusd bigint not null, billed_nusd bigint not null,
  price_state text not null check (price_state in ('known','unknown','free')), price_version int, rates jsonb,
  -- decision
  decision text not null check (decision in ('allowed','refused','failed')), reason text, status_code smallint not null,
  binding_status text not null, policy_revision bigint, pii jsonb, finish text,
  -- timing and proof
  latency_ms int, ttft_ms int, request_sha256 bytea, tags jsonb,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  check (cost_nusd >= 0 or entry in ('correction','true_up')),
  primary key (org_id, created_at, id)
) partition by range (created_at);
create index request_logs_project on vis.request_logs (org_id, project_id, created_at, id);
create index request_logs_agent   on vis.request_logs (org_id, agent_sub, created_at);
create index request_logs_task    on vis.request_logs (org_id, task_id, created_at) where task_id is not null;
create index request_logs_stream  on vis.request_logs (writer_no, wseq);

-- 2. budget events: the life of every hold
create table vis.budget_events (
  org_id uuid not null, created_at timestamptz not null, id uuid not null, writer_no int not null, wseq bigint not null,
  kind text not null check (kind in ('reserve','deny','settle','release','expire','overage','cap')),
  hold_id uuid, request_id uuid, windows uuid[] not null, amount_nusd bigint not null, actual_nusd bigint, actor text,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  primary key (org_id, created_at, id)) partition by range (created_at);
create index budget_events_hold   on vis.budget_events (org_id, hold_id);
create index budget_events_stream on vis.budget_events (writer_no, wseq);

-- 3. key and token life cycle
create table vis.key_events (
  org_id uuid not null, created_at timestamptz not null, id uuid not null, seq bigint not null,
  kind text not null, key_id uuid, subject text, actor text not null, detail jsonb,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  primary key (org_id, created_at, id)) partition by range (created_at);
create index key_events_seq on vis.key_events (org_id, seq);

-- 4. administrative acts
create table vis.admin_events (
  org_id uuid not null, created_at timestamptz not null, id uuid not null, seq bigint not null,
  kind text not null, actor text not null, source_ip text, detail jsonb,
  leaf_hash bytea not null check (octet_length(leaf_hash) = 32),
  primary key (org_id, created_at, id)) partition by range (created_at);
create index admin_events_seq on vis.admin_events (org_id, seq);

-- 5. signed tree heads with packed leaves (written by the sealer, once there is one)
create table vis.seals (
  org_id uuid not null, log text not null, seal_no bigint not null, sealed_at timestamptz not null,
  first_index bigint not null, tree_size bigint not null, root bytea not null, frontier bytea not null,
  row_ids bytea not null, leaf_hashes bytea not null, cursors jsonb not null, key_id text not null, signature bytea not null,
  primary key (org_id, log, seal_no), unique (org_id, log, first_index),
  check (octet_length(leaf_hashes) = 32 * (tree_size - first_index)),
  check (octet_length(row_ids) = 16 * (tree_size - first_index)));

-- Operational state, mutable and no audit table. A hold is money reserved for one attempt; draft is the row as
-- far as it was known before the call left, so that the reaper can finish it after a crash. A hold without a
-- draft keeps the uncertain rest of an estimated call until it expires.
create table vis.budget_holds (
  org_id uuid not null, hold_id uuid not null, request_id uuid not null, windows uuid[] not null,
  amount_nusd bigint not null check (amount_nusd >= 0), writer_no int not null, expires_at timestamptz not null,
  draft text, primary key (org_id, hold_id))
  with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 2000);
create index budget_holds_writer on vis.budget_holds (writer_no);
create index budget_holds_expiry on vis.budget_holds (expires_at);

-- What the writer sends, versioned: a later column makes a new type, and code of before goes on with the old one.
create type vis.row_v1 as (
  org_id uuid, created_at timestamptz, id uuid, writer_no int, wseq bigint, entry text,
  request_id uuid, attempt smallint, corrects uuid, source text, agent_sub text, agent_owner text,
  sso_sub text, team_id text, key_id uuid, spend_token_id text, caller text, project_id text,
  customer_id text, task_id text, epic_id text, task_class text, repo text, branch text,
  commit_sha text, pr_url text, cost_center text, gl_code text, memo text, url text,
  attribution_level smallint, confidence smallint, resolver_version int, provider text, dialect text, model_family text,
  model_requested text, model_used text, served_tier text, upstream_request_id text, input_tokens bigint, cache_read_tokens bigint,
  cache_write_tokens bigint, output_tokens bigint, reasoning_tokens bigint, usage jsonb, raw_usage text, usage_source text,
  currency text, cost_nusd bigint, billed_nusd bigint, price_state text, price_version int, rates jsonb,
  decision text, reason text, status_code smallint, binding_status text, policy_revision bigint, pii jsonb,
  finish text, latency_ms int, ttft_ms int, request_sha256 bytea, tags jsonb, leaf_hash bytea);
create type vis.event_v1 as (
  org_id uuid, created_at timestamptz, id uuid, writer_no int, wseq bigint, kind text, hold_id uuid, request_id uuid,
  windows uuid[], amount_nusd bigint, actual_nusd bigint, actor text, leaf_hash bytea);
create type vis.hold_v1 as (
  org_id uuid, hold_id uuid, request_id uuid, windows uuid[], amount_nusd bigint, writer_no int, expires_at timestamptz,
  draft text);

create function vis.no_change() returns trigger language plpgsql set search_path = pg_catalog as $$
begin raise exception 'append-only: % on %', tg_op, tg_relid::regclass using errcode = '42501'; end $$;

-- Every audit table and every new partition is armed: statement triggers are not cloned to partitions, and an
-- ordinary trigger is silent under session_replication_role = replica.
create function vis.arm(rel regclass) returns void language plpgsql set search_path = pg_catalog as $$
begin
  if not exists (select 1 from pg_trigger where tgrelid = rel and tgname = 'ao_row') then
    execute format('create trigger ao_row before update or delete on %s for each row execute function vis.no_change()', rel); end if;
  if not exists (select 1 from pg_trigger where tgrelid = rel and tgname = 'ao_trunc') then
    execute format('create trigger ao_trunc before truncate on %s for each statement execute function vis.no_change()', rel); end if;
  execute format('alter table %s enable always trigger ao_row', rel);
  execute format('alter table %s enable always trigger ao_trunc', rel);
  execute format('alter table %s enable row level security', rel);
  execute format('alter table %s force row level security', rel);
  execute format('revoke all on %s from public', rel);
end $$;

create function vis.add_month(rel regclass, m date) returns void language plpgsql set search_path = pg_catalog as $$
declare p text := rel::text || to_char(m, '_YYYYMM');
begin
  if to_regclass(p) is not null then return; end if;
  execute format('create table %s partition of %s for values from (%L) to (%L)', p, rel,
                 to_char(m, 'YYYY-MM-DD 00:00:00+00'), to_char(m + interval '1 month', 'YYYY-MM-DD 00:00:00+00'));
  perform vis.arm(p::regclass);
end $$;

-- Months from that of the given day on; there is no default partition, so a missing month is an alarm.
create function vis.add_months(first date, months int) returns void language plpgsql set search_path = pg_catalog as $$
declare t text; i int;
begin
  for i in 0 .. months - 1 loop
    foreach t in array array['request_logs','budget_events','key_events','admin_events'] loop
      perform vis.add_month(('vis.' || t)::regclass, (date_trunc('month', first) + make_interval(months => i))::date);
    end loop;
  end loop;
end $$;

-- A batch that claims holds must claim all of them, or none of it happened.
create function vis.all_claimed(wanted bigint, claimed bigint) returns boolean language plpgsql set search_path = pg_catalog as $$
begin
  if wanted <> claimed then
    raise exception 'claimed % of % holds', claimed, wanted using errcode = 'VH001';
  end if;
  return true;
end $$;

do $$ declare t text; begin
  foreach t in array array['request_logs','budget_events','key_events','admin_events','seals'] loop
    perform vis.arm(('vis.' || t)::regclass);
    execute format('create policy org_read on vis.%I for select to vis_reader, vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor, vis_sealer, vis_jobs using (true)', t);
    execute format('grant select on vis.%I to vis_reader, vis_web, vis_auditor, vis_sealer, vis_jobs', t);
  end loop;
  foreach t in array array['request_logs','budget_events'] loop          -- the gateway
    execute format('create policy app_insert on vis.%I for insert to vis_writer with check (true)', t);
    execute format('create policy app_read on vis.%I for select to vis_writer using (true)', t);
    execute format('grant select, insert on vis.%I to vis_writer', t);
  end loop;
  foreach t in array array['key_events','admin_events'] loop             -- the control plane and its jobs
    execute format('create policy web_insert on vis.%I for insert to vis_web with check (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_insert on vis.%I for insert to vis_jobs with check (true)', t);
    execute format('grant insert on vis.%I to vis_web, vis_jobs', t);
  end loop;
  execute 'create policy seal_insert on vis.seals for insert to vis_sealer with check (true)';
  execute 'grant insert on vis.seals to vis_sealer';
end $$;

-- The control plane moves its own organisation's revision and numbers, and no other's.
do $$ declare t text; begin
  foreach t in array array['org_revisions','stream_heads'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy web_own on vis.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis.%I to vis_jobs using (true)', t);
    execute format('create policy all_read on vis.%I for select to vis_writer, vis_sealer, vis_reader, vis_auditor using (true)', t);
  end loop;
end $$;

grant usage on schema vis to vis_writer, vis_web, vis_jobs, vis_reader, vis_auditor, vis_sealer;
grant select on vis.org_revisions to vis_writer, vis_sealer, vis_reader, vis_auditor;
grant select, insert, update on vis.org_revisions, vis.stream_heads to vis_web, vis_jobs;
grant select, insert on vis.installation to vis_web;
grant select on vis.installation to vis_writer, vis_jobs;
grant select, insert, update on vis.writers to vis_writer;
grant select on vis.writers to vis_sealer, vis_jobs, vis_reader, vis_auditor;
grant select, insert, delete on vis.budget_holds to vis_writer;
grant select on vis.budget_holds to vis_jobs;
revoke all on all functions in schema vis from public;
grant execute on function vis.all_claimed(bigint, bigint) to vis_writer;

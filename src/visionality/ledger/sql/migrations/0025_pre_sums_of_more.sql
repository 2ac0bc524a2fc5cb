-- The daily rollup gets three more dimensions, the work of projects and what splits move; and two indexes over rows of which there are few.
--
-- Why: the pages of coverage, of a project's work, of the spend by cost center and of the queue read every row of a month, and so did
-- the ledger page's filters by decision, status or source. What it locks: the sums against the roller for a moment, and
-- vis.request_logs against writing while the indexes are made, which reads every row twice; gateways queue their rows for so long.
-- The sums are emptied and made anew by the roller of the new code, at some ten thousand rows a second; until then pages read the rows,
-- which is slower and as right. Old code: its readers find no sums and read the rows; its roller cannot add to
-- sums that have more dimensions than it knows, since it does not say which those are.

lock table vis.rollup_cursor in access exclusive mode;
delete from vis.rollup_cursor;
delete from vis.spend_day;

-- Which dimensions the sums have: a roller of other code, before or after, cannot move a cursor and so adds nothing. Whoever adds a
-- dimension empties the sums and counts on.
alter table vis.rollup_cursor add column dims int not null check (dims = 2);

-- What the served rows of a project's day add up to by all that its work is told by: the places, the people and the models. Calls
-- are counted as in vis.spend_day. `first_made` and `last_made` are of the calls that the rows are of, corrections among them, and say
-- on which pull request of the branch they went; `first_call` and `last_call` are of the calls that are counted. What the simulated
-- provider answered is left out. `digest` stands for all that can be nothing.
create table vis.work_day (
  org_id uuid not null, project_id text not null, day date not null, digest bytea not null, currency text not null,
  task_id text, epic_id text, repo text, branch text, commit_sha text, pr_url text, agent_owner text, model text,
  calls bigint not null, input_tokens bigint not null, cache_read_tokens bigint not null, cache_write_tokens bigint not null,
  output_tokens bigint not null, cost_nusd bigint not null,
  first_call timestamptz, last_call timestamptz, first_made timestamptz not null, last_made timestamptz not null,
  primary key (org_id, project_id, day, digest, currency))
  with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- What the splits between cost centers take from each cost center and general-ledger code of a day, or give it: all of it adds up
-- to nothing. Each row was split by itself, to the nano-dollar.
create table vis.moved_day (
  org_id uuid not null, day date not null, digest bytea not null, currency text not null, cost_center text not null, gl_code text not null,
  cost_nusd bigint not null, billed_nusd bigint not null, rows bigint not null,
  primary key (org_id, day, digest, currency))
  with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

-- The splits that vis.moved_day knows: where one is missing, readers split the rows themselves.
create table vis.moved_by (org_id uuid not null, split_id uuid not null, primary key (org_id, split_id));

do $$ declare t text; begin
  foreach t in array array['work_day','moved_day','moved_by'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy org_read on vis.%I for select to vis_reader, vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy all_read on vis.%I for select to vis_auditor, vis_jobs using (true)', t);
    execute format('create policy seal_all on vis.%I to vis_sealer using (true)', t);
    execute format('grant select on vis.%I to vis_reader, vis_web, vis_auditor, vis_jobs', t);
    execute format('grant select, insert, update, delete on vis.%I to vis_sealer', t);
  end loop;
end $$;

-- The splits of every organisation, for the roller.
create view vis.all_splits_v1 as
select org_id, id as split_id, scope_kind, scope_value, parts, effective_from from vis_control.cost_split;
grant select on vis.all_splits_v1 to vis_sealer;

-- Rows that may wait for an operator; whether a correction has settled one is looked up.
create index request_logs_waiting on vis.request_logs (org_id, created_at)
 where entry in ('call', 'attempt', 'import') and (project_id is null or tags ? 'attribution_conflict' or tags ? 'project_denied');

-- Rows of which there are few, so that a page of those that were refused, failed or were booked anew does not pass all the others.
create index request_logs_unusual on vis.request_logs (org_id, created_at, id)
 where decision <> 'allowed' or status_code <> 200 or entry <> 'call' or reason is not null;

-- What an operator is told: alerts, once each, and where they still have to go.
--
-- Why: a budget that burns is flagged before its client sees it (B2). What it locks: nothing that exists. Old code: there is
-- none. Both are operational state and no audit tables.

-- `mark` tells alerts of one kind about one subject apart: the percent of a threshold.
create table vis.alerts (
  org_id uuid not null, alert_id uuid not null, created_at timestamptz not null, kind text not null, subject_id uuid not null,
  mark int not null, scope text not null, title text not null, body text not null, detail jsonb not null,
  acknowledged_at timestamptz, acknowledged_by text,
  primary key (org_id, alert_id), unique (org_id, kind, subject_id, mark));

create table vis.alert_deliveries (
  org_id uuid not null, alert_id uuid not null, channel_id uuid not null, due_at timestamptz not null,
  attempts int not null default 0, delivered_at timestamptz, given_up_at timestamptz, last_error text,
  primary key (org_id, alert_id, channel_id));
create index alert_deliveries_due on vis.alert_deliveries (due_at) where delivered_at is null and given_up_at is null;

do $$ declare t text; begin
  foreach t in array array['alerts','alert_deliveries'] loop
    execute format('alter table vis.%I enable row level security', t);
    execute format('create policy web_own on vis.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis.%I to vis_jobs using (true)', t);
    execute format('grant select, insert on vis.%I to vis_jobs', t);
    execute format('grant select on vis.%I to vis_web', t);
  end loop;
end $$;
grant update (acknowledged_at, acknowledged_by) on vis.alerts to vis_web;
grant update (due_at, attempts, delivered_at, given_up_at, last_error) on vis.alert_deliveries to vis_jobs;

create trigger moved after insert or update or delete on vis_control.alert_channel for each row execute function vis_control.moved();
alter table vis_control.alert_channel enable row level security;
alter table vis_control.alert_channel force row level security;
create policy web_all on vis_control.alert_channel to vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy jobs_all on vis_control.alert_channel to vis_jobs using (true);
create policy views_read on vis_control.alert_channel for select to vis_owner using (true);
grant select, insert, update, delete on vis_control.alert_channel to vis_web, vis_jobs;
create view vis.alert_channels_v1 as
select org_id, id as channel_id, kind, target from vis_control.alert_channel where retired_at is null;
grant select on vis.alert_channels_v1 to vis_jobs;

-- Whether a row counts to a scope of budgets: what the gateway decided before the call, said of the row.
create function vis.is_of_scope(_kind text, _value text, r vis.request_logs) returns boolean
language sql stable set search_path = pg_catalog as $$
  select case _kind
    when 'organisation' then true when 'project' then r.project_id = _value when 'customer' then r.customer_id = _value
    when 'team' then r.team_id = _value when 'person' then r.sso_sub = _value when 'agent' then r.agent_sub = _value
    when 'task_class' then r.task_class = _value when 'model_family' then r.model_family = _value
    when 'key' then r.key_id::text = _value when 'spend_token' then r.spend_token_id = _value
    when 'business_unit' then r.tags ->> 'business_unit' = _value end $$;
revoke all on function vis.is_of_scope(text, text, vis.request_logs) from public;
grant execute on function vis.is_of_scope(text, text, vis.request_logs) to vis_jobs, vis_web, vis_reader;

-- Budgets, markups, splits, model hints and rate limits as the data plane reads them; the zone of an organisation's
-- calendar and the business unit of a key.
--
-- Why: a gateway decides on them before a call leaves (B1, B3, B4). What it locks: the control tables just made, and two
-- views, which get a column at their end, for a moment. Old code: reads the columns that it knows.

do $$ declare t text; begin
  foreach t in array array['budget','markup','cost_split','model_hint','rate_limit'] loop
    execute format('create trigger moved after insert or update or delete on vis_control.%I for each row execute function vis_control.moved()', t);
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    execute format('grant select, insert on vis_control.%I to vis_web, vis_jobs', t);
    if t not in ('markup', 'cost_split') then                              -- these two only ever grow
      execute format('grant update, delete on vis_control.%I to vis_web, vis_jobs', t);
    end if;
  end loop;
end $$;

create or replace view vis.orgs_v1 as select id as org_id, slug, name, time_zone from vis_control.organisation;

create or replace view vis.keys_v1 as
select k.org_id, k.id as key_id, k.handle_hmac, k.expires_at, k.revoked_at,
       a.sub as agent_sub, a.owner as agent_owner, p.sso_sub, t.key as team_id, nullif(t.cost_center, '') as cost_center,
       j.key as project_id, nullif(j.gl_code, '') as gl_code, coalesce(c.key, jc.key) as customer_id,
       nullif(k.task_id, '') as task_id, nullif(k.task_class, '') as task_class,
       nullif(k.memo, '') as memo, nullif(k.url, '') as url, nullif(j.passthrough, '{}') as passthrough,
       coalesce(nullif(j.business_unit, ''), nullif(t.business_unit, '')) as business_unit
  from vis_control.virtual_key k
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = a.team_id and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = k.org_id
  left join vis_control.end_customer c on c.id = k.customer_id and c.org_id = k.org_id;

create view vis.budgets_v1 as
select org_id, id as budget_id, scope_kind, scope_value, period, cap_nusd, hard,
       array(select jsonb_array_elements_text(soft)::int) as soft, near_cap, ceiling_nusd, created_at
  from vis_control.budget where retired_at is null;

create view vis.markups_v1 as
select org_id, id as markup_id, scope_kind, scope_value, multiplier, effective_from from vis_control.markup;

create view vis.hints_v1 as
select org_id, id as hint_id, agent_sub, project, task_class, model_from, prefer, created_at
  from vis_control.model_hint where retired_at is null;

create view vis.rate_limits_v1 as
select org_id, id as limit_id, scope_kind, scope_value, requests_per_minute, tokens_per_minute, created_at
  from vis_control.rate_limit where retired_at is null;

-- For reports, which are of one organisation: it shows that of `vis.org_id` and no other's.
create view vis.splits_v1 with (security_barrier = true) as
select org_id, id as split_id, scope_kind, scope_value, parts, effective_from from vis_control.cost_split
 where org_id = nullif(current_setting('vis.org_id', true), '')::uuid;

grant select on vis.budgets_v1 to vis_writer, vis_jobs;
grant select on vis.markups_v1, vis.hints_v1, vis.rate_limits_v1 to vis_writer;
grant select on vis.splits_v1 to vis_writer, vis_jobs, vis_reader;

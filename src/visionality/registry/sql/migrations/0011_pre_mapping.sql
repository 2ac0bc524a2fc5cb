-- The mapping file, the dated identity table and the projects that a key may claim, as the data plane reads them.
--
-- Why: a gateway finds the project of a call by its repo, and puts the owner and the team of today on its row (A2, A4). What
-- it locks: the control tables just made, and a view, which gets a column at its end, for a moment. Old code: reads the
-- columns that it knows; the owner, team, cost center and GL code of an agent come from its period where it has one.

do $$ declare t text; begin
  foreach t in array array['mapped_repo','project_alias','mapping_file','agent_identity_period'] loop
    execute format('create trigger moved after insert or update or delete on vis_control.%I for each row execute function vis_control.moved()', t);
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    execute format('grant select, insert on vis_control.%I to vis_web, vis_jobs', t);
    if t not in ('mapping_file', 'agent_identity_period') then             -- these two only ever grow
      execute format('grant update, delete on vis_control.%I to vis_web, vis_jobs', t);
    end if;
  end loop;
end $$;
-- Telling that a period has begun moves the revision of its organisation; no application role changes what it says.
grant update (announced_at) on vis_control.agent_identity_period to vis_jobs;

create or replace view vis.keys_v1 as
select k.org_id, k.id as key_id, k.handle_hmac, k.expires_at, k.revoked_at,
       a.sub as agent_sub, case when i.id is null then a.owner else i.owner end as agent_owner, p.sso_sub, t.key as team_id,
       coalesce(nullif(i.cost_center, ''), nullif(t.cost_center, '')) as cost_center,
       j.key as project_id, coalesce(nullif(j.gl_code, ''), nullif(i.gl_code, '')) as gl_code,
       coalesce(c.key, jc.key) as customer_id,
       nullif(k.task_id, '') as task_id, nullif(k.task_class, '') as task_class,
       nullif(k.memo, '') as memo, nullif(k.url, '') as url, nullif(j.passthrough, '{}') as passthrough,
       coalesce(nullif(j.business_unit, ''), nullif(t.business_unit, '')) as business_unit,
       k.previous_hmac, k.previous_until, k.rotation, k.level,
       array(select jsonb_array_elements_text(k.scopes)) as scopes,
       array(select jsonb_array_elements_text(k.model_globs)) as models,
       array(select jsonb_array_elements_text(k.providers)) as providers,
       array(select jsonb_array_elements_text(k.networks)) as networks,
       array(select jsonb_array_elements_text(k.callers)) as callers,
       k.service_id, k.org_epoch, k.person_epoch, coalesce(p.epoch, 1) as person_epoch_now,
       array(select jsonb_array_elements_text(k.projects)) as projects
  from vis_control.virtual_key k
  join vis_control.agent_identity a on a.id = k.agent_id and a.org_id = k.org_id
  left join lateral (
    select id, owner, team_id, cost_center, gl_code from vis_control.agent_identity_period
     where agent_id = a.id and org_id = k.org_id and valid_from <= now()
     order by valid_from desc, made_at desc, id desc limit 1) i on true
  left join vis_control.person p on p.id = a.person_id and p.org_id = k.org_id
  left join vis_control.team t on t.id = case when i.id is null then a.team_id else i.team_id end and t.org_id = k.org_id
  left join vis_control.project j on j.id = k.project_id and j.org_id = k.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = k.org_id
  left join vis_control.end_customer c on c.id = k.customer_id and c.org_id = k.org_id;

create view vis.repos_v1 as
select r.org_id, r.repo, r.name, j.key as project_id, coalesce(c.key, jc.key) as customer_id,
       nullif(r.default_epic, '') as default_epic, nullif(r.branch_pattern, '') as branch_pattern
  from vis_control.mapped_repo r
  join vis_control.project j on j.id = r.project_id and j.org_id = r.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = r.org_id
  left join vis_control.end_customer c on c.id = r.customer_id and c.org_id = r.org_id;

create view vis.project_aliases_v1 as
select a.org_id, a.alias, j.key as project_id
  from vis_control.project_alias a
  join vis_control.project j on j.id = a.project_id and j.org_id = a.org_id;

grant select on vis.repos_v1, vis.project_aliases_v1 to vis_writer;

-- Connectors and what they read: who may touch it, and the issues and pull requests that the data plane and reports see.
--
-- Why: a branch's key must be an issue of the tracker, which gives the row its epic, and a row leads to its pull request
-- (A4, P1). What it locks: the tables just made. Old code: does not know them. What a service said moves no organisation's
-- revision: a gateway would read all its policy again for each page. It watches `vis.trackers_v1` instead.

do $$ declare t text; begin
  foreach t in array array['connector','connector_secret','connector_run','tracked_project','tracked_issue',
                           'tracked_repository','tracked_branch','pull_request','pull_request_commit'] loop
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    if t <> 'connector_secret' then
      execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    end if;
    execute format('grant select on vis_control.%I to vis_web, vis_jobs', t);
  end loop;
end $$;
-- Rows of the ledger may refer to all of it, so nobody deletes.
grant insert, update on vis_control.tracked_project, vis_control.tracked_issue, vis_control.tracked_repository,
                        vis_control.tracked_branch, vis_control.pull_request to vis_jobs;
grant insert on vis_control.pull_request_commit to vis_jobs;
grant insert, update on vis_control.connector to vis_web;
grant insert, update (poked_at, wants_full, next_at) on vis_control.connector_run to vis_web;
grant update on vis_control.connector_run to vis_jobs;

-- The control plane puts secrets in and gets only those back that it checks webhooks with.
grant insert on vis_control.connector_secret to vis_web;
create policy web_put on vis_control.connector_secret for insert to vis_web
  with check (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy web_check on vis_control.connector_secret for select to vis_web
  using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid and purpose = 'webhook');

-- Epics are found and gateways read the issues again when one comes, goes, or changes its keys or what is above it, and not
-- for its summary.
create function vis_control.issue_moved() returns trigger language plpgsql set search_path = pg_catalog as $$
begin
  update vis_control.connector_run set is_moved = true where connector_id = new.connector_id and not is_moved;
  return null;
end $$;
create trigger issue_came after insert on vis_control.tracked_issue for each row execute function vis_control.issue_moved();
create trigger issue_moved after update on vis_control.tracked_issue for each row
  when (old.key <> new.key or old.level <> new.level or old.parent_key is distinct from new.parent_key
        or old.epic_key is distinct from new.epic_key or (old.gone_at is null) <> (new.gone_at is null))
  execute function vis_control.issue_moved();

-- Which organisation's connector a webhook is for.
create view vis.hooks_v1 as select id as connector_id, org_id, kind from vis_control.connector where enabled;

-- The organisations with a tracker that was read whole once; the revision is another one when what gateways read of it is.
create view vis.trackers_v1 as
select c.org_id, string_agg(c.id || ' ' || r.moves, ',' order by c.id) as revision
  from vis_control.connector c
  join vis_control.connector_run r on r.connector_id = c.id and r.org_id = c.org_id
 where c.enabled and c.kind in ('jira_cloud', 'jira_dc') and r.full_at is not null
 group by c.org_id;

-- Every key of each issue that there is, those that it had before it moved too. The gateway sees all organisations.
create view vis.issues_v1 with (security_barrier = true) as
select i.org_id, named.key, i.epic_key, named.key = i.key as is_current
  from vis_control.tracked_issue i
  join vis_control.connector c on c.id = i.connector_id and c.org_id = i.org_id and c.enabled
 cross join lateral unnest(array_append(i.former_keys, i.key)) as named(key)
 where i.gone_at is null
   and (current_user = 'vis_writer' or i.org_id = nullif(current_setting('vis.org_id', true), '')::uuid);

-- Every pull request under each remote that its repository has or had. Of a connector that was removed too, unless the same
-- service is connected again.
create view vis.pull_requests_v1 with (security_barrier = true) as
select p.org_id, named.remote, p.number, p.title, p.url, p.state, p.source_branch, p.merge_commit,
       array(select k.sha from vis_control.pull_request_commit k where k.pull_request_id = p.id order by k.sha) as commits,
       p.created_at, p.merged_at, p.updated_at
  from vis_control.pull_request p
  join vis_control.connector c on c.id = p.connector_id and c.org_id = p.org_id
  join vis_control.tracked_repository r on r.connector_id = p.connector_id and r.external_id = p.repository_id
 cross join lateral unnest(array_append(r.former_remotes, r.remote)) as named(remote)
 where (c.enabled or not exists (select from vis_control.connector o
         where o.org_id = c.org_id and o.kind = c.kind and o.base_url = c.base_url and o.enabled))
   and (current_user = 'vis_writer' or p.org_id = nullif(current_setting('vis.org_id', true), '')::uuid);

grant select on vis.hooks_v1 to vis_web;
grant select on vis.trackers_v1 to vis_writer;
grant select on vis.issues_v1, vis.pull_requests_v1 to vis_writer, vis_reader;

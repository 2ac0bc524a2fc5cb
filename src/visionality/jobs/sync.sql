-- Connectors: which to read, how it goes, and what they say. For psycopg, as vis_jobs.

-- name: due
-- Those that nobody reads now: their time has come, their last run was cut off, or somebody asks and nothing is wrong.
with due as materialized (
  select c.id, r.next_at from vis_control.connector c
    join vis_control.connector_run r on r.connector_id = c.id
   where c.enabled and (r.next_at <= %(now)s or (r.started_at is not null and r.finished_at is null)
      or (r.poked_at is not null and r.failures = 0 and not r.is_paused
          and (r.started_at is null or r.started_at <= %(now)s - %(apart)s)))
   order by r.next_at)
select id from due where pg_try_advisory_xact_lock(hashtextextended('vis connector ' || id, 0));

-- name: lock
-- Until this connection ends: one process at a time reads a connector.
select pg_try_advisory_lock(hashtextextended('vis connector ' || %(connector_id)s, 0));

-- name: sealed
-- Of its own organisation only: whoever acts for another one may put a row in that names this connector.
select c.org_id, c.kind, c.base_url, c.scope, c.account, c.ca_bundle, s.sealed, k.id, k.generation, k.wrapped
  from vis_control.connector c
  join vis_control.connector_secret s on s.connector_id = c.id and s.org_id = c.org_id and s.purpose = 'credential'
  join vis_control.organisation_key k on k.id = s.organisation_key_id and k.org_id = c.org_id
 where c.id = %(connector_id)s
 order by s.made_at desc, s.id desc limit 1;

-- name: standing
-- A full run that was cut off is wanted again.
select c.org_id, c.name, c.kind, o.time_zone, r.number, r.watermark, r.full_at,
       r.wants_full or (r.started_at is not null and r.finished_at is null and r.mode = 'full'),
       r.failures, r.failing_since, r.outages, r.succeeded_at
  from vis_control.connector c
  join vis_control.connector_run r on r.connector_id = c.id
  join vis.orgs_v1 o on o.org_id = c.org_id
 where c.id = %(connector_id)s and c.enabled;

-- name: begin
update vis_control.connector_run
   set number = %(number)s, mode = %(mode)s, started_at = %(now)s, finished_at = null, doing = '', counts = '{}', poked_at = null,
       wants_full = false, is_paused = false
 where connector_id = %(connector_id)s;

-- name: progress
-- No row when the connector was removed meanwhile.
update vis_control.connector_run r set doing = %(doing)s, counts = %(counts)s::jsonb
  from vis_control.connector c where c.id = r.connector_id and c.enabled and r.connector_id = %(connector_id)s
returning r.number;

-- name: failed
-- Who gave another credential meanwhile does not wait.
update vis_control.connector_run
   set finished_at = %(now)s, error = %(error)s, failures = %(failures)s, failing_since = %(failing_since)s, outages = %(outages)s,
       next_at = case when next_at > started_at then least(next_at, %(next_at)s) else %(next_at)s end,
       wants_full = wants_full or mode = 'full', doing = ''
 where connector_id = %(connector_id)s;

-- name: paused
update vis_control.connector_run
   set finished_at = %(now)s, doing = %(doing)s, next_at = %(next_at)s, is_paused = true, wants_full = wants_full or mode = 'full'
 where connector_id = %(connector_id)s;

-- name: succeeded
update vis_control.connector_run
   set finished_at = %(now)s, succeeded_at = %(now)s, watermark = started_at, doing = '', error = '', failures = 0,
       full_at = case mode when 'full' then started_at else full_at end, failing_since = null, next_at = %(next_at)s,
       held = jsonb_build_object(
         'projects', (select count(*) from vis_control.tracked_project where connector_id = %(connector_id)s and gone_at is null),
         'issues', (select count(*) from vis_control.tracked_issue where connector_id = %(connector_id)s and gone_at is null),
         'repositories', (select count(*) from vis_control.tracked_repository where connector_id = %(connector_id)s and gone_at is null),
         'branches', (select count(*) from vis_control.tracked_branch where connector_id = %(connector_id)s and gone_at is null),
         'pull requests', (select count(*) from vis_control.pull_request where connector_id = %(connector_id)s and gone_at is null))
 where connector_id = %(connector_id)s;

-- name: epics
-- Of each issue: itself, or the nearest of five above it that is an epic. A parent is known by a key that it had, too.
with recursive named as materialized (
  select distinct on (name) name, key, level, parent_key
    from (select key as name, key, level, parent_key, 0 as rank from vis_control.tracked_issue where connector_id = %(connector_id)s
          union all
          select unnest(former_keys), key, level, parent_key, 1 from vis_control.tracked_issue where connector_id = %(connector_id)s) each
   order by name, rank),
up as (
  select id, key, level, parent_key, 0 as hops from vis_control.tracked_issue where connector_id = %(connector_id)s
  union all
  select up.id, named.key, named.level, named.parent_key, up.hops + 1
    from up join named on named.name = up.parent_key where up.level <> 1 and up.hops < 5),
found as (select id, max(key) filter (where level = 1) as epic_key from up group by id)
update vis_control.tracked_issue i set epic_key = found.epic_key
  from found where found.id = i.id and i.epic_key is distinct from found.epic_key;

-- name: is_moved
select is_moved from vis_control.connector_run where connector_id = %(connector_id)s;

-- name: publish
-- Gateways read the issues again.
update vis_control.connector_run set moves = moves + 1, is_moved = false where connector_id = %(connector_id)s;

-- name: project
insert into vis_control.tracked_project as t (id, org_id, connector_id, external_id, key, name, seen_run)
values (%(id)s, %(org_id)s, %(connector_id)s, %(external_id)s, %(key)s, %(name)s, %(number)s)
on conflict (connector_id, external_id) do update
   set key = excluded.key, name = excluded.name, seen_run = excluded.seen_run, gone_at = null
 where %(is_full)s or (t.key, t.name, t.gone_at) is distinct from (excluded.key, excluded.name, null);

-- name: issue
-- An issue that moved to another project keeps the keys that it had: branches are named by them.
insert into vis_control.tracked_issue as t
       (id, org_id, connector_id, external_id, key, former_keys, project_key, level, parent_key, summary, status, is_done, updated_at, seen_run)
values (%(id)s, %(org_id)s, %(connector_id)s, %(external_id)s, %(key)s, '{}', %(project_key)s, %(level)s, %(parent_key)s,
        %(summary)s, %(status)s, %(is_done)s, %(updated_at)s, %(number)s)
on conflict (connector_id, external_id) do update
   set former_keys = case t.key when excluded.key then t.former_keys
                     else array_append(array_remove(t.former_keys, excluded.key), t.key) end,
       key = excluded.key, project_key = excluded.project_key, level = excluded.level, parent_key = excluded.parent_key,
       summary = excluded.summary, status = excluded.status, is_done = excluded.is_done, updated_at = excluded.updated_at,
       seen_run = excluded.seen_run, gone_at = null
 where %(is_full)s
    or (t.key, t.project_key, t.level, t.parent_key, t.summary, t.status, t.is_done, t.updated_at, t.gone_at)
       is distinct from (excluded.key, excluded.project_key, excluded.level, excluded.parent_key, excluded.summary,
                         excluded.status, excluded.is_done, excluded.updated_at, null);

-- name: repository
insert into vis_control.tracked_repository as t
       (id, org_id, connector_id, external_id, remote, former_remotes, name, default_branch, project_key, seen_run)
values (%(id)s, %(org_id)s, %(connector_id)s, %(external_id)s, %(remote)s, '{}', %(name)s, %(default_branch)s, %(project_key)s, %(number)s)
on conflict (connector_id, external_id) do update
   set former_remotes = case t.remote when excluded.remote then t.former_remotes
                        else array_append(array_remove(t.former_remotes, excluded.remote), t.remote) end,
       remote = excluded.remote, name = excluded.name, default_branch = excluded.default_branch,
       project_key = excluded.project_key, seen_run = excluded.seen_run, gone_at = null
 where %(is_full)s or (t.remote, t.name, t.default_branch, t.project_key, t.gone_at)
       is distinct from (excluded.remote, excluded.name, excluded.default_branch, excluded.project_key, null);

-- name: branch
insert into vis_control.tracked_branch as t (id, org_id, connector_id, repository_id, name, head, first_seen, seen_run)
values (%(id)s, %(org_id)s, %(connector_id)s, %(repository_id)s, %(name)s, %(head)s, %(now)s, %(number)s)
on conflict (connector_id, repository_id, name) do update
   set head = excluded.head, seen_run = excluded.seen_run, gone_at = null
 where %(is_full)s or (t.head, t.gone_at) is distinct from (excluded.head, null);

-- name: pull_request
insert into vis_control.pull_request as t
       (id, org_id, connector_id, repository_id, number, title, state, author, source_branch, target_branch, merge_commit, url,
        created_at, updated_at, merged_at, seen_run)
values (%(id)s, %(org_id)s, %(connector_id)s, %(repository_id)s, %(pr_number)s, %(title)s, %(state)s, %(author)s, %(source_branch)s,
        %(target_branch)s, %(merge_commit)s, %(url)s, %(created_at)s, %(updated_at)s, %(merged_at)s, %(number)s)
on conflict (connector_id, repository_id, number) do update
   set title = excluded.title, state = excluded.state, author = excluded.author, source_branch = excluded.source_branch,
       target_branch = excluded.target_branch, merge_commit = excluded.merge_commit, url = excluded.url,
       created_at = excluded.created_at, updated_at = excluded.updated_at, merged_at = excluded.merged_at,
       seen_run = excluded.seen_run, gone_at = null;

-- name: commits
insert into vis_control.pull_request_commit (id, org_id, pull_request_id, sha)
select gen_random_uuid(), p.org_id, p.id, sha from vis_control.pull_request p, unnest(%(commits)s::text[]) sha
 where p.connector_id = %(connector_id)s and p.repository_id = %(repository_id)s and p.number = %(pr_number)s
on conflict (pull_request_id, sha) do nothing;

-- name: projects_gone
update vis_control.tracked_project set gone_at = %(now)s where connector_id = %(connector_id)s and seen_run < %(number)s and gone_at is null;

-- name: issues_gone
update vis_control.tracked_issue set gone_at = %(now)s where connector_id = %(connector_id)s and seen_run < %(number)s and gone_at is null;

-- name: repositories_gone
update vis_control.tracked_repository set gone_at = %(now)s where connector_id = %(connector_id)s and seen_run < %(number)s and gone_at is null;

-- name: branches_gone
update vis_control.tracked_branch set gone_at = %(now)s where connector_id = %(connector_id)s and seen_run < %(number)s and gone_at is null;

-- name: pull requests_gone
update vis_control.pull_request set gone_at = %(now)s where connector_id = %(connector_id)s and seen_run < %(number)s and gone_at is null;

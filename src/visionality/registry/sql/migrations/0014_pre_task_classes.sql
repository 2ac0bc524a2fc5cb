-- Operators' own rules for the task class, and what becomes of a claim that a key does not allow, as the data plane reads
-- them; and the tokens by which programs speak to the control plane, for no one else to read.
--
-- Why: an organisation names kinds of work that no built-in rule knows (A5), and may refuse a call rather than queue its row
-- (A6). What it locks: the control tables just made, and a view, which gets a column at its end, for a moment. Old code: reads
-- the columns that it knows, classes by the built-in rules and queues.

do $$ declare t text; begin
  foreach t in array array['task_class_rule','service_token'] loop
    execute format('create trigger moved after insert or update or delete on vis_control.%I for each row execute function vis_control.moved()', t);
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('create policy jobs_all on vis_control.%I to vis_jobs using (true)', t);
    execute format('create policy views_read on vis_control.%I for select to vis_owner using (true)', t);
    execute format('grant select, insert, update, delete on vis_control.%I to vis_web, vis_jobs', t);
  end loop;
end $$;

create or replace view vis.orgs_v1 as
select id as org_id, slug, name, time_zone, level_floor, epoch, denied_project from vis_control.organisation;

create view vis.task_class_rules_v1 as
select org_id, number, task_class, client, tool, model, path, system_starts, headers from vis_control.task_class_rule;

grant select on vis.task_class_rules_v1 to vis_writer;

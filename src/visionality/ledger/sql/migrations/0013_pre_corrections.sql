-- Corrections: the orders that people give, as the jobs read them, and which of them were carried out.
--
-- Why: what was booked on nobody, or on the wrong project, is reversed and booked again by new rows (A6, L1, L2); whoever
-- corrects or shows a row finds its true-ups and corrections by the index. What it locks: vis.request_logs against writing
-- while the index is made, which reads every row once; gateways queue their rows for so long. Old code: never reads the new
-- table and view, and writes as before.

create index request_logs_corrects on vis.request_logs (org_id, corrects) where corrects is not null;

create trigger moved after insert or update or delete on vis_control.correction_order for each row execute function vis_control.moved();
alter table vis_control.correction_order enable row level security;
alter table vis_control.correction_order force row level security;
create policy web_all on vis_control.correction_order to vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy jobs_all on vis_control.correction_order to vis_jobs using (true);
create policy views_read on vis_control.correction_order for select to vis_owner using (true);
grant select, insert on vis_control.correction_order to vis_web, vis_jobs;     -- it only ever grows

-- An order with what its project brings along. An empty text is one that was not said.
create view vis.correction_orders_v1 as
select o.org_id, o.id as correction_id, o.author, o.reason, j.key as project_id, c.key as customer_id,
       jc.key as project_customer_id, nullif(j.gl_code, '') as gl_code, nullif(j.business_unit, '') as business_unit,
       nullif(o.task_id, '') as task_id, nullif(o.epic_id, '') as epic_id, nullif(o.repo, '') as repo,
       nullif(o.branch, '') as branch, o.level, o.confidence, o.rows, o.made_at
  from vis_control.correction_order o
  join vis_control.project j on j.id = o.project_id and j.org_id = o.org_id
  left join vis_control.end_customer jc on jc.id = j.customer_id and jc.org_id = o.org_id
  left join vis_control.end_customer c on c.id = o.customer_id and c.org_id = o.org_id;
grant select on vis.correction_orders_v1 to vis_writer, vis_jobs;

-- Orders that were carried out: how many rows were moved, how many were not there, and per currency the nano-dollars that
-- were reversed and booked again. Written in the transaction of the last rows.
create table vis.correction_done (
  org_id uuid not null, correction_id uuid not null, done_at timestamptz not null, rows int not null, missing int not null,
  moved jsonb not null, primary key (org_id, correction_id));
alter table vis.correction_done enable row level security;
create policy org_read on vis.correction_done for select to vis_reader, vis_web using (org_id = nullif(current_setting('vis.org_id', true), '')::uuid);
create policy all_read on vis.correction_done for select to vis_auditor, vis_jobs using (true);
create policy app_insert on vis.correction_done for insert to vis_writer with check (true);
create policy app_read on vis.correction_done for select to vis_writer using (true);
grant select on vis.correction_done to vis_reader, vis_web, vis_auditor, vis_jobs;
grant select, insert on vis.correction_done to vis_writer;

-- What evidence packs are made of, for psycopg. `organisation`, `project`, `projects` and `customer` run as vis_web, whose row
-- security lets the control tables of one organisation through; the others as vis_reader, in one transaction that sees one moment.

-- name: organisation
select o.org_id, o.name, o.slug from vis.orgs_v1 o where o.org_id = %(org_id)s;

-- name: project
select key from vis_control.project where org_id = %(org_id)s and key = %(name)s;

-- name: projects
-- All of an organisation, those too that only rows name.
select key from vis_control.project where org_id = %(org_id)s
union select project_id from vis.scope_open where org_id = %(org_id)s
union select '-' order by 1;

-- name: customer
-- The projects of a customer; no line where there is no such customer, one without a project where it has none.
select p.key from vis_control.end_customer c
  left join vis_control.project p on p.org_id = c.org_id and p.customer_id = c.id
 where c.org_id = %(org_id)s and c.key = %(name)s order by 1;

-- name: facts
select i.installation_id, coalesce(r.revision, 0) as revision
  from vis.installation i left join vis.org_revisions r on r.org_id = %(org_id)s;

-- name: stepped
-- When a sealer last worked.
select stepped_at from vis.seal_lease;

-- name: newest_segment
-- Where the newest segment of a project stands, of those that a head covers.
select segment_no, leaf_index from vis.scope_segments
 where org_id = %(org_id)s and project_id = %(project_id)s and leaf_index < %(size)s order by segment_no desc limit 1;

-- name: previous
-- The head that the newest pack of a scope carried.
select checkpoint, checkpoint_size from vis.evidence_packs
 where org_id = %(org_id)s and scope_kind = %(kind)s and scope_name = %(name)s order by made_at desc, pack_id desc limit 1;

-- name: runs
-- The numbering of a segment's rows, in its order.
select first_seq, last_seq, first_at, last_at, row_ids from vis.scope_runs
 where org_id = %(org_id)s and project_id = %(project_id)s and first_seq between %(first_seq)s and %(last_seq)s
 order by first_seq;

-- name: sealed
-- The same with the leaves as they were sealed.
select r.row_ids, s.row_ids as sealed_ids, s.leaf_hashes from vis.scope_runs r
  join vis.seals s on s.org_id = r.org_id and s.log = 'request_logs' and s.seal_no = r.seal_no
 where r.org_id = %(org_id)s and r.project_id = %(project_id)s and r.first_seq between %(first_seq)s and %(last_seq)s
 order by r.first_seq;

-- name: of_project
select {columns} from vis.request_logs
 where org_id = %(org_id)s and project_id = %(project_id)s and created_at between %(since)s and %(until)s;

-- name: without_project
select {columns} from vis.request_logs
 where org_id = %(org_id)s and project_id is null and created_at between %(since)s and %(until)s;

-- Segments for whoever wants them, for psycopg.

-- name: ask
insert into vis.segment_requests (org_id, request_id, projects, asked_at)
values (%(org_id)s, %(request_id)s, %(projects)s, %(now)s);

-- name: headers
select header from vis.scope_segments where org_id = %(org_id)s and project_id = %(project_id)s order by segment_no;

-- name: closed_until
-- Whether nothing that was asked for waits, and no scope's newest segment is older.
select not exists (select from vis.segment_requests where org_id = %(org_id)s and asked_at <= %(moment)s and projects && %(projects)s)
   and not exists (
     select from vis.scope_open o
      where o.org_id = %(org_id)s and o.project_id = any(%(projects)s)
        and not exists (select from vis.scope_segments s
                         where s.org_id = o.org_id and s.project_id = o.project_id and s.segment_no = o.segment_no - 1
                           and s.closed_at >= %(moment)s));

-- Projects as their pages show them, for psycopg. Run as vis_web under row security.

-- name: projects
-- By key; of one where it is named. A budget of each project stands with every one, as far as it has a window now.
select j.key, j.name, coalesce(c.key, '') as customer, j.gl_code,
       (select coalesce(jsonb_agg(jsonb_build_object(
                 'period', b.period, 'hard', b.hard, 'cap_nusd', b.cap_nusd, 'spent_nusd', coalesce(w.spent_nusd, 0),
                 'held_nusd', coalesce(w.reserved_nusd, 0), 'starts_at', w.starts_at, 'ends_at', w.ends_at) order by b.period), '[]')
          from vis_control.budget b
          left join vis.budget_windows w on w.org_id = b.org_id and w.budget_id = b.id and w.window_id <> b.id
                                        and w.scope_value = j.key and w.starts_at <= %(now)s and w.ends_at > %(now)s
         where b.org_id = j.org_id and b.retired_at is null and b.scope_kind = 'project' and b.scope_value in (j.key, '*')) as caps
  from vis_control.project j
  left join vis_control.end_customer c on c.id = j.customer_id and c.org_id = j.org_id
 where j.org_id = %(org_id)s and (%(key)s::text is null or j.key = %(key)s)
 order by j.key;

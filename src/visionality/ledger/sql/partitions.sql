-- Monthly partitions of the audit tables. Run as vis_owner.
-- name: ahead
select vis.add_months(%(first)s::date, %(months)s::int);

-- name: horizon
-- The first month, as a date, for which some audit table has no partition yet.
select min(missing)::date
  from (select m as missing
          from unnest(array['request_logs','budget_events','key_events','admin_events']) t,
               generate_series(date_trunc('month', %(now)s::timestamptz at time zone 'UTC'),
                               date_trunc('month', %(now)s::timestamptz at time zone 'UTC') + interval '24 months',
                               interval '1 month') m
         where to_regclass('vis.' || t || to_char(m, '_YYYYMM')) is null) x;

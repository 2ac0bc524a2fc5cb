-- Who signs in, and what they are in which organisation: grants and row security.
--
-- Why: people enter by accounts, each with roles in one or more organisations (S8, D3). What it locks: the tables just made,
-- and `organisation`, which gets a column with a default, for a moment. Old code: does not know them, and lets nobody in but
-- by the local operator's link, as before. What members may see moves no organisation's revision: gateways do not read it.
--
-- Some tables belong to a person and not to one organisation, so row security cannot tie them to one: `account_user` (who they
-- are), allauth's `mfa_authenticator` (passkeys, authenticator apps, recovery codes), `usersessions_usersession` and
-- `account_emailaddress` with its `account_emailconfirmation`, and Django's `django_session`. The control plane reads them by
-- the account that signed in, and what an account may see of an organisation stands in `membership` alone. allauth's
-- `socialaccount_*` stay empty: who somebody is at a company's sign-on stands in their membership of that organisation.

do $$ declare t text; begin
  foreach t in array array['membership','invitation','sign_on'] loop
    execute format('alter table vis_control.%I enable row level security', t);
    execute format('alter table vis_control.%I force row level security', t);
    execute format('create policy web_all on vis_control.%I to vis_web using (org_id = nullif(current_setting(''vis.org_id'', true), '''')::uuid)', t);
    execute format('grant select, insert, update on vis_control.%I to vis_web', t);
  end loop;
end $$;
grant delete on vis_control.sign_on to vis_web;

-- At sign-in it is not known yet for which organisation: somebody finds their own memberships, and an address its sign-on.
create policy web_own on vis_control.membership for select to vis_web
  using (user_id = nullif(current_setting('vis.user_id', true), '')::uuid);
create policy web_find on vis_control.sign_on for select to vis_web
  using (domains ? nullif(current_setting('vis.email_domain', true), ''));

grant select, insert, update on vis_control.account_user to vis_web;
grant select, insert, update, delete on vis_control.mfa_authenticator, vis_control.usersessions_usersession,
  vis_control.account_emailaddress, vis_control.account_emailconfirmation to vis_web;
grant select on vis_control.socialaccount_socialapp, vis_control.socialaccount_socialaccount,
  vis_control.socialaccount_socialtoken to vis_web;

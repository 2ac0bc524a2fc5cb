from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0015_pre_rollups"),
        ("accounts", "0005_pre_sign_in"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("usersessions", "0001_initial"),
        ("socialaccount", "0006_alter_socialaccount_extra_data"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0016_pre_accounts.sql")]

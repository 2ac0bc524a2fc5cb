from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0001_pre_ledger"),
        ("sessions", "0001_initial"),
        ("accounts", "0001_pre_accounts"),
        ("policy", "0001_pre_policy"),
        ("issuing", "0001_pre_issuing"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0002_pre_registry.sql")]

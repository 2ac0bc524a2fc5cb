from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0004_pre_passthrough")]
    operations = [forward("visionality.ledger.sql.migrations", "0005_pre_budget_windows.sql")]

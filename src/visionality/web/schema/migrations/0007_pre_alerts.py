from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0006_pre_budgets"), ("policy", "0005_pre_alert_channels")]
    operations = [forward("visionality.ledger.sql.migrations", "0007_pre_alerts.sql")]

from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [("schema", "0005_pre_budget_windows"), ("policy", "0004_pre_budgets")]
    operations = [forward("visionality.registry.sql.migrations", "0006_pre_budgets.sql")]

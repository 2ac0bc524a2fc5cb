from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0013_pre_corrections"),
        ("accounts", "0004_pre_denied_projects"),
        ("policy", "0008_pre_task_classes"),
        ("issuing", "0004_pre_service_tokens"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0014_pre_task_classes.sql")]

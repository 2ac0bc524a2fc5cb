from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0011_pre_mapping"),
        ("accounts", "0004_pre_denied_projects"),
        ("policy", "0008_pre_task_classes"),
        ("issuing", "0004_pre_service_tokens"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0015_pre_task_classes.sql")]

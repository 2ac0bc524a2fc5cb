from django.db import migrations

from visionality.web.schema.sql import forward


class Migration(migrations.Migration):
    dependencies = [
        ("schema", "0016_pre_accounts"),
        ("api", "0001_pre_api"),
    ]
    operations = [forward("visionality.registry.sql.migrations", "0017_pre_api.sql")]

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("policy", "0001_pre_policy"), ("schema", "0002_pre_registry")]
    operations = [
        migrations.AddField("providercredential", "options", models.JSONField(default=dict, db_default={})),
    ]

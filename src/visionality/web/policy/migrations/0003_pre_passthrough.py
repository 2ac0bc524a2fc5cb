from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("policy", "0002_pre_provider_options")]
    operations = [
        migrations.AddField("project", "passthrough", models.JSONField(default=dict, db_default={})),
    ]

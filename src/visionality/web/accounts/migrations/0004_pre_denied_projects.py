from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("accounts", "0003_pre_epochs_and_floor"), ("schema", "0011_pre_mapping")]
    operations = [
        migrations.AddField(
            "organisation",
            "denied_project",
            models.CharField(max_length=10, default="queue", db_default="queue"),
        ),
    ]
